"""A block of Markdown at a width -> rows of spans. Pure.

Looks are words that the screen has styles for: "strong", "code", "heading1", "mark", "bar", "block comment" …; several
apply one after the other.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from tui_agent.state.markdown_block import Block, Mark
from tui_agent.state.markdown_code import spans_of
from tui_agent.state.markdown_inline import Run, parse_inline
from tui_agent.state.wrap import Row, Span, cells, cut, wrap

NARROWEST: Final = 12  # cells that the containers leave to the text
COPY: Final = "copy"
QUOTE_BAR: Final = "▎ "
CODE_BAR: Final = "▌ "


def lay_out(block: Block, width: int, *, is_open: bool = False) -> list[Row]:
    """The rows of a block, with the empty row before it where there is one. `is_open`: more of it may come."""
    marks = block.marks
    while marks and sum([_mark_width(mark) for mark in marks]) > max(0, width - NARROWEST):
        marks = marks[:-1]
    room = max(2, width - sum([_mark_width(mark) for mark in marks]))
    match block.kind:
        case "text":
            rows = wrap(_spans(block, "", is_open), room)
        case "heading":
            rows = wrap(_spans(block, f"heading{block.level}", is_open), room)
        case "rule":
            rows = [[Span("─" * room, "rule")]]
        case "table":
            assert block.table is not None
            rows = block.table.lay_out(block.rows, room, with_head=block.is_first)
            rows = [_clipped(row, room) for row in rows]
        case "code":
            rows = _code(block, room)
    if marks:
        rows = [_heads(marks, block.fresh if number == 0 else len(marks)) + row for number, row in enumerate(rows)]
    if block.gap:
        rows.insert(0, _heads(marks[: block.shared], len(marks)))
    return rows


def _mark_width(mark: Mark) -> int:
    return 2 if mark.kind == "quote" else cells(mark.text)


def _heads(marks: tuple[Mark, ...], fresh: int) -> Row:
    """What stands before a row's text: bars of quotes, and the marks of list items that begin in it."""
    row: Row = []
    for number, mark in enumerate(marks):
        if mark.kind == "quote":
            row.append(Span(QUOTE_BAR, "bar"))
        elif number >= fresh:
            row.append(Span(mark.text, "mark"))
        else:
            row.append(Span(" " * cells(mark.text), ""))
    return row


def _spans(block: Block, look: str, is_open: bool) -> list[Span]:
    if block.marks and any(mark.kind == "quote" for mark in block.marks):
        look = f"{look} quoted".lstrip()
    if block.marks and block.marks[-1].is_done:
        look = f"{look} done".lstrip()
    content = block.content.rstrip() if not is_open else block.content
    runs = parse_inline(content, is_open=is_open, links=block.links)
    source = _Source(block.places)
    return [
        Span(run.text, f"{look} {run.look}".strip() if look else run.look, *source.of(run), run.link) for run in runs
    ]


class _Source:
    """From places in a block's content to places in the source."""

    def __init__(self, places: list[tuple[int, int]]) -> None:
        self._places = places
        self._begins = [begin for begin, _ in places]

    def of(self, run: Run) -> tuple[int, int]:
        start, end = self._of(run.start), self._of(run.end)
        return start, max(start, end)

    def _of(self, at: int) -> int:
        if len(self._places) == 1:
            return self._places[0][1] + at - self._places[0][0]
        begin, source = self._places[max(0, bisect_right(self._begins, at) - 1)]
        return source + at - begin


def _code(block: Block, room: int) -> list[Row]:
    text, fence = block.content, block.fence
    found: list[tuple[int, int, str]] = []
    if fence is not None and fence.language:
        finished = text[: max(0, block.places[-1][0] - 1)] if block.level and block.places else text
        found = fence.looks(block.segment, finished)
    lines = spans_of(text, block.places, found, _code_look)
    if not block.places:
        lines = [[]]
    inner = max(2, room - 4)
    label = _label(block, inner)
    rows: list[Row] = []
    for line in lines:
        for part in wrap(line, inner, at_spaces=False):
            used = sum([cells(span.text) for span in part])
            row: Row = [Span(CODE_BAR, "block block_bar"), Span(" ", "block"), *part]
            right = inner - used + 1
            if label and (width := sum([cells(span.text) for span in label])) <= right - 2:
                row.append(Span(" " * (right - width), "block"))
                row += label
                label = []
            else:
                row.append(Span(" " * right, "block"))
            rows.append(row)
    return rows


def _label(block: Block, inner: int) -> list[Span]:
    """`python  copy`, at the right of the first row that has room."""
    if not block.is_first or inner < 24:
        return []
    language = block.fence.language if block.fence is not None else ""
    name = [Span(f"{language}  ", "block faint")] if language else []
    return [*name, Span("copy", f"block faint {COPY}"), Span(" ", "block")]


def _code_look(kind: str) -> str:
    return f"block code_{kind}" if kind else "block"


def _clipped(row: Row, room: int) -> Row:
    """Where not even the narrowest columns fit, the rest is cut off."""
    used = 0
    for number, span in enumerate(row):
        size = cells(span.text)
        if used + size > room:
            kept = len(span.text)
            while kept and used + cells(span.text[:kept]) > room:
                kept -= 1
            return [*row[:number], cut(span, 0, kept)] if kept else row[:number]
        used += size
    return row
