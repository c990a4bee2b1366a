"""One entry as rows: its head, its body in blocks, its foot. Laid out where it is looked at, estimated elsewhere. Pure.

The open answer's view takes more text at its own cost; only blocks that may still change are laid out again.
"""

from __future__ import annotations

import time
from typing import Final

from textual.strip import Strip

from tui_agent.state.entry import Entry
from tui_agent.state.markdown import Document
from tui_agent.state.markdown_block import Block
from tui_agent.state.markdown_layout import lay_out
from tui_agent.state.plain import lay_out_plain, plain_blocks
from tui_agent.state.wrap import Row, Span, wrap
from tui_agent.ui.transcript.heights import Heights

FOLD_ROWS: Final = 4
FOLD_CHARS: Final = 2000  # of a folded text that are looked at
OPENS: Final = "opens"
_DIM_KINDS: Final = ("notice", "help", "day", "new_since")


class Part:
    """Some rows of an entry: fixed ones, or a block that is laid out when it is looked at."""

    __slots__ = ("block", "height", "is_open", "is_plain", "rows", "strips", "width")

    def __init__(self, block: Block | None = None, rows: list[Row] | None = None) -> None:
        self.block = block
        self.rows = rows
        self.height = 0 if rows is None else len(rows)
        self.width = 0  # that the rows are for
        self.strips: list[Strip | None] | None = None
        self.is_plain = False
        self.is_open = False

    def lay_out(self, width: int) -> None:
        """Make the rows for this width."""
        if self.block is None or (self.width == width and self.rows is not None):
            return
        if self.is_plain:
            self.rows = lay_out_plain(self.block, width)
        else:
            self.rows = lay_out(self.block, width, is_open=self.is_open)
        self.width, self.height, self.strips = width, len(self.rows), None

    def estimate(self, width: int) -> int:
        """About how many rows it will have."""
        block = self.block
        if block is None or self.rows is not None:
            return self.height
        if block.kind == "table":
            rows = len(block.rows) + (2 if block.is_first else 0)
        elif block.kind == "code":
            rows = len(block.places)
        else:
            rows = len(block.content) // max(8, width) + 1 + (block.content.count("\n") if self.is_plain else 0)
        return rows + block.gap


class View:
    """An entry's rows. `lead`: the words of lines above it (a day, "new since 14:02")."""

    def __init__(self, entry: Entry, text: str, width: int, *, lead: tuple[str, ...], is_folded: bool) -> None:
        self.entry = entry
        self.width = width
        self.is_folded = is_folded
        self.lead = lead
        self.parts: list[Part] = []
        self.heights = Heights()
        self._document: Document | None = None
        self._closed = 0  # parts until here stay
        self._taken = 0  # blocks of the document that are parts
        self._add(self._head())
        self._body(text)
        self._finish()

    @property
    def height(self) -> int:
        return self.heights.total

    # ---- what it is made of ---------------------------------------------------------------------------

    def _add(self, part: Part) -> None:
        part.height = part.estimate(self.width)
        self.parts.append(part)
        self.heights.append(part.height)

    def _body(self, text: str) -> None:
        entry = self.entry
        if entry.kind in _DIM_KINDS or not text:
            self._closed = len(self.parts)
            if entry.has_markdown and not text:
                self._document = Document()
            return
        if self.is_folded:
            self._folded(text)
        elif entry.has_markdown:
            self._document = Document()
            self._document.feed(text)
            self._take()
        else:
            for block in plain_blocks(text):
                part = Part(block)
                part.is_plain = True
                self._add(part)
        self._closed = len(self.parts)

    def _folded(self, text: str) -> None:
        rows: list[Row] = []
        is_all = len(text) <= FOLD_CHARS
        begin = text[:FOLD_CHARS]
        if self.entry.has_markdown:
            document = Document()
            document.feed(begin)
            blocks = document.blocks + document.tail()
        else:
            blocks = plain_blocks(begin)
        for block in blocks:
            rows += lay_out(block, self.width) if self.entry.has_markdown else lay_out_plain(block, self.width)
            if len(rows) > FOLD_ROWS:
                is_all = False
                break
        if not is_all:
            rows = rows[:FOLD_ROWS]
            words = f"▸ {_hidden(text, rows)} · "
            rows = [
                *rows,
                [Span(words, f"dim {OPENS}"), Span("enter", f"key {OPENS}"), Span(" opens", "dim")],
            ]
        self._add(Part(rows=rows))

    def _take(self) -> None:
        """The document's closed blocks become parts."""
        document = self._document
        assert document is not None
        for block in document.blocks[self._taken :]:
            self._add(Part(block))
        self._taken = len(document.blocks)
        self._closed = len(self.parts)

    def _finish(self) -> int:
        """After the closed parts: what may still change, and the foot. The first row before it that changed."""
        is_open = self.entry.state in ("thinking", "streaming")
        if self._document is not None:
            for block in self._document.tail(is_open=is_open):
                part = Part(block)
                part.is_open = is_open
                self._add(part)
        self._add(Part(rows=[*self._foot(), []]))
        return self._stale()

    def _stale(self) -> int:
        """Blocks with a link whose target has become known are laid out when they are looked at: the first row."""
        changed = self._document.changed() if self._document is not None else ()
        for number in changed:
            part = self.parts[number + 1]  # behind the head
            part.rows = part.strips = None
        return self.heights.before(min(changed) + 1) if changed else self.height

    def _reopen(self) -> None:
        del self.parts[self._closed :]
        self.heights.cut(self._closed)

    def feed(self, text: str) -> int:
        """More text of an open answer. From which row on it has changed."""
        if self._document is None:
            return 0
        first = self.heights.before(self._closed)
        self._reopen()
        self._document.feed(text)
        self._take()
        return min(first, self._finish())

    def change(self, entry: Entry) -> None:
        """The entry has another state; its text is the same."""
        self.entry = entry
        self._reopen()
        self.parts[0] = self._head()
        self.heights.set(0, self.parts[0].height)
        self._finish()

    def relead(self, lead: tuple[str, ...]) -> None:
        """Other lines above it."""
        if lead != self.lead:
            self.lead = lead
            self.parts[0] = self._head()
            self.heights.set(0, self.parts[0].height)

    # ---- head and foot ----------------------------------------------------------------------------------

    def _head(self) -> Part:
        entry = self.entry
        rows: list[Row] = []
        for words in self.lead:
            rows += [line(words, self.width), []] if words else [[]]
        if entry.kind in ("day", "new_since"):
            return Part(rows=[*rows, line(entry.text, self.width)])
        if entry.kind in _DIM_KINDS:
            rows += wrap([Span(entry.text, "dim", 0, len(entry.text))], self.width)
            return Part(rows=rows)
        name = "agent" if entry.kind != "message" else f"hue{entry.hue}"
        head: Row = [Span(entry.user, f"{name} name")]
        if entry.is_own:
            head.append(Span(" you", "dim"))
        if entry.kind == "task":
            word = {"done": "done", "interrupted": "stopped", "failed": "failed"}.get(entry.state, entry.state)
            head.append(Span(f"  task {word}", "dim"))
        if entry.time_s is not None:
            head.append(Span(time.strftime("  %H:%M", time.localtime(entry.time_s)), "dim"))
        return Part(rows=[*rows, *wrap(head, self.width)])

    def _foot(self) -> list[Row]:
        note = self.entry.note
        match self.entry.state:
            case "sending":
                spans = [Span("◌ sending", "dim")]
            case "queued":
                spans = [Span(f"◌ {note}", "dim")]
            case "failed":
                spans = [Span(f"■ {note or 'failed'}", "error")]
            case "thinking" | "streaming":
                words = note or ("thinking" if self.entry.state == "thinking" else "writing")
                spans = [Span("▍ ", "agent"), Span(f"{words}  ", "dim"), Span("esc", "key"), Span(" to stop", "dim")]
            case "interrupted" | "cut":
                spans = [Span(f"■ {note}", "warning")]
            case _ if note:
                spans = [Span(note, "dim")]
            case _:
                return []
        return wrap(spans, self.width)

    @property
    def head_row(self) -> int:
        """The row with the name, where the glyph stands; behind the lines above it."""
        return lead_height(self.lead)

    # ---- layout -------------------------------------------------------------------------------------------

    def set_width(self, width: int) -> None:
        """Rows are for this width from now on; what was laid out serves as the estimate."""
        if width == self.width:
            return
        self.width = width
        self.parts[0] = self._head()
        self.heights.set(0, self.parts[0].height)
        self.parts[-1] = Part(rows=[*self._foot(), []])
        self.heights.set(len(self.parts) - 1, self.parts[-1].height)

    def part(self, number: int) -> Part:
        """A part, laid out."""
        part = self.parts[number]
        if part.width != self.width or part.rows is None:
            part.lay_out(self.width)
            self.heights.set(number, part.height)
        return part

    def lay_out_from(self, number: int, rows: int) -> int:
        """Lay out from this part on until there are so many rows; returns how many there are."""
        found = 0
        while number < len(self.parts) and found < rows:
            found += self.part(number).height
            number += 1
        return found

    def lay_out_until(self, number: int, rows: int) -> int:
        """The same upwards, before this part."""
        found = 0
        while number > 0 and found < rows:
            number -= 1
            found += self.part(number).height
        return found

    def offset_of(self, number: int, row: int) -> int:
        """Which place of the text a row begins with; -1: none."""
        rows = self.part(number).rows or []
        return next((span.start for span in rows[row] if span.start >= 0), -1) if row < len(rows) else -1

    def row_with(self, offset: int) -> tuple[int, int]:
        """The part, and the row in it, that shows this place of the text."""
        low, high = 1, len(self.parts) - 1  # the last part whose block begins at or before it
        while low < high - 1:
            middle = (low + high) // 2
            block = self.parts[middle].block
            if block is None or block.start <= offset:
                low = middle
            else:
                high = middle
        if low >= len(self.parts) - 1:
            return 0, self.head_row
        return low, row_in(self.part(low), offset)


def _hidden(text: str, rows: list[Row]) -> str:
    """How much of a text comes behind these rows of it, in words."""
    end = max([span.end for row in rows for span in row], default=0)
    rest = text[max(0, end) :].strip("\n")
    lines = rest.count("\n") + 1
    return f"{lines:,} more lines" if lines > 1 else f"{len(rest):,} more characters"


def row_in(part: Part, offset: int) -> int:
    """The row of a laid out part that shows this place of the text."""
    best = 0
    for number, row in enumerate(part.rows or []):
        start = next((span.start for span in row if span.start >= 0), -1)
        if start > offset:
            break
        if start >= 0:
            best = number
    return best


def lead_height(lead: tuple[str, ...]) -> int:
    """Rows of the lines above an entry; a line without words is one empty row."""
    return sum([2 if words else 1 for words in lead])


def line(words: str, width: int) -> Row:
    """A thin line with words in it."""
    rest = max(0, width - len(words) - 5)
    return [Span("── ", "rule"), Span(words, "dim"), Span(" " + "─" * min(rest, 60), "rule")]


def estimate(entry: Entry, length: int, newlines: int, width: int, *, is_folded: bool) -> int:
    """About how many rows an entry will have."""
    body = length // width + newlines + 1 if length else 0
    if entry.kind in _DIM_KINDS:
        return body + 1
    return 2 + (min(body, FOLD_ROWS + 1) if is_folded else body)
