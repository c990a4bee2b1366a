"""Runs of text -> rows of a width: at spaces where possible, through long words where not. Pure.

Cells are counted as the screen counts them (rich's tables, by grapheme), so a wide character or an emoji is never cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len, split_graphemes

TAB: Final = 4


class Span(NamedTuple):
    """Text of one look in a row. `start` and `end`: what it shows of the entry's text; -1 when it is decoration."""

    text: str
    look: str
    start: int = -1
    end: int = -1
    link: str = ""


Row = list[Span]


def cells(text: str) -> int:
    """How many cells a text takes."""
    return len(text) if text.isascii() else cell_len(text)


def cut(span: Span, start: int, end: int) -> Span:
    """The part of a span from character `start` to `end`."""
    text = span.text[start:end]
    if span.start < 0 or span.end - span.start != len(span.text):
        return span._replace(text=text)  # decoration, or one thing: an entity, an escape
    return Span(text, span.look, span.start + start, span.start + end, span.link)


def wrap(spans: Sequence[Span], width: int, *, at_spaces: bool = True) -> list[Row]:
    """Rows of at most `width` cells (at least 2). Newlines end rows. An empty text is one empty row."""
    width = max(2, width)
    rows: list[Row] = []
    line: list[Span] = []
    for span in spans:
        if "\n" not in span.text:
            line.append(_untabbed(span) if "\t" in span.text else span)
            continue
        at = 0
        while (newline := span.text.find("\n", at)) >= 0:
            if newline > at:
                line.append(_untabbed(cut(span, at, newline)))
            rows += _wrapped(line, width, at_spaces)
            line, at = [], newline + 1
        if at < len(span.text):
            line.append(_untabbed(cut(span, at, len(span.text))))
    return rows + _wrapped(line, width, at_spaces)


def _untabbed(span: Span) -> Span:
    return span._replace(text=span.text.replace("\t", " " * TAB)) if "\t" in span.text else span


def _wrapped(line: list[Span], width: int, at_spaces: bool) -> list[Row]:
    text = line[0].text if len(line) == 1 else "".join([span.text for span in line])
    if text.isascii():
        if len(text) <= width:
            return [line]
        places = _ascii_places(text, width, at_spaces)
    else:
        places = _places(text, width, at_spaces)
        if len(places) == 1 and places[0] == (0, len(text)):
            return [line]
    return _sliced(line, places)


def _sliced(line: list[Span], places: list[tuple[int, int]]) -> list[Row]:
    rows: list[Row] = []
    number, offset = 0, 0  # the span that the row begins in, and where that span begins in the text
    for start, end in places:
        while number < len(line) - 1 and offset + len(line[number].text) <= start:
            offset += len(line[number].text)
            number += 1
        row: Row = []
        at, here = offset, number
        while here < len(line) and at < end:
            span = line[here]
            length = len(span.text)
            if start <= at and at + length <= end:
                row.append(span)
            else:
                row.append(cut(span, max(0, start - at), min(length, end - at)))
            at += length
            here += 1
        rows.append(row)
    return rows


def _ascii_places(text: str, width: int, at_spaces: bool) -> list[tuple[int, int]]:
    places: list[tuple[int, int]] = []
    start, length = 0, len(text)
    while length - start > width:
        end = text.rfind(" ", start + 1, start + width + 1) if at_spaces else -1
        if end < 0 or not text[start:end].strip():
            places.append((start, start + width))
            start += width
            continue
        kept = end
        while text[kept - 1] == " ":
            kept -= 1
        places.append((start, kept))
        start = end + 1
        while start < length and text[start] == " ":
            start += 1
    if start < length or not places:
        places.append((start, length))
    return places


def _places(text: str, width: int, at_spaces: bool) -> list[tuple[int, int]]:
    """The same for any text, by grapheme; wide characters may be parted from what follows them."""
    graphemes, _ = split_graphemes(text)
    places: list[tuple[int, int]] = []
    start, used = 0, 0  # where the row begins, and its cells
    best_end, best_next, best_used = -1, 0, 0  # the last place to break, where the next row begins, cells until there
    was_wide = False
    is_skipping = False  # spaces behind a break
    for at, _behind, size in graphemes:
        is_space = text[at] == " "
        if is_skipping and is_space:
            start = best_next = at + 1
            continue
        is_skipping = False
        if at_spaces and at > start:
            if is_space:
                best_end, best_next, best_used = at, at + 1, used + 1
            elif was_wide or size == 2:
                best_end, best_next, best_used = at, at, used
        if used + size > width:
            if is_space and at_spaces:
                places.append((start, at))
                start, used, best_end, is_skipping, was_wide = at + 1, 0, -1, True, False
                continue
            if best_end > start and text[start:best_end].strip():
                places.append((start, len(text[:best_end].rstrip(" ")) if best_next > best_end else best_end))
                start, used = best_next, used - best_used
            else:
                places.append((start, at))
                start, used = at, 0
            best_end = -1
        used += size
        was_wide = size == 2
    if start < len(text) or not places:
        places.append((start, len(text)))
    return places
