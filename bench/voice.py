"""Talking, from key to sound: the real app and voice process on the virtual sound card of the tests."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from textual.pilot import Pilot

from bench.table import Row
from tests.fakes.agents import ScriptedAgent
from tests.fakes.served import served
from tests.voice.sound import MODEL, SENTENCES, VirtualSound
from tui_agent.app import ChatApp
from tui_agent.config import Settings, Voice
from tui_agent.voice import wire
from tui_agent.voice.client import Gone

ROUNDS = 7
AGAINST = "virtual sound card, fixture model"
SOUNDING = ("sounddevice", "numpy", "faster_whisper", "pyttsx3", "ctranslate2", "onnxruntime")
ANSWER = "One two three four five six seven eight nine ten. And so on it goes for a long while. "


@dataclass
class Watched:
    """When the voice process told what, by the loop's clock."""

    app: ChatApp
    told: list[tuple[float, wire.Event | Gone]] = field(default_factory=list)

    def watch(self) -> None:
        talking = self.app.talking
        take = talking._told

        def told(event: wire.Event | Gone) -> None:
            self.told.append((time.monotonic(), event))
            take(event)

        talking._told = told

    async def of(self, kind: type, since_s: float, within_s: float = 30.0) -> tuple[float, wire.Event | Gone]:
        """The first event of a kind after a moment."""
        async with asyncio.timeout(within_s):
            while True:
                for told_s, event in self.told:
                    if told_s >= since_s and isinstance(event, kind):
                        return told_s, event
                await asyncio.sleep(0.002)


@asynccontextmanager
async def stage(sound: VirtualSound, folder: Path) -> AsyncIterator[tuple[ChatApp, Pilot[int], Watched, ScriptedAgent]]:
    """The app, warm: it has listened and spoken once."""
    agent = ScriptedAgent()
    async with served(folder, agent) as server:
        voice = Voice(model=str(MODEL), language="en", speak=True)
        app = ChatApp(Settings(user="ada", server_url=f"unix:{server.address}", voice=voice))
        async with app.run_test(size=(120, 40)) as pilot:
            watched = Watched(app)
            watched.watch()
            await until(lambda: app.conversation.is_live)
            for _ in range(2):
                await press(app, pilot)
                await until(lambda: app.talking.talk.phase == "listening")
                await pilot.press("escape")
            await asyncio.sleep(2.0)  # the model is loaded
            yield app, pilot, watched, agent


async def until(is_so: Callable[[], bool], within_s: float = 30.0) -> None:
    async with asyncio.timeout(within_s):
        while not is_so():
            await asyncio.sleep(0.002)


async def press(app: ChatApp, pilot: Pilot[int]) -> None:
    app.talking.talk._last_key_s = float("-inf")
    await pilot.press("f2")


async def voice() -> list[Row]:
    """All figures in one run."""
    with tempfile.TemporaryDirectory(prefix="bv") as name:
        folder = Path(name)
        for variable in ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
            os.environ[variable] = name
        sound = VirtualSound(folder)
        sound.start()
        os.environ.update(sound.environ)
        try:
            async with stage(sound, folder) as (app, pilot, watched, agent):
                rows = [await recording_begins(app, pilot, watched)]
                rows += await speech_becomes_text(app, pilot, watched, agent, sound, folder)
                rows += await sentence_becomes_sound(app, pilot, agent, sound)
                rows.append(memory(app))
        finally:
            sound.stop()
    loaded = [name for name in SOUNDING if name in sys.modules]
    rows.append(
        Row("voice libraries in the app's process", AGAINST, str(len(loaded)), "0", not loaded, " ".join(loaded))
    )
    return rows


def row(what: str, values_ms: list[float], reach_ms: float, detail: str = "") -> Row:
    """The median of some milliseconds."""
    median = statistics.median(values_ms)
    spread = f"{min(values_ms):.0f} to {max(values_ms):.0f} in {len(values_ms)} rounds"
    return Row(what, AGAINST, f"{median:.0f} ms", f"≤ {reach_ms:.0f} ms", median <= reach_ms, detail or spread)


async def recording_begins(app: ChatApp, pilot: Pilot[int], watched: Watched) -> Row:
    """The key -> the first block of the microphone is in."""
    taken = []
    for _ in range(ROUNDS):
        began_s = time.monotonic()
        await press(app, pilot)
        told_s, _event = await watched.of(wire.Listening, began_s)
        taken.append((told_s - began_s) * 1000)
        await pilot.press("escape")
        await until(lambda: app.talking.talk.phase == "off")
        await asyncio.sleep(0.3)
    return row("F2 to recording, warm", taken, 150)


async def speech_becomes_text(
    app: ChatApp, pilot: Pilot[int], watched: Watched, agent: ScriptedAgent, sound: VirtualSound, folder: Path
) -> list[Row]:
    """The last sound in the microphone -> the text in the app; and how long the app's loop stood meanwhile."""
    taken, models, stalls = [], [], []
    app.talking.speaks = False
    for sentence in SENTENCES[:ROUNDS]:
        clip = folder / "clip.wav"
        subprocess.run(["espeak-ng", "-v", "en-us", "-s", "160", "-w", clip, sentence], check=True)
        async with sound.hearing("mic") as microphone:
            began_s = time.monotonic()
            await press(app, pilot)
            await watched.of(wire.Listening, began_s)
            await sound.play(clip, latency_ms=20)
            lag = asyncio.create_task(longest_stall_s(lambda: app.talking.talk.phase != "off"))
            told_s, text = await watched.of(wire.Text, began_s)
            assert isinstance(text, wire.Text)
            assert text.text == sentence, f"heard {text.text}"
            stalls.append(await lag * 1000)
        taken.append((told_s - microphone.began_s - microphone.last_sound_s()) * 1000)
        models.append(text.model_s * 1000)
        (await agent.wait_run()).finish()
        await until(lambda: app.conversation.chat.running is None)
    reach = 950 + 1.2 * statistics.median(models)
    detail = f"the model itself {statistics.median(models):.0f} ms; {min(taken):.0f} to {max(taken):.0f}"
    return [
        row("end of speech to text", taken, reach, detail),
        row("longest stall of the app's loop while transcribing", stalls, 30),
    ]


async def longest_stall_s(is_on: Callable[[], bool]) -> float:
    """How late the loop was at worst."""
    longest_s = 0.0
    while is_on():
        before_s = time.monotonic()
        await asyncio.sleep(0.005)
        longest_s = max(longest_s, time.monotonic() - before_s - 0.005)
    return longest_s


async def sentence_becomes_sound(
    app: ChatApp, pilot: Pilot[int], agent: ScriptedAgent, sound: VirtualSound
) -> list[Row]:
    """The token that completes a sentence -> the first sound; the Esc key -> the last."""
    first, last = [], []
    app.talking.speaks = True
    for _ in range(ROUNDS):
        async with sound.hearing() as speaker:
            app.send("count")
            run = await agent.wait_run()
            spoken_s = time.monotonic()
            run.say(ANSWER * 3)
            await speaker.until(20, sound_s=0.7)
            heard_s = speaker.first_sound_s()
            assert heard_s is not None
            first.append((speaker.began_s + heard_s - spoken_s) * 1000)
            pressed_s = time.monotonic()
            await pilot.press("escape")
            end_s = speaker.length_s + 0.6
            await until(lambda end_s=end_s: speaker.length_s > end_s)
            last.append((speaker.began_s + speaker.last_sound_s() - pressed_s) * 1000)
        await until(lambda: app.conversation.chat.running is None)
    return [row("first finished sentence to sound", first, 150), row("Esc to silence", last, 100)]


def memory(app: ChatApp) -> Row:
    """The most that the voice process has held."""
    client = app.talking._client
    assert client is not None
    status = Path(f"/proc/{client.pid}/status").read_text()
    peak_mib = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return Row("the voice process at its most", AGAINST, f"{peak_mib:.0f} MiB", "≤ 250 MiB", peak_mib <= 250)
