"""A program on a pseudo terminal, and what it shows."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from types import TracebackType

import pyte

from tests.fakes.cells import lines_of


class Screen:
    """The program runs inside the `with` block; its screen is kept by a terminal emulator that answers nothing."""

    def __init__(self, command: list[str], environ: dict[str, str], size: tuple[int, int] = (120, 40)) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environ)
        self.resize(*size)
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self.is_over = False
        self.raw = bytearray()  # all that was written

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):  # it may have ended, and been waited for
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def send(self, data: bytes) -> None:
        os.write(self.fd, data)

    def read(self, within_s: float) -> bool:
        """Take in what comes; False when nothing came in that time."""
        if not select.select([self.fd], [], [], max(0.0, within_s))[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError as exc:
            if exc.errno != errno.EIO:
                raise
            data = b""
        if not data:
            self.is_over = True
            return False
        self.raw += data
        self._stream.feed(data)
        return True

    @property
    def text(self) -> str:
        return "\n".join(lines_of(self.screen))

    def wait_for(self, words: str, within_s: float) -> None:
        """Until the words stand on the screen. Raises TimeoutError."""
        end_s = time.monotonic() + within_s
        while words not in self.text:
            left_s = end_s - time.monotonic()
            if left_s <= 0 or self.is_over:
                raise TimeoutError(f"{words!r} did not come:\n{self.text}")
            self.read(left_s)
