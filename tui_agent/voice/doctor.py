"""`tui-agent voice doctor`: tries every part of talking in the voice process itself, and says what mends it."""

from __future__ import annotations

import argparse
import asyncio
import sys

from tui_agent.config import Settings, load
from tui_agent.paths import state_folder
from tui_agent.voice.client import Gone, VoiceClient
from tui_agent.voice.configuring import configure_for
from tui_agent.voice.models import NoModel, find_model
from tui_agent.voice.wire import Check, Checked, Devices, Discard, Ended, Event, Level, ListDevices, Listen, Trouble

TEST_S = 3.0
TIMEOUT_S = 60.0
QUIET = 0.15  # below this nobody spoke
METER_CELLS = 24


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 only if nothing is missing."""
    parser = argparse.ArgumentParser(prog="tui-agent voice doctor", description="Check every part of talking.")
    parser.add_argument("--whisper-model", metavar="DIR", help="check this model instead of the one in the settings")
    arguments = parser.parse_args(argv)
    settings = load()
    for problem in settings.problems:
        _say(problem)
    try:
        return asyncio.run(_Doctor(settings, arguments.whisper_model or settings.voice.model).run())
    except KeyboardInterrupt:
        return 130


class _Doctor:
    def __init__(self, settings: Settings, model: str) -> None:
        self._events: asyncio.Queue[Event | Gone] = asyncio.Queue()
        self._is_terminal = sys.stdout.isatty()
        self._faults = 0
        folder = ""
        self._no_model = ""
        try:
            folder = str(find_model(model))
        except NoModel as problem:
            self._no_model = str(problem)
        self._client = VoiceClient(
            self._events.put_nowait, state_folder() / "voice.log", configure_for(settings.voice, folder)
        )

    async def run(self) -> int:
        running = asyncio.create_task(self._client.run())
        try:
            async with asyncio.timeout(TIMEOUT_S):
                is_ok = await self._check_parts()
                await self._list_devices()
                if is_ok["library"] and is_ok["microphone"]:
                    await self._check_level()
        except TimeoutError:
            self._bad(f"A part does not answer. What it said last stands in {self._client.log}")
        except _Ended:
            self._bad(f"The voice process ended. Why, stands in {self._client.log}")
        finally:
            running.cancel()
            await asyncio.wait([running])
        if self._faults:
            _say(f"{self._faults} of these must be mended before everything works; the chat itself works without.")
        else:
            _say("Everything works: F2 in tui-agent talks.")
        return 1 if self._faults else 0

    async def _next(self) -> Event:
        event = await self._events.get()
        if isinstance(event, Gone):
            raise _Ended
        return event

    async def _check_parts(self) -> dict[str, bool]:
        self._client.send(Check())
        results: dict[str, bool] = {}
        while "speech" not in results:
            match await self._next():
                case Checked(part="model", is_ok=False) if self._no_model:
                    results["model"] = False
                    self._bad(self._no_model)
                case Checked(part=part, is_ok=is_ok, sentence=sentence):
                    results[part] = is_ok
                    self._good(sentence) if is_ok else self._bad(sentence)
                case Trouble(sentence=sentence):
                    self._bad(sentence)
                case _:
                    pass
        return results

    async def _list_devices(self) -> None:
        self._client.send(ListDevices())
        while not isinstance(event := await self._next(), Devices):
            pass
        for what, names, default in (
            ("microphones", event.inputs, event.input),
            ("loudspeakers", event.outputs, event.output),
        ):
            listed = ", ".join(f"{name} (default)" if name == default else name for name in names)
            _say(f"  {what}: {listed or 'none'}")

    async def _check_level(self) -> None:
        """Three seconds of listening."""
        _say(f"  Speak for {TEST_S:g} s …")
        self._client.send(Listen(gen=1, silence_s=TEST_S, nothing_s=0, longest_s=TEST_S))
        loudest, was_speech = 0.0, False
        while True:
            match await self._next():
                case Level(level=level, is_speech=is_speech):
                    loudest, was_speech = max(loudest, level), was_speech or is_speech
                    if self._is_terminal:
                        cells = int(level * METER_CELLS)
                        sys.stdout.write("\r  " + "▮" * cells + "▯" * (METER_CELLS - cells))
                        sys.stdout.flush()
                case Trouble(sentence=sentence):
                    self._bad(sentence)
                case Ended(why=why):
                    break
                case _:
                    pass
        self._client.send(Discard(gen=1))
        if self._is_terminal:
            sys.stdout.write("\n")
        if why == "lost":
            return
        if was_speech:
            self._good(f"level: speech was heard, {loudest:.0%} of the scale")
        elif loudest > QUIET:
            self._good(f"level: sound but no speech, {loudest:.0%} of the scale")
        else:
            self._bad("level: the microphone hears nothing. Unmute it or choose another: /voice device NAME")

    def _good(self, sentence: str) -> None:
        _say(f"● {sentence}")

    def _bad(self, sentence: str) -> None:
        self._faults += 1
        _say(f"■ {sentence}")


class _Ended(Exception):
    """The voice process has."""


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
