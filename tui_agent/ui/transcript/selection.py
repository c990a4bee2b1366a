"""What is selected, as places in the entries' texts, so that it stays when rows wrap anew; its text as it was written.

Pure.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_MARKS: Final = re.compile(r"[*_~`]+")
_LINE_HEAD: Final = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)]|#{1,6})[ \t]+(?:\[[ xX]\][ \t]+)?|[ \t>]*)$")
_WORD: Final = re.compile(r"\w+|[^\w\s]+")


class Place(NamedTuple):
    """A cell of the transcript: what it shows of an entry's text."""

    key: str
    start: int
    end: int


class Selection(NamedTuple):
    """From one place to another, whichever comes first."""

    anchor: Place
    head: Place


def source_of(text: str, start: int, end: int) -> str:
    """The part of an entry's text, with the marks that belong to it: `**bold**` when all of "bold" is selected, and
    what begins the line (`- `, `## `) when the selection goes over more than that line."""
    if start >= end:
        return ""
    line = text.rfind("\n", 0, start) + 1
    newline = text.find("\n", start)
    if 0 <= newline < end and _LINE_HEAD.fullmatch(text, line, start):
        start = line
    before = start
    while before > line and text[before - 1] in "*_~`":
        before -= 1
    found = _MARKS.match(text, end)
    behind = found.end() if found is not None else end
    choices = ((before, behind), (start, end), (before, end), (start, behind))
    return next((text[a:b] for a, b in choices if _is_even(text[a:b])), text[start:end])


def _is_even(text: str) -> bool:
    return all(text.count(mark) % 2 == 0 for mark in "*_~`")


def word_at(text: str, offset: int) -> tuple[int, int]:
    """The word (or the run of signs) that stands there; empty between words."""
    line = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    for found in _WORD.finditer(text, line, len(text) if end < 0 else end):
        if found.start() <= offset < found.end():
            return found.span()
        if found.start() > offset:
            break
    return offset, offset


def word_edge(text: str, offset: int, direction: int) -> int:
    """The end of the word from there on, or the beginning of the one before."""
    if direction > 0:
        found = _WORD.search(text, offset)
        return found.end() if found is not None else len(text)
    begin = max(0, offset - 400)
    starts = [found.start() for found in _WORD.finditer(text, begin, offset)]
    return starts[-1] if starts else begin if begin else 0
