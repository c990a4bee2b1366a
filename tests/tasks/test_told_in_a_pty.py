"""The whole way of a notification: a task ends while the terminal is not looked at, and the pty gets the bytes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.process import ROOT
from tests.fakes.served import Served, served
from tests.fakes.workers import HeldWorker

FOCUS_OUT, FOCUS_IN = b"\x1b[O", b"\x1b[I"
TMUX = {"TERM": "tmux-256color", "TMUX": "/tmp/none,1,0", "TERM_PROGRAM": "tmux"}
BELL = b"\x07"
_WHOLE_OSC = re.compile(rb"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_BEGUN_OSC = re.compile(rb"\x1b\]")


class Terminal:
    """A client in a pty; `seen` is all that it wrote."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.seen = b""
        self._more = asyncio.Event()
        os.set_blocking(fd, False)
        asyncio.get_running_loop().add_reader(fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 65_536)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._fd)
        self.seen += data
        self._more.set()

    def type(self, data: bytes) -> None:
        os.write(self._fd, data)

    async def enter(self, text: bytes) -> None:
        """Write a line as a person does: Enter right behind the text would be a paste's newline."""
        self.type(text)
        await asyncio.sleep(0.4)
        self.type(b"\r")

    async def wait(self, what: bytes, after: int = 0, *, times: int = 1) -> None:
        async with asyncio.timeout(25):
            while self.count(what, after) < times:
                self._more.clear()
                await self._more.wait()

    def count(self, what: bytes, after: int = 0) -> int:
        """How often it came. A bell is one only where it does not end an OSC sequence, as that of the title."""
        seen = self.seen[after:]
        if what == BELL:
            seen = _WHOLE_OSC.sub(b"", seen)
            seen = seen[: begun.start()] if (begun := _BEGUN_OSC.search(seen)) else seen
        return seen.count(what)


@asynccontextmanager
async def terminal(server: Served, home: Path, **environ: str) -> AsyncIterator[Terminal]:
    """`tui-agent` in a pty of 120x40, with this environment and no other."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tui_agent.cli", "--server", f"unix:{server.address}", "--user", "ada",
        stdin=theirs, stdout=theirs, stderr=theirs, env=env | environ, start_new_session=True, cwd=home,
    )  # fmt: skip
    os.close(theirs)
    screen = Terminal(ours)
    try:
        yield screen
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 10)
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)


@pytest.mark.parametrize(
    ("environ", "before", "behind"),
    [
        ({"TERM": "xterm-256color"}, None, BELL),
        ({"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}, b"\x1b]9;", BELL),
        (TMUX | {"KITTY_WINDOW_ID": "1"}, b"\x1bPtmux;\x1b\x1b]9;", BELL + b"\x1b\\" + BELL),
    ],
    ids=["xterm", "kitty", "tmux"],
)
async def test_a_task_that_ends_unseen_is_told_to_the_terminal(
    tmp_path: Path, environ: dict[str, str], before: bytes | None, behind: bytes
) -> None:
    def told(words: bytes) -> bytes:
        return behind if before is None else before + b"tui-agent: " + words + behind

    worker = HeldWorker(steps=1)
    async with served(tmp_path, worker=worker) as server, terminal(server, tmp_path, **environ) as screen:
        await screen.wait(b"This room is empty")
        await screen.enter(b"/task read everything")
        async with asyncio.timeout(25):
            while "read" not in worker.began:
                await asyncio.sleep(0.01)
        screen.type(FOCUS_OUT)
        await asyncio.sleep(0.5)  # the app says nothing about a focus that it lost
        ended, tested = told(b"Your task is done: read everything"), told(b"This is a test notification.")
        assert screen.count(ended) == 0
        begin = len(screen.seen)
        worker.let("read")
        await screen.wait(ended, begin)
        await screen.wait(b"read is done", begin)
        screen.type(FOCUS_IN)
        await screen.enter(b"/notify test")
        await screen.wait(tested, begin, times=2 if tested == ended else 1)
        assert screen.count(ended, begin) == (2 if tested == ended else 1), "told once"
        assert screen.count(b"\x1b]9;", begin) == (0 if before is None else 2)
