"""A process at a pty of its own, with the screen that a terminal would show."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import termios
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import pyte

from tests.fakes.cells import lines_of


class Terminal:
    """Everything the process wrote is in `text`; `screen` draws it."""

    def __init__(self, process: asyncio.subprocess.Process, fd: int, size: tuple[int, int]) -> None:
        self.process, self._fd = process, fd
        self.text = ""
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self._changed = asyncio.Event()
        os.set_blocking(fd, False)
        asyncio.get_running_loop().add_reader(fd, self._read)

    @property
    def screen(self) -> str:
        """What one sees, line by line."""
        return "\n".join(line.rstrip() for line in lines_of(self._screen))

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except OSError:
            asyncio.get_running_loop().remove_reader(self._fd)
        else:
            self.text += data.decode("utf-8", "replace")
            # pyte knows neither kitty's keyboard protocol nor mode reports.
            with contextlib.suppress(Exception):
                self._stream.feed(data.replace(b"\x1b[>25u", b"").replace(b"\x1b[<u", b""))
        self._changed.set()

    def type(self, text: str | bytes) -> None:
        """All at once, as a short paste."""
        os.write(self._fd, text.encode() if isinstance(text, str) else text)

    async def press(self, *keys: str) -> None:
        """Key by key, as a person."""
        for key in keys:
            self.type(key)
            await asyncio.sleep(0.05)

    async def paste(self, data: bytes) -> None:
        """As much as the process takes."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view[:4096]) :]
            except BlockingIOError:
                await asyncio.sleep(0.001)

    async def wait(self, words: str | Callable[[], object], within_s: float = 20.0) -> None:
        """Until the screen shows the words, or the condition holds."""
        try:
            async with asyncio.timeout(within_s):
                while not (words in self.screen if isinstance(words, str) else words()):
                    self._changed.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.2):
                            await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"never so: {words!r}; the screen:\n{self.screen}") from None

    async def wait_written(self, words: str, within_s: float = 20.0) -> None:
        """Until the process has written the words, wherever they went."""
        await self.wait(lambda: words in self.text, within_s)

    async def wait_end(self) -> int:
        """The exit status."""
        async with asyncio.timeout(15):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def terminal(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[Terminal]:
    """Start the command at a pty; it is killed at the end if it still runs."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    process = await asyncio.create_subprocess_exec(
        *command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=dict(env),
        start_new_session=True, preexec_fn=_take_terminal,
    )  # fmt: skip
    os.close(theirs)
    opened = Terminal(process, ours, size)
    try:
        yield opened
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        if process.returncode is None:
            process.kill()
        await process.wait()
        os.close(ours)


def _take_terminal() -> None:
    """So that Ctrl+C in the pty becomes SIGINT."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
