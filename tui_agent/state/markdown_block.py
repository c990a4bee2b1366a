"""A block of a Markdown text: what it is, where it stands, what it holds."""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct, field

from tui_agent.state.markdown_code import Fence
from tui_agent.state.markdown_links import Links
from tui_agent.state.markdown_table import Table

Kind = Literal["text", "heading", "code", "table", "rule"]


class Mark(NamedTuple):
    """A container that a block stands in: a quote (a bar at each row), or a list item (its mark at the first row)."""

    kind: Literal["quote", "item"]
    text: str = ""
    is_done: bool = False  # a task that is ticked off


class Block(Struct, eq=False):
    """A piece of the document that is laid out by itself, and does not change when it is closed, but for `links`."""

    kind: Kind
    start: int  # in the source
    marks: tuple[Mark, ...] = ()
    fresh: int = 0  # from this one on the marks begin with this block
    gap: bool = False  # an empty row stands before it
    shared: int = 0  # containers shared with the block before: their bars go through the gap
    content: str = ""
    places: list[tuple[int, int]] = field(default_factory=list)  # (in content, in source): where each line begins
    level: int = 0
    fence: Fence | None = None
    segment: int = 0  # which part of the fence
    is_first: bool = True  # not the second part of something that was cut
    table: Table | None = None
    rows: list[tuple[int, str]] = field(default_factory=list)  # of a table: where it begins, and its line
    end: int = 0
    links: Links | None = None  # what its references point to, as far as it is known


def copied(leaf: Block | None) -> Block | None:
    """So that a trial does not change it."""
    if leaf is None:
        return None
    table = leaf.table
    if table is not None and not table.is_fixed:
        table = table.copy()
    return Block(
        leaf.kind, leaf.start, leaf.marks, leaf.fresh, leaf.gap, leaf.shared, leaf.content, list(leaf.places),
        leaf.level, leaf.fence, leaf.segment, leaf.is_first, table, list(leaf.rows), leaf.end, leaf.links,
    )  # fmt: skip
