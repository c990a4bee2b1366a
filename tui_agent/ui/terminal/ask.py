"""Asks the terminal for its background before the app starts: light or dark (OSC 11). Imports nothing heavy.

`ask` sends the question and returns; while it is under way the imports of the app run, so that it costs nothing.
`Question.end` reads what came. A terminal that does not know the question answers the one behind it (DA1), one that
knows neither costs WAIT_S at most; a reply that comes later is dropped by the parser (parser.py).
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import termios
import time
from collections.abc import Mapping
from typing import Any, Final

WAIT_S: Final = 0.15  # from the question on
typed_ahead: list[bytes] = []  # what was read and is no reply: the person typed it; the driver reads it first

_QUESTION: Final = b"\x1b]11;?\x1b\\\x1b[c"
_HEX: Final = rb"([0-9a-fA-F]{1,4})"
_COLOUR: Final = re.compile(rb"\x1b\]11;rgba?:" + _HEX + b"/" + _HEX + b"/" + _HEX + rb"[^\x07\x1b]*(?:\x07|\x1b\\)")
_DEVICE: Final = re.compile(rb"\x1b\[\?[\d;]*c")


class Question:
    """A question under way; the terminal does not echo until `end`."""

    def __init__(self, fd_in: int, fd_out: int) -> None:
        self._fd = fd_in
        self._asked_s = time.monotonic()
        self._before: list[Any] | None = termios.tcgetattr(fd_in)
        quiet = termios.tcgetattr(fd_in)
        quiet[3] &= ~(termios.ECHO | termios.ICANON)
        quiet[6][termios.VMIN], quiet[6][termios.VTIME] = 1, 0
        termios.tcsetattr(fd_in, termios.TCSANOW, quiet)
        os.write(fd_out, _QUESTION)

    def end(self) -> bool | None:
        """Whether the background is dark; None when the terminal did not say. Restores the terminal's mode."""
        if self._before is None:
            return None
        came = b""
        try:
            while not _DEVICE.search(came):
                left_s = self._asked_s + WAIT_S - time.monotonic()
                if not select.select([self._fd], [], [], max(0.0, left_s))[0]:
                    break
                piece = os.read(self._fd, 4096)
                if not piece:
                    break
                came += piece
        except OSError:
            pass
        finally:
            before, self._before = self._before, None
            termios.tcsetattr(self._fd, termios.TCSANOW, before)
        is_dark = is_dark_reply(came)
        rest = _DEVICE.sub(b"", _COLOUR.sub(b"", came), count=1)
        if rest:
            typed_ahead.append(rest)
        return is_dark


def ask(environ: Mapping[str, str]) -> Question | None:
    """Send the question; None where there is nobody to ask."""
    if environ.get("TERM", "dumb") in ("dumb", "linux", "unknown", ""):
        return None
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)  # before the app's own: the mode must go back
    try:
        return Question(0, 1)
    except (OSError, termios.error):
        return None


def _leave(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def is_dark_reply(came: bytes) -> bool | None:
    """What a reply to OSC 11 says; None when there is none in it."""
    match = _COLOUR.search(came)
    if match is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in match.groups())
    return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5)


def is_dark_by_environment(environ: Mapping[str, str]) -> bool | None:
    """`COLORFGBG=15;0`, which rxvt, Konsole and others set."""
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return None if not background.isdecimal() else int(background) in (0, 1, 2, 3, 4, 5, 6, 8)
