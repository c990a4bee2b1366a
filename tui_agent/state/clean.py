"""Untrusted text -> text that cannot command a terminal. Once, where foreign text is decoded.

Textual strips BEL, BS, VT, FF and CR only; ESC and the rest would reach the tty (OSC 52 writes the clipboard, DSR types
into the app). Character by character, so it is safe on pieces of a stream:

    newline, tab                         kept (who draws expands the tab)
    CR LF                                LF
    other C0, DEL                        their control pictures (U+2400 ...): shown as themselves
    C1, surrogates, U+2028, U+2029       U+FFFD
    bidi controls, zero-width, tags      dropped (ZWJ kept: emoji need it)
    more than 4 combining marks in a row cut at 4
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from tui_agent.state.marks import MARKS

MOST_MARKS: Final = 4


def _table() -> dict[int, str | None]:
    table: dict[int, str | None] = {code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)}
    table[0x7F] = "\u2421"
    replaced = [*range(0x80, 0xA0), *range(0xD800, 0xE000), 0x2028, 0x2029]
    table.update(dict.fromkeys(replaced, "\ufffd"))
    dropped = [
        *(0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)),  # bidi
        *(0x00AD, 0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x200B, 0x200C, *range(0x2060, 0x2066)),  # unseen
        *(*range(0x206A, 0x2070), 0x3164, 0xFEFF, 0xFFA0, *range(0xFFF9, 0xFFFC)),
        *range(0xE0000, 0xE0080),  # tags
    ]
    table.update(dict.fromkeys(dropped, None))
    return table


_TABLE: Final = _table()
_BAD: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# A class within the BMP is a bitmap for `re` (30 ns a character), one beyond it a list of ranges (600 ns).
# Compiled when the first such text comes: that takes 10 ms, which no start has to pay.


@cache
def _run(is_beyond_bmp: bool) -> re.Pattern[str]:
    marks = MARKS if is_beyond_bmp else re.sub(r"[^\0-\uffff](-[^\0-\uffff])?", "", MARKS)
    return re.compile(f"([{marks}]{{{MOST_MARKS}}})[{marks}]+")


@cache
def _leading() -> re.Pattern[str]:
    return re.compile(f"[{MARKS}]*")


def _replacement(bad: re.Match[str]) -> str:
    return _TABLE[ord(bad[0])] or ""


def clean_text(text: str) -> str:
    """A whole text, lines kept."""
    cleaner = Cleaner()
    return cleaner.feed(text) + cleaner.end()


def clean_line(text: str) -> str:
    """A text for one line (a name, a title): newlines and tabs become spaces."""
    return " ".join(clean_text(text).split())


class Cleaner:
    """Cleans a text that comes in pieces: the joined results are the cleaned whole."""

    __slots__ = ("_has_cr", "_marks")

    def __init__(self) -> None:
        self._has_cr = False  # a CR came last: a LF may follow
        self._marks = 0  # combining marks that the text so far ends with, at most MOST_MARKS

    def feed(self, piece: str) -> str:
        """The next piece, cleaned; a CR at its end is held back until it is known what follows."""
        if self._has_cr:
            piece = "\r" + piece
            self._has_cr = False
        if piece.isascii() and not _BAD.search(piece):
            if piece:
                self._marks = 0
            return piece
        if piece.endswith("\r"):
            self._has_cr = True
            piece = piece[:-1]
        return self._clean(piece.replace("\r\n", "\n"))

    def end(self) -> str:
        """What was held back."""
        if not self._has_cr:
            return ""
        self._has_cr = False
        return self._clean("\r")

    def _clean(self, text: str) -> str:
        text = _BAD.sub(_replacement, text)
        if not text or text.isascii():
            self._marks = 0 if text else self._marks
            return text
        leading = _leading().match(text)
        assert leading is not None
        length = leading.end()
        if length:
            kept = min(length, MOST_MARKS - self._marks)
            text = text[:kept] + text[length:]
            if len(text) == kept:
                self._marks += kept
                return text
            length = kept
        rest = _run(max(text) > "\uffff").sub(r"\1", text[length:])
        self._marks = 0
        while self._marks < min(MOST_MARKS, len(rest)) and _leading().fullmatch(rest, len(rest) - self._marks - 1):
            self._marks += 1
        return text[:length] + rest
