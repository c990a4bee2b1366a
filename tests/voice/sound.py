"""The virtual sound card of the tests: PulseAudio with two null sinks, a microphone and a loudspeaker."""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

FIXTURES: Final = Path(__file__).parents[1] / "fixtures" / "voice"
MODEL: Final = FIXTURES / "closed-whisper"
HEAR_RATE: Final = 16_000
SENTENCES: Final = tuple(
    line.strip()
    for part in (
        "hello agent|list the files|run the tests|stop now|what is the weather today|send the message",
        "join the design room|show me the log|yes please|no thank you|start a research task|cancel the task",
        "how long will it take|read that again|explain the error|write a short summary|open the door|count to ten",
        "one two three|four five six|seven eight nine ten|who is in the room|clear the conversation",
        "speak more slowly|turn the voice off|tell me a story|where is the server|good morning",
        "thank you very much|please wait a moment|what time is it|save the answer",
    )
    for line in part.split("|")
)


class VirtualSound:
    """Started once; `environ` is what programs on it need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ: dict[str, str] = {}
        self._listeners: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Until it answers."""
        script = FIXTURES / "virtual-sound.sh"
        done = subprocess.run(["sh", script, "start", self.folder], check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"{done.stderr} {(self.folder / 'err').read_text()}"
        for word in done.stdout.split()[1:]:
            name, _, value = word.partition("=")
            if name.startswith("PULSE_"):
                self.environ[name] = value

    def stop(self) -> None:
        """End what was started, and nothing else."""
        for listener in self._listeners:
            listener.kill()
            listener.wait()
        subprocess.run(["sh", FIXTURES / "virtual-sound.sh", "stop", self.folder], check=False)

    def add_microphone(self, name: str) -> None:
        """Another microphone, fed by NAME_feed; PULSE_SOURCE=NAME makes it a process's own."""
        environ = os.environ | self.environ
        sink = ["module-null-sink", f"sink_name={name}_feed", "rate=48000", "channels=1"]
        source = ["module-remap-source", f"master={name}_feed.monitor", f"source_name={name}"]
        for module in (sink, source):
            subprocess.run(["pactl", "load-module", *module], check=True, env=environ, stdout=subprocess.DEVNULL)
        # An idle null sink delays the first block by 1 to 2 s: somebody always listens.
        listener = subprocess.Popen(
            ["parec", f"--device={name}", "--latency-msec=10", "--raw"],
            env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._listeners.append(listener)

    def kill_server(self) -> None:
        """As when the sound server crashes."""
        os.kill(int((self.folder / "pids").read_text().split()[0]), signal.SIGKILL)

    async def play(self, clip: Path, device: str = "mic_feed", latency_ms: int = 100) -> None:
        """Into the microphone; returns when the last sample is in. A small latency stutters on a busy machine."""
        player = await asyncio.create_subprocess_exec(
            "paplay", f"--device={device}", f"--latency-msec={latency_ms}", str(clip), env=os.environ | self.environ
        )
        try:
            assert await player.wait() == 0
        except asyncio.CancelledError:
            player.kill()
            await player.wait()
            raise

    async def pactl(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "pactl", *arguments, env=os.environ | self.environ, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        return out.decode()

    @contextlib.asynccontextmanager
    async def hearing(self, device: str = "speaker.monitor") -> AsyncIterator[Recording]:
        """Record the loudspeaker (or what the microphone gives) meanwhile."""
        process = await asyncio.create_subprocess_exec(
            "parec", f"--device={device}", f"--rate={HEAR_RATE}", "--channels=1", "--format=s16le",
            "--latency-msec=20", "--raw", env=os.environ | self.environ, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        recording = Recording()
        assert process.stdout is not None
        reading = asyncio.create_task(recording.read_from(process.stdout))
        try:
            await recording.begun.wait()
            yield recording
        finally:
            process.terminate()
            await process.wait()
            await reading


class Recording:
    """What came out of the loudspeaker. Times are the loop's, as the samples came."""

    def __init__(self) -> None:
        self.samples = array.array("h")
        self.begun = asyncio.Event()
        self.began_s = 0.0
        self.changed = asyncio.Event()
        self._rest = b""

    async def read_from(self, stream: asyncio.StreamReader) -> None:
        while data := await stream.read(4096):
            data = self._rest + data
            whole = len(data) // 2 * 2
            self.samples.frombytes(data[:whole])
            self._rest = data[whole:]
            # Whatever came soonest after it was played tells best when the recording began.
            began_s = asyncio.get_running_loop().time() - self.length_s
            self.began_s = min(self.began_s, began_s) if self.begun.is_set() else began_s
            self.begun.set()
            self.changed.set()

    @property
    def length_s(self) -> float:
        return len(self.samples) / HEAR_RATE

    def sound_s(self, start_s: float = 0.0, end_s: float = float("inf")) -> float:
        """How much of it is sound, in windows of 10 ms."""
        return sum(loud for loud in self._loud(start_s, end_s)) * 0.01

    def first_sound_s(self, start_s: float = 0.0) -> float | None:
        """When the first sound after `start_s` (of the recording) begins."""
        for number, is_loud in enumerate(self._loud(start_s)):
            if is_loud:
                return start_s + number * 0.01
        return None

    def last_sound_s(self) -> float:
        """When the last sound ends; 0.0 when there is none."""
        return max((number + 1 for number, loud in enumerate(self._loud(0.0)) if loud), default=0) * 0.01

    def _loud(self, start_s: float, end_s: float = float("inf")) -> list[bool]:
        step = HEAR_RATE // 100
        first = int(start_s * 100) * step
        last = len(self.samples) if end_s == float("inf") else int(end_s * HEAR_RATE)
        pieces = (self.samples[at : at + step] for at in range(first, last - step, step))
        return [max(map(abs, piece)) > 150 for piece in pieces]

    async def until(self, within_s: float = 10.0, *, sound_s: float) -> None:
        """Wait for so much sound."""
        async with asyncio.timeout(within_s):
            while self.sound_s() < sound_s:
                self.changed.clear()
                await self.changed.wait()
