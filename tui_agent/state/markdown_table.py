"""Tables: cells, alignment, widths, rows. Pure.

The widths of the columns come from the head and the first rows (markdown.TABLE_ROWS); later rows wrap in them. So a row
is laid out once, however long the table becomes.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from tui_agent.state.markdown_inline import parse_inline
from tui_agent.state.markdown_links import Links
from tui_agent.state.wrap import Row, Span, cells, wrap

MOST_COLUMNS: Final = 40
NARROWEST: Final = 3
RULE: Final = "table_rule"

Align = Literal["left", "center", "right"]
_DELIMITER: Final = re.compile(r"[ \t]*\|?[ \t]*(:?-+:?)[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_PIPE: Final = re.compile(r"\\.|\|")


class Cell(NamedTuple):
    spans: tuple[Span, ...]
    width: int


def alignments(line: str) -> list[Align] | None:
    """Of a line under the head (`| --- | :-: |`); None when it is none."""
    if "-" not in line or "|" not in line and ":" not in line or _DELIMITER.match(line) is None:
        return None
    parts = [part.strip() for part in line.strip().strip("|").split("|")]
    return [
        "center" if part.startswith(":") and part.endswith(":") else "right" if part.endswith(":") else "left"
        for part in parts
    ]


def split_row(line: str) -> list[tuple[int, str]]:
    """The cells of a line: where each begins, and its text."""
    stripped = line.strip()
    begin = line.find(stripped) if stripped else 0
    at = begin + 1 if stripped.startswith("|") else begin
    end = begin + len(stripped)
    found: list[tuple[int, str]] = []
    for pipe in _PIPE.finditer(line, at, end):
        if pipe[0] == "|":
            found.append((at, line[at : pipe.start()]))
            at = pipe.end()
            if len(found) > MOST_COLUMNS:
                break
    if at < end:
        found.append((at, line[at:end]))
    return found


class Table:
    """What the blocks of one table share."""

    __slots__ = ("_laid", "_links", "_rows", "_start", "aligns", "head", "is_fixed", "naturals")

    def __init__(self, head: str, start: int, aligns: list[Align], links: Links) -> None:
        self.head = head
        self._start = start
        self._links = links
        self.aligns = aligns
        self.is_fixed = False
        self.naturals = [1] * len(aligns)
        self._rows: dict[int, tuple[str, int, list[Cell]]] = {}
        self._laid: dict[int, tuple[str, int, tuple[int, ...], list[Row]]] = {}

    @classmethod
    def under(cls, head: str, start: int, aligns: list[Align], links: Links) -> Table | None:
        """A table with this head; None when the count of its cells is another."""
        found = split_row(head)
        if len(found) != len(aligns) or "|" not in head and len(aligns) < 2 or len(aligns) > MOST_COLUMNS:
            return None
        return cls(head, start, aligns, links)

    def copy(self) -> Table:
        """Another whose widths may be fixed otherwise; what is known of the rows is shared."""
        other = Table(self.head, self._start, self.aligns, self._links)
        other._rows, other._laid = self._rows, self._laid
        return other

    def fix(self, lines: list[str], starts: list[int]) -> None:
        """These are the first rows: the widths come from them."""
        self.naturals = self._naturals(list(zip(starts, lines, strict=True)))
        self.is_fixed = True

    def _naturals(self, rows: list[tuple[int, str]]) -> list[int]:
        wanted = [max(1, cell.width) for cell in self._cells(self._start, self.head, "table_head")]
        for start, line in rows:
            for column, cell in enumerate(self._cells(start, line)):
                wanted[column] = max(wanted[column], cell.width)
        return wanted

    def _version(self, line: str) -> int:
        return self._links.version if "[" in line else 0

    def _cells(self, start: int, line: str, look: str = "") -> list[Cell]:
        known = self._rows.get(start)
        version = self._version(line)
        if known is None or known[0] != line or known[1] != version:
            made = _cells(line, start, len(self.aligns), look, self._links)
            known = self._rows[start] = (line, version, made)
        return known[2]

    def lay_out(self, rows: list[tuple[int, str]], width: int, *, with_head: bool) -> list[Row]:
        """The rows of a block of the table."""
        widths = tuple(shrunk(self.naturals if self.is_fixed else self._naturals(rows), width))
        out: list[Row] = []
        if with_head:
            out += _drawn(self._cells(self._start, self.head, "table_head"), widths, self.aligns)
            out.append([Span("─" + "─┼─".join(["─" * each for each in widths]) + "─", RULE)])
        for start, line in rows:
            laid = self._laid.get(start)
            version = self._version(line)
            if laid is None or laid[:3] != (line, version, widths):
                laid = self._laid[start] = (
                    line,
                    version,
                    widths,
                    _drawn(self._cells(start, line), widths, self.aligns),
                )
            out += laid[3]
        return out


def shrunk(naturals: list[int], width: int) -> list[int]:
    """Widths that fit with the rules between them: the widest give way first; where nothing fits, the narrowest."""
    room = width - 3 * len(naturals) + 1
    if sum(naturals) <= room:
        return naturals
    room = max(room, NARROWEST * len(naturals))
    low, high = NARROWEST, max(naturals)
    while low < high:  # the greatest bound with which all fit
        middle = (low + high + 1) // 2
        if sum([min(each, middle) for each in naturals]) <= room:
            low = middle
        else:
            high = middle - 1
    widths = [min(each, low) for each in naturals]
    spare = room - sum(widths)
    for column, natural in enumerate(naturals):
        if spare > 0 and natural > low:
            widths[column] += 1
            spare -= 1
    return widths


def _cells(line: str, start: int, count: int, look: str, links: Links) -> list[Cell]:
    made: list[Cell] = []
    for at, text in split_row(line)[:count]:
        lead = len(text) - len(text.lstrip())
        begin = start + at + lead
        # An escaped pipe is one also in code.
        text = text.strip()
        runs = parse_inline(text, links=links)
        spans = tuple(
            [
                Span(
                    run.text.replace("\\|", "|") if "code" in run.look else run.text,
                    f"{look} {run.look}".strip(), begin + run.start, begin + run.end, run.link,
                )
                for run in runs
            ]
        )  # fmt: skip
        shown = "".join([span.text for span in spans])
        made.append(Cell(spans, max([cells(part) for part in shown.split("\n")], default=0)))
    return made + [Cell((), 0)] * (count - len(made))


def _drawn(row: list[Cell], widths: tuple[int, ...], aligns: list[Align]) -> list[Row]:
    columns = [
        [list(cell.spans)] if cell.width <= width and not _has_break(cell) else wrap(cell.spans, width)
        for cell, width in zip(row, widths, strict=True)
    ]
    out: list[Row] = []
    for line in range(max([len(column) for column in columns])):
        drawn: Row = [Span(" ", "")]
        for number, column in enumerate(columns):
            if number:
                drawn.append(Span(" │ ", RULE))
            part = column[line] if line < len(column) else []
            gap = widths[number] - sum([cells(span.text) for span in part])
            before = {"left": 0, "center": gap // 2, "right": gap}[aligns[number]]
            if before > 0:
                drawn.append(Span(" " * before, ""))
            drawn += part
            if gap - before > 0 and number < len(columns) - 1:
                drawn.append(Span(" " * (gap - before), ""))
        out.append(drawn)
    return out


def _has_break(cell: Cell) -> bool:
    return any("\n" in span.text for span in cell.spans)
