"""The app's side of the voice process: starts it when it is first needed, once more after a crash, and speaks with it.

Imports nothing that makes sound. One owner awaits `run`; the rest returns at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from tui_agent.voice.wire import Command, Configure, Event, Silence, Speak, decode_event, encode

WORKER: Final = (sys.executable, "-P", "-m", "tui_agent.voice.worker")
MOST_WAITING: Final = 200
STUCK_BYTES: Final = 1 << 20  # so much unread by the process: it hangs
CRASH_AGAIN_S: Final = 60.0
LOG_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Gone:
    """The process ended though nobody asked it to. `is_again`: it is not started again until it is needed."""

    is_again: bool


class VoiceClient:
    """`on_event` gets what the process tells, and Gone; it must not raise."""

    def __init__(
        self, on_event: Callable[[Event | Gone], None], log: Path, settings: Configure, command: Sequence[str] = WORKER
    ) -> None:
        self.log = log
        self._on_event = on_event
        self._settings = settings
        self._command = command
        self._needed = asyncio.Event()
        self._waiting: list[Command] = []
        self._process: asyncio.subprocess.Process | None = None
        self._crashed_s = float("-inf")
        self._has_crashed = False

    @property
    def pid(self) -> int | None:
        """Of the process, while it runs."""
        return None if self._process is None else self._process.pid

    def configure(self, settings: Configure) -> None:
        """From now on, and after each start."""
        self._settings = settings
        if self._process is not None:
            self._write(self._safe_settings())

    def _safe_settings(self) -> Configure:
        """After a crash without the GPU: CTranslate2 aborts where cuDNN is missing, and no exception tells."""
        return msgspec.structs.replace(self._settings, gpu=False) if self._has_crashed else self._settings

    def send(self, command: Command) -> None:
        """To the process, which is started if need be. Dropped when 200 wait for it."""
        if self._process is not None:
            self._write(command)
        elif len(self._waiting) < MOST_WAITING:
            self._waiting.append(command)
            self._needed.set()

    def silence(self, gen: int) -> None:
        """Drop every Speak up to this generation; nothing to do while no process runs."""
        self._waiting = [one for one in self._waiting if not (isinstance(one, Speak) and one.gen <= gen)]
        if self._process is not None:
            self._write(Silence(gen=gen))

    async def run(self) -> None:
        """Until cancelled; the process ends with it."""
        while True:
            await self._needed.wait()
            await self._live()
            is_again = time.monotonic() - self._crashed_s < CRASH_AGAIN_S
            self._crashed_s = time.monotonic()
            self._has_crashed = True
            self._waiting.clear()
            if is_again:
                self._needed.clear()
            self._on_event(Gone(is_again))

    # ---- inside ------------------------------------------------------------------------------------

    async def _live(self) -> None:
        """One process from its start to its end."""
        fd = self._open_log()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=fd,
                start_new_session=True,
            )  # fmt: skip
        except OSError:
            return  # told as Gone
        finally:
            os.close(fd)
        self._process = process
        assert process.stdout is not None
        try:
            self._write(self._safe_settings())
            waiting, self._waiting = self._waiting, []
            for command in waiting:
                self._write(command)
            while line := await process.stdout.readline():
                event = decode_event(line)
                if event is not None:
                    self._on_event(event)
        except ValueError:
            pass  # a line beyond all bounds: not our process any more
        finally:
            self._process = None
            with contextlib.suppress(ProcessLookupError):
                process.kill()  # it holds nothing that needs an orderly end
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()

    def _write(self, command: Command) -> None:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        if process.stdin.transport.get_write_buffer_size() > STUCK_BYTES:
            process.kill()
        elif not process.stdin.is_closing():
            process.stdin.write(encode(command))

    def _open_log(self) -> int:
        """Where ALSA, PortAudio and tracebacks go; begun anew when it is over 1 MiB."""
        try:
            self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            if os.fstat(fd).st_size > LOG_BYTES:
                os.ftruncate(fd, 0)
        except OSError:
            fd = os.open(os.devnull, os.O_WRONLY)
        return fd
