"""The app's side: one process, started when needed, whose stderr is a private log and which never outlives the app."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.voice.conftest import Voice
from tui_agent.voice import wire
from tui_agent.voice.client import Gone, VoiceClient
from tui_agent.voice.wire import Command, Configure, Event, Ready, Speak, Warm, decode_command, decode_event, encode


def test_each_message_comes_over_as_it_was() -> None:
    messages: list[Command | Event] = [
        Configure(model="/m", language="en"),
        Speak(gen=1, number=2, text="ünï\n\x1b"),
        wire.Text(gen=3, text="what was said", audio_s=1.5, model_s=0.2),
        wire.Trouble(part="model", sentence="It is broken."),
    ]
    for message in messages:
        line = encode(message)
        assert line.count(b"\n") == 1
        assert message in (decode_command(line), decode_event(line))


def test_what_is_unknown_is_ignored() -> None:
    for line in (b"", b"junk", b"[]", b'{"type":"of_later"}', b'{"type":"text","gen":"no number"}'):
        assert decode_command(line) is None
        assert decode_event(line) is None
    assert decode_event(b'{"type":"ready","pid":1,"more":"of a later version"}') == Ready(pid=1)


async def test_nothing_runs_before_it_is_needed(start_voice: Callable[..., Voice]) -> None:
    voice = start_voice()
    await asyncio.sleep(0)
    assert voice.client.pid is None
    voice.send(Warm())
    await voice.of(Ready)
    assert voice.client.pid is not None


async def test_its_log_is_private_and_a_link_in_its_place_is_not_followed(
    start_voice: Callable[..., Voice], folder: Path
) -> None:
    target = folder / "target"
    (folder / "voice.log").symlink_to(target)
    voice = start_voice()
    voice.send(Warm())
    await voice.of(Ready)
    assert not target.exists()
    (folder / "voice.log").unlink()
    os.kill((await voice.of(Ready)).pid, signal.SIGKILL)
    await voice.of(Gone, is_again=False)
    voice.events.clear()
    voice.send(Warm())
    await voice.of(Ready)
    assert (folder / "voice.log").stat().st_mode & 0o077 == 0


async def test_it_ends_with_its_owner(start_voice: Callable[..., Voice], folder: Path) -> None:
    events: list[Event | Gone] = []
    client = VoiceClient(events.append, folder / "voice.log", Configure())
    running = asyncio.create_task(client.run())
    client.send(Warm())
    async with asyncio.timeout(20):
        while not events:
            await asyncio.sleep(0.01)
    pid = client.pid
    assert pid is not None
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_it_ends_when_the_app_is_killed(folder: Path) -> None:
    """Its stdin ends with the app, whatever ended the app."""
    script = (
        "import asyncio, pathlib, sys\n"
        "from tui_agent.voice.client import VoiceClient\n"
        "from tui_agent.voice.wire import Configure, Warm\n"
        "async def main():\n"
        "    client = VoiceClient(lambda e: print(e.pid, flush=True), pathlib.Path(sys.argv[1]), Configure())\n"
        "    client.send(Warm())\n"
        "    await client.run()\n"
        "asyncio.run(main())\n"
    )
    app = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(folder / "voice.log"), stdout=asyncio.subprocess.PIPE
    )
    assert app.stdout is not None
    async with asyncio.timeout(20):
        pid = int(await app.stdout.readline())
        app.kill()
        await app.wait()
        while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "script", ["raise SystemExit(3)", "print('x' * 200_000, flush=True); import time; time.sleep(60)"]
)
async def test_a_program_that_is_no_voice_process_is_told_and_not_started_for_ever(folder: Path, script: str) -> None:
    events: list[Event | Gone] = []
    client = VoiceClient(events.append, folder / "voice.log", Configure(), (sys.executable, "-c", script))
    running = asyncio.create_task(client.run())
    client.send(Warm())
    async with asyncio.timeout(20):
        while len(events) < 2:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    assert events == [Gone(is_again=False), Gone(is_again=True)]
    running.cancel()
    await asyncio.wait([running])


async def test_one_that_does_not_read_is_killed_before_it_costs_memory(folder: Path) -> None:
    events: list[Event | Gone] = []
    script = 'import time; print(\'{"type":"ready","pid":1}\', flush=True); time.sleep(60)'
    client = VoiceClient(events.append, folder / "voice.log", Configure(), (sys.executable, "-c", script))
    running = asyncio.create_task(client.run())
    client.send(Warm())
    async with asyncio.timeout(20):
        while not events:
            await asyncio.sleep(0.01)
        for number in range(400):
            client.send(Speak(gen=1, number=number, text="x" * 8000))
        while Gone(is_again=False) not in events:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
