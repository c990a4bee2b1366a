"""A program in a real pseudo-terminal, all its bytes kept, a screen by pyte, and an oracle of what it may write.

The oracle is an allow-list: every escape sequence must be of a kind that a full-screen program needs, no sequence may
bear MARK (which every hostile payload puts into its parameters), and no byte of the kinds that reorder, hide or
command may stand in the text.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyte

from tests.fakes.cells import lines_of

ROOT = Path(__file__).resolve().parents[2]
MARK: Final = "98765"

# Kinds of sequences, by their bytes with all numbers left out.
ALLOWED: Final = {
    # colours, cursor, erasing
    "CSI m", "CSI H", "CSI J", "CSI K", "CSI A", "CSI B", "CSI C", "CSI D", "CSI G", "CSI r",
    # modes: alternate screen, mouse, focus, bracketed paste, synchronized output, in-band resize; and their questions
    "CSI ?h", "CSI ?l", "CSI ?$p",
    # the keyboard protocol of kitty, the device's attributes, the title's stack
    "CSI >u", "CSI <u", "CSI =u", "CSI ?u", "CSI c", "CSI t", "CSI n",
    # the title (its text is judged apart), the background's colour asked, the end of a string, keypad and charset
    "OSC 0", "OSC 11 ?", "ESC \\", "ESC =", "ESC >", "ESC 7", "ESC 8", "ESC (",
}  # fmt: skip
_SEQUENCE: Final = re.compile(
    "\x1b(?:"
    r"\[(?P<csi>[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e])"
    "|\\](?P<osc>[^\x07\x1b]*)(?:\x07|\x1b\\\\)"
    "|(?P<string>[PX^_])(?P<body>[^\x1b]*)(?:\x1b\\\\)?"
    r"|(?P<esc>[\x20-\x2f]*[\x30-\x7e])"
    ")"
)
_FORBIDDEN: Final = re.compile(
    "[\x00-\x07\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
    "\u2028\u2029\U000e0000-\U000e007f]"
)


def violations(output: bytes) -> list[str]:
    """What the program wrote and should not have."""
    text = output.decode("utf-8", "replace")
    found: list[str] = []
    plain: list[str] = []
    place = 0
    for match in _SEQUENCE.finditer(text):
        plain.append(text[place : match.start()])
        place = match.end()
        kind = _kind(match)
        if kind == "OSC 0":
            title = match["osc"][2:]
            if not title.isprintable() or len(title) > 80 or MARK in title:
                found.append(f"title {title!r}")
        elif kind == "OSC 22" and match["osc"][3:] in ("default", "pointer", "text"):
            pass  # the mouse pointer's shape
        elif kind not in ALLOWED or MARK in match[0]:
            found.append(f"{kind} {match[0][:60]!r}")
    plain.append(text[place:])
    for piece in plain:
        found += [f"U+{ord(char):04X} beside {piece[:40]!r}" for char in set(_FORBIDDEN.findall(piece))]
        if "\x1b" in piece:
            found.append(f"a lone ESC in {piece[:40]!r}")
    return found


def _kind(match: re.Match[str]) -> str:
    if match["csi"] is not None:
        return "CSI " + re.sub(r"[0-9;:]", "", match["csi"])
    if match["osc"] is not None:
        number, _, rest = match["osc"].partition(";")
        return f"OSC {number} ?" if rest == "?" else f"OSC {number}"
    if match["string"] is not None:
        return f"ESC {match['string']} string"
    return f"ESC {match['esc'][:1] if match['esc'][:1] == '(' else match['esc']}"


class Terminal:
    """A program in a pty; use as an async context manager. `output` has every byte it wrote."""

    def __init__(self, *command: str, folder: Path, columns: int = 100, rows: int = 30, **env: str) -> None:
        self.command = command
        self.env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder),
            "TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT),
            "XDG_RUNTIME_DIR": str(folder), "XDG_STATE_HOME": str(folder),
            "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "COLORTERM": "truecolor",
        } | env  # fmt: skip
        self.columns, self.rows = columns, rows
        self.output = bytearray()
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.slow_bytes_s: float = 0.0  # over 0: the terminal takes so many bytes a second
        self.answers_questions = True
        self.pid = 0
        self.master = -1
        self.status: int | None = None
        self.before: list[Any] = []
        self._changed = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Terminal:
        self.master, slave = pty.openpty()
        self.resize(self.columns, self.rows)
        self.before = termios.tcgetattr(slave)
        self._process = await asyncio.create_subprocess_exec(
            *self.command, stdin=slave, stdout=slave, stderr=slave, env=self.env, start_new_session=True,
            cwd=self.env["HOME"], preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self.pid = self._process.pid
        self.slave = slave
        os.set_blocking(self.master, False)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        await self._process.wait()
        assert self._reader is not None
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        os.close(self.master)
        os.close(self.slave)

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self.master, readable.set)
        try:
            while True:
                await readable.wait()
                readable.clear()
                try:
                    data = os.read(self.master, 65_536 if not self.slow_bytes_s else 512)
                except BlockingIOError:
                    continue
                except OSError:
                    return
                self._take(data)
                if self.slow_bytes_s:
                    await asyncio.sleep(len(data) / self.slow_bytes_s)
                    readable.set()
        finally:
            loop.remove_reader(self.master)

    def _take(self, data: bytes) -> None:
        self.output += data
        with contextlib.suppress(Exception):  # pyte does not know every sequence
            self._stream.feed(data)
        if self.answers_questions and b"\x1b[c" in data:
            self.type(b"\x1b[?62;c")
        self._changed.set()

    def type(self, keys: bytes | str) -> None:
        os.write(self.master, keys.encode() if isinstance(keys, str) else keys)

    async def enter(self, line: str) -> None:
        """A line as a person types it: its Enter comes apart, or it would be a paste."""
        self.type(line)
        await asyncio.sleep(0.2)
        self.type("\r")

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def text(self) -> str:
        """What stands on the screen."""
        return "\n".join(lines_of(self.screen))

    async def wait(self, condition: Callable[[], object] | str, within_s: float = 30) -> None:
        """Until the screen has that text, or the condition holds."""
        holds = (lambda: condition in self.text) if isinstance(condition, str) else condition
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    if self._process.returncode is not None and self._reader is not None and self._reader.done():
                        break
                    self._changed.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), 0.25)
        except TimeoutError:
            raise AssertionError(
                f"{condition if isinstance(condition, str) else 'it'} never came:\n{self.text}"
            ) from None
        assert holds(), f"the program has ended:\n{self.text}"

    async def wait_end(self, within_s: float = 20) -> int:
        """The exit status (negative: the signal)."""
        async with asyncio.timeout(within_s):
            status = await self._process.wait()
        deadline_s = time.monotonic() + 1
        while time.monotonic() < deadline_s:
            size = len(self.output)
            await asyncio.sleep(0.05)
            if len(self.output) == size:
                break
        return status

    def is_restored(self) -> list[str]:
        """What of the terminal's state was not given back."""
        text = self.output.decode("utf-8", "replace")
        wrong = []
        for mode in re.findall(r"\x1b\[\?(1049|1000|1002|1003|1006|1015|1004|2004)h", text):
            if text.rfind(f"\x1b[?{mode}l") < text.rfind(f"\x1b[?{mode}h"):
                wrong.append(f"mode {mode} is still on")
        if text.rfind("\x1b[?25l") > text.rfind("\x1b[?25h"):
            wrong.append("the cursor is hidden")
        if text.count("\x1b[>1u") > text.count("\x1b[<u"):
            wrong.append("the keyboard protocol is still on")
        now = termios.tcgetattr(self.slave)
        for place, name in enumerate(("input", "output", "control", "local")):
            if now[place] != self.before[place]:
                wrong.append(f"{name} flags {now[place]:x}, before {self.before[place]:x}")
        if "Traceback" in text:
            wrong.append("a traceback")
        return wrong
