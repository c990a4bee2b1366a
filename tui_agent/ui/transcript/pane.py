"""The transcript: entries as rows, drawn line by line from cached strips; cost by what is visible, not by history.

Heights are exact where one looks (and a screen above), estimated elsewhere. What stands at the top of the
screen is remembered as a place in a text, so nothing moves when something above becomes exact, comes, or wraps anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import work
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui_agent.state import markdown_code
from tui_agent.state.changes import Change, Reset
from tui_agent.state.wrap import Row, Span, cut
from tui_agent.ui.transcript.items import Items
from tui_agent.ui.transcript.looks import glyph_of, style_of
from tui_agent.ui.transcript.view import Part, View

MOST_WIDE: Final = 100
NARROW: Final = 72


class Anchor(NamedTuple):
    """A place in the transcript: what stands at the top of the screen."""

    key: str
    part: int
    row: int
    offset: int  # in the entry's text; -1: the row shows none of it
    lines_above: int = 0  # rows of the screen above it


class Pane(ScrollView, can_focus=False):
    """Shows entries; follows the end unless scrolled up."""

    ALLOW_SELECT = False  # it has its own, over what is not on the screen too
    FOCUS_ON_CLICK = False
    DEFAULT_CSS = """
    Pane { height: 1fr; overflow-x: hidden; overflow-y: auto; }
    Pane { scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    """

    class NeedOlder(Message):
        """The beginning of what is loaded is in sight."""

    class FollowChanged(Message):
        """Whether the end is followed, or how much came below, has changed."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.items = Items()
        self.unseen = 0
        self.cursor: str | None = None  # the entry that keys act on
        self._is_following = True
        self._anchor: Anchor | None = None
        self._wanted: Anchor | None = None  # to go to when it is there
        self._is_settling = False
        self._styles: dict[str, Style] = {}
        self._empty: Strip | None = None
        self._bar = (0, 0, 0, False)
        self._asked_languages: set[str] = set()

    # ---- what the app asks for --------------------------------------------------------------------

    @property
    def is_following(self) -> bool:
        return self._is_following

    def apply(self, changes: Iterable[Change]) -> None:
        """Show what changed."""
        changes = list(changes)
        if any(isinstance(change, Reset) for change in changes):
            self._anchor = None
        added = self.items.apply(changes)
        if self.cursor is not None and self.cursor not in self.items:
            self.cursor = None
        if added and not self._is_following:
            self.unseen += added
            self.post_message(self.FollowChanged())
        if self._wanted is not None and self._wanted.key in self.items:
            self._anchor, self._wanted, self._is_following = self._wanted, None, False
        top = self.scroll_y
        self.settle()
        if self.items.streamed is not None and self.scroll_y == top:
            key, first = self.items.streamed
            if key in self.items:
                self.refresh_from(self.items.heights.before(self.items.place(key)) + first)
        else:
            self.refresh()

    def follow(self) -> None:
        """To the end, and stay there."""
        self._is_following = True
        self.unseen = 0
        self._anchor = self._wanted = None
        self.settle()
        self.refresh()
        self.post_message(self.FollowChanged())

    def position(self) -> Anchor | None:
        """Where it stands; None while the end is followed."""
        return None if self._is_following else self._anchor

    def restore(self, position: Anchor | None) -> None:
        """Back to where it stood, as soon as that is loaded."""
        if position is None:
            self.follow()
            return
        if position.key in self.items:
            self._anchor, self._is_following = position, False
            self.settle()
            self.refresh()
        else:
            self._wanted = position

    def mark_new_since(self, time_s: float | None) -> None:
        """A thin line "new since 14:02" above what others said after this time."""
        self.items.mark_new_since(time_s)
        self.settle()
        self.refresh()

    # ---- layout -----------------------------------------------------------------------------------

    @property
    def left(self) -> int:
        """The column of the glyph and the hue bar; text begins two further."""
        return 2 if self.size.width >= NARROW else 1

    def text_width(self, columns: int) -> int:
        """The cells of a line of text where the pane has so many columns."""
        return max(8, min(MOST_WIDE, columns - self.left - 4))

    @property
    def rows_shown(self) -> int:
        return self.scrollable_content_region.height

    @property
    def columns_shown(self) -> int:
        return self.scrollable_content_region.width

    def settle(self) -> None:
        """Make heights exact where one looks, and put the screen where it belongs."""
        columns, rows = self.columns_shown, self.rows_shown
        if columns <= 0 or rows <= 0 or self._is_settling:
            return
        self._is_settling = True
        try:
            self.items.width = self.text_width(columns)
            top = (
                self._settle_at_end(rows)
                if self._is_following or self._anchor is None
                else self._settle_at_anchor(rows)
            )
            size = Size(columns, self.items.heights.total)
            # Setting it as Textual means it lays out and draws the whole screen anew, at each new row.
            self.set_reactive(Pane.virtual_size, size)
            top = max(0, min(top, size.height - rows))
            self.scroll_y = self.scroll_target_y = top
            self._move_bar(size, top, rows)
            if self._anchor is None and not self._is_following:
                self._anchor = self._at(top)
            self.items.tidy()
        finally:
            self._is_settling = False

    def _move_bar(self, size: Size, top: int, rows: int) -> None:
        """The scroll bar is drawn anew only when one sees it: drawing it costs as much as the text."""
        total = max(1, size.height)
        seen = (8 * rows * top // total, 8 * rows * rows // total, rows, total > rows)
        if seen != self._bar:
            self._bar = seen
            self._scroll_update(size)
            self.vertical_scrollbar.position = top

    def _settle_at_end(self, rows: int) -> int:
        at, need = len(self.items) - 1, 2 * rows
        while at >= 0 and need > 0:
            view = self.items.view(at)
            need -= view.lay_out_until(len(view.parts), need)
            self.items.measured(at)
            at -= 1
        return self.items.heights.total - rows

    def _settle_at_anchor(self, rows: int) -> int:
        anchor = self._anchor
        assert anchor is not None
        if anchor.key not in self.items:
            self._anchor = None
            return int(self.scroll_y)
        at = self.items.place(anchor.key)
        view = self.items.view(at)
        part = min(anchor.part, len(view.parts) - 1)
        row = min(anchor.row, max(0, view.part(part).height - 1))
        if anchor.offset >= 0 and view.offset_of(part, row) != anchor.offset:
            part, row = view.row_with(anchor.offset)
            view.part(part)
        found = view.lay_out_from(part, rows + row) - row
        above = view.lay_out_until(part, rows)
        self.items.measured(at)
        below = at + 1
        while found < rows and below < len(self.items):
            other = self.items.view(below)
            found += other.lay_out_from(0, rows - found)
            self.items.measured(below)
            below += 1
        over = at - 1
        while above < rows and over >= 0:
            other = self.items.view(over)
            above += other.lay_out_until(len(other.parts), rows - above)
            self.items.measured(over)
            over -= 1
        return self.items.heights.before(at) + view.heights.before(part) + row - anchor.lines_above

    def _at(self, row: int) -> Anchor | None:
        """The place that this row of the whole shows."""
        if not len(self.items):
            return None
        at, inside = self.items.heights.find(row)
        view = self.items.view(at)
        part, inside = view.heights.find(inside)
        return Anchor(self.items.order[at], part, inside, view.offset_of(part, inside))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        if self._is_settling:
            return
        super().watch_scroll_y(old_value, new_value)
        if not self.is_mounted:
            return
        is_following = new_value >= self.max_scroll_y
        self._wanted = None
        if is_following != self._is_following:
            self._is_following = is_following
            if is_following:
                self.unseen = 0
            self.post_message(self.FollowChanged())
        self._anchor = None if is_following else self._at(int(new_value))
        self.settle()
        self.look_for_older()
        self.refresh()

    def look_for_older(self) -> None:
        if len(self.items) and self.scroll_y < 2 * self.rows_shown:
            self.post_message(self.NeedOlder())

    def on_resize(self) -> None:
        self.settle()
        self.refresh()

    # ---- drawing ------------------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()
        self._empty = None
        self.items.redraw()

    def style(self, look: str) -> Style:
        """The style of a look."""
        style = self._styles.get(look)
        if style is None:
            style = self._styles[look] = style_of(
                look, self.rich_style, self.background_colors[1], self.app.theme_variables
            )
        return style

    def render_lines(self, crop: Region) -> list[Strip]:
        """The rows of the screen. Textual's own way makes new strips each time, so that what it keeps with a strip
        (cut, filtered, as escape sequences) is lost; this costs half. It knows no border, padding, tint or opacity."""
        filters = self.get_line_filters()
        background = self.background_colors[1]
        strips: list[Strip] = []
        for y in crop.line_range:
            strip = self.render_line(y)
            for each in filters:
                strip = strip.apply_filter(each, background)
            strips.append(strip)
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def _blank(self) -> Strip:
        """An empty row: the same one as long as the width is."""
        if self._empty is None or self._empty.cell_length != self.size.width:
            self._empty = Strip.blank(self.size.width, self.style(""))
        return self._empty

    def render_line(self, y: int) -> Strip:
        number = y + int(self.scroll_y)
        if number >= self.items.heights.total:
            return self._blank()
        at, inside = self.items.heights.find(number)
        view = self.items.view(at)
        number, row = view.heights.find(inside)
        part = view.part(number)
        if row >= part.height:
            return self._blank()
        chosen = self.chosen(at)
        if chosen is not None or self.cursor == view.entry.key:
            return self._strip(view, number, part, row, chosen)
        if part.strips is None:
            part.strips = [None] * part.height
        strip = part.strips[row]
        if strip is None or strip.cell_length != self.size.width:
            strip = part.strips[row] = self._strip(view, number, part, row, None)
        return strip

    def chosen(self, at: int) -> tuple[int, int] | None:
        """Which part of an entry's text is selected."""
        return None

    def _strip(self, view: View, number: int, part: Part, row: int, chosen: tuple[int, int] | None) -> Strip:
        spans: Row = (part.rows or [])[row]
        glyph, glyph_look, bar, bar_look = glyph_of(view.entry)
        mark, look = " ", ""
        if number == 0 and row == view.head_row and spans:
            mark, look = glyph, glyph_look
        elif 0 < number < len(view.parts) - 1:
            mark, look = bar, bar_look
        is_cursor = self.cursor == view.entry.key and not (number == len(view.parts) - 1 and not spans)
        is_cursor = is_cursor and not (number == 0 and row < view.head_row)
        if not spans and mark == " " and not is_cursor:
            return self._blank()
        plain = self.style("")
        edge = Segment("▐", self.style("cursor")) if is_cursor else Segment(" ", plain)
        segments = [Segment(" " * (self.left - 1), plain), edge, Segment(mark, self.style(look)), Segment(" ", plain)]
        if part.block is not None and part.block.fence is not None:
            self._load(part.block.fence.language)
        for span in spans:
            if chosen is None or span.start < 0 or span.end <= chosen[0] or span.start >= chosen[1]:
                segments.append(Segment(span.text, self.style(span.look)))
            else:
                segments += self._selected(span, chosen)
        return Strip(segments).adjust_cell_length(self.size.width, plain)

    def _selected(self, span: Span, chosen: tuple[int, int]) -> list[Segment]:
        style = self.style(span.look)
        lit = style + Style(bgcolor=self.style("selected").bgcolor)
        if span.end - span.start != len(span.text):
            return [Segment(span.text, lit)]
        first, behind = max(0, chosen[0] - span.start), min(len(span.text), chosen[1] - span.start)
        parts = (
            (cut(span, 0, first), style),
            (cut(span, first, behind), lit),
            (cut(span, behind, len(span.text)), style),
        )
        return [Segment(piece.text, its) for piece, its in parts if piece.text]

    def _load(self, language: str) -> None:
        """Highlighting comes when its lexer is there."""
        if markdown_code.is_loaded(language) or language in self._asked_languages or not self.is_running:
            return
        self._asked_languages.add(language)
        self._highlight(language)

    @work(group="highlight", exit_on_error=False)
    async def _highlight(self, language: str) -> None:
        if await asyncio.to_thread(markdown_code.load, language):
            self.items.redraw()
            self.settle()
            self.refresh()

    def hold(self) -> None:
        """Stay here, also when it is the end that is followed."""
        if self._is_following:
            self._is_following = False
            self._anchor = self._at(int(self.scroll_y))
            self.post_message(self.FollowChanged())

    def row_of(self, key: str, offset: int) -> int:
        """The row of the whole that shows this place of an entry's text."""
        at = self.items.place(key)
        view = self.items.view(at)
        part, row = view.row_with(offset)
        self.items.measured(at)
        return self.items.heights.before(at) + view.heights.before(part) + row

    def show_entry(self, at: int) -> None:
        """Bring an entry into sight: its end when it fits, else its beginning."""
        view = self.items.view(at)
        view.lay_out_from(0, self.rows_shown)
        self.items.measured(at)
        top = self.items.heights.before(at) + view.head_row
        bottom = self.items.heights.before(at) + view.height - 1
        shown = int(self.scroll_y)
        if top < shown or bottom - top > self.rows_shown:
            self._go(top)
        elif bottom > shown + self.rows_shown:
            self._go(bottom - self.rows_shown)
        self.refresh()

    def show_row(self, number: int) -> None:
        """Bring a row of the whole into sight."""
        shown = int(self.scroll_y)
        if number < shown:
            self._go(number)
        elif number >= shown + self.rows_shown:
            self._go(number - self.rows_shown + 1)
        self.refresh()

    def _go(self, row: int) -> None:
        self._is_following = False
        self._wanted = None
        self._anchor = self._at(row)
        self.settle()
        self.look_for_older()
        self.post_message(self.FollowChanged())

    def refresh_from(self, row: int) -> None:
        """Draw the rows of the screen from this row of the whole on."""
        first = max(0, row - int(self.scroll_y))
        if first < self.rows_shown:
            self.refresh(Region(0, first, self.columns_shown, self.rows_shown - first))
