"""The whole program on a pseudo terminal: bytes in, screen out, and whether the terminal was given back."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.pty import Screen

ROOT = Path(__file__).parents[3]
CODE = "import sys; from tui_agent.cli import main; sys.exit(main())"


class Terminal(Screen):
    """The program, and what it wrote."""

    def __init__(
        self, home: Path, *arguments: str, size: tuple[int, int] = (80, 24), code: str = CODE, to: str = "", **env: str
    ) -> None:
        """`to`: redirections as a shell has them."""
        environ = {
            "PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm-256color",
            "LOGNAME": "ada", "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(home), **env,
        }  # fmt: skip
        environ |= {f"XDG_{name}": str(home) for name in ("STATE_HOME", "DATA_HOME", "CONFIG_HOME")}
        command = [sys.executable, "-P", "-c", code, *arguments]
        super().__init__(["sh", "-c", f'exec "$@" {to}', "sh", *command] if to else command, environ, size)
        self.mode = termios.tcgetattr(self.fd)

    async def shows(self, words: str, within_s: float = 20) -> None:
        await asyncio.to_thread(self.wait_for, words, within_s)

    async def types(self, text: str) -> None:
        """Text, and Enter a moment later, as a person does: at once it would be a paste."""
        self.send(text.encode())
        await self.shows(text)
        await asyncio.sleep(0.1)
        self.send(b"\r")

    async def ends(self, within_s: float = 20) -> int:
        """Its exit status."""
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self.read(0.05):
                    pass
                return os.waitstatus_to_exitcode(status)
            await asyncio.to_thread(self.read, 0.05)
        raise AssertionError(f"it did not end:\n{self.text}")

    def assert_given_back(self) -> None:
        """Alternate screen, mouse, paste mode, keyboard protocol and cursor as before, echo on again."""
        for mode in (1049, 1000, 1003, 1006, 2004, 1004):
            last = re.findall(rb"\x1b\[\?%d([hl])" % mode, self.raw)[-1:]
            assert last == [b"l"], mode
        assert re.findall(rb"\x1b\[\?25([hl])", self.raw)[-1:] == [b"h"]
        assert self.raw.count(b"\x1b[>") == self.raw.count(b"\x1b[<u")
        assert termios.tcgetattr(self.fd) == self.mode
        assert b"Traceback" not in self.raw


@contextmanager
def terminal(place: Any, *arguments: str, **options: Any) -> Iterator[Terminal]:
    home, _agent, server = place
    with Terminal(home, *server, *arguments, **options) as screen:
        yield screen
