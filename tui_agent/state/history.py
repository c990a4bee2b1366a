"""Earlier inputs: walking through them with the arrow keys, searching them, and the lines of their file. Pure.

The file is JSON lines, `{"text": "…", "time_s": 1.0}`. A line that is not ours (of a later version, or broken) is
left as it is when the file is cut short.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

MOST_INPUTS: Final = 1000
MOST_TEXT: Final = 60_000  # characters of one; what is longer was never sent


class Line(msgspec.Struct, omit_defaults=True):
    """One input of the file."""

    text: str
    time_s: float = 0.0


_decode = msgspec.json.Decoder(Line).decode
_encode = msgspec.json.Encoder().encode


def read_lines(data: bytes) -> list[str]:
    """The inputs of a file, oldest first; what cannot be read is left out."""
    texts: list[str] = []
    for raw in data.split(b"\n"):
        line = _read(raw)
        if line is not None:
            texts.append(line.text)
    return texts[-MOST_INPUTS:]


def write_line(text: str, time_s: float) -> bytes:
    """An input as a line of the file."""
    return _encode(Line(text, time_s)) + b"\n"


def shorten(data: bytes, most: int = MOST_INPUTS) -> bytes:
    """The file with the newest `most` inputs, each once, and every line that is not ours where it stood."""
    kept: list[bytes] = []
    seen: set[str] = set()
    for raw in reversed(data.split(b"\n")):
        if not raw.strip():
            continue
        line = _read(raw)
        if line is None:
            kept.append(raw)
        elif line.text not in seen and len(seen) < most:
            seen.add(line.text)
            kept.append(raw)
    return b"".join(raw + b"\n" for raw in reversed(kept))


def _read(raw: bytes) -> Line | None:
    if not raw.startswith(b"{"):
        return None
    try:
        line = _decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    return line if line.text.strip() and len(line.text) <= MOST_TEXT else None


def is_worth_keeping(text: str, newest: str | None) -> bool:
    """Not: nothing, the same again, what is too long, and what begins with a space (as in a shell)."""
    return bool(text.strip()) and text != newest and len(text) <= MOST_TEXT and not text.startswith(" ")


class Inputs:
    """The earlier inputs, and where a person stands among them."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._texts = list(texts)[-MOST_INPUTS:]
        self._place = len(self._texts)  # len: below the newest, at what is being written
        self._written = ""

    @property
    def newest(self) -> str | None:
        return self._texts[-1] if self._texts else None

    def add(self, text: str) -> bool:
        """An input was sent; whether it is kept. Back to the bottom."""
        is_kept = is_worth_keeping(text, self.newest)
        if is_kept:
            self._texts.append(text)
            del self._texts[:-MOST_INPUTS]
        self.rest()
        return is_kept

    def extend(self, texts: Iterable[str]) -> None:
        """Inputs of earlier times, read meanwhile; they stand before those of this one."""
        self._texts = [*texts, *self._texts][-MOST_INPUTS:]
        self.rest()

    def rest(self) -> None:
        """Back to the bottom."""
        self._place, self._written = len(self._texts), ""

    def older(self, shown: str) -> str | None:
        """The input before the one that is shown; None at the oldest."""
        if self._place == len(self._texts):
            self._written = shown
        while self._place > 0:
            self._place -= 1
            if self._texts[self._place] != shown:
                return self._texts[self._place]
        return None

    def newer(self, shown: str) -> str | None:
        """The input after the one that is shown, at last what was being written; None at the bottom."""
        if self._place == len(self._texts):
            return None
        while self._place < len(self._texts) - 1:
            self._place += 1
            if self._texts[self._place] != shown:
                return self._texts[self._place]
        written = self._written
        self.rest()
        return written

    def search(self, query: str, most: int = 200) -> list[str]:
        """Inputs with all words of the query, newest first, each once."""
        words = query.lower().split()
        found: dict[str, None] = {}
        for text in reversed(self._texts):
            if len(found) >= most:
                break
            lower = text.lower()
            if all(word in lower for word in words):
                found.setdefault(text)
        return list(found)


def first_line(text: str, width: int) -> str:
    """An input on one line of `width` characters, for a list."""
    lines: Sequence[str] = text.strip().split("\n", 1)
    more = " …" if len(lines) > 1 else ""
    line = " ".join(lines[0][: width * 2].split())
    return line + more if len(line) + len(more) <= width else line[: max(0, width - 1)] + "…"
