"""A short list over the composer, for completions and for earlier inputs. It never takes the focus."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct
from textual import events
from textual.app import RenderResult
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget

MOST_ROWS = 8


class Row(Struct, frozen=True):
    """What one sees of an item: cleaned text."""

    label: str
    note: str = ""


class Popup(Widget, can_focus=False):
    """Shows at most `MOST_ROWS` rows round the highlighted one. Hidden when it has none."""

    DEFAULT_CSS = """
    Popup { display: none; height: auto; background: $surface; color: $foreground; padding: 0 1; }
    Popup.-open { display: block; }
    """
    ALLOW_SELECT = False

    class Chosen(Message):
        """A row was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, id: str | None = None, *, most_rows: int = MOST_ROWS) -> None:
        super().__init__(id=id)
        self._most_rows = most_rows
        self._rows: Sequence[Row] = ()
        self._first = 0
        self.highlighted = 0
        self.lines_below: Callable[[], int] | None = None  # it floats that many lines above its place

    @property
    def is_open(self) -> bool:
        return bool(self._rows)

    @property
    def shown_rows(self) -> Sequence[Row]:
        """The rows in sight."""
        return self._rows[self._first : self._first + self._most_rows]

    def show(self, rows: Sequence[Row], highlighted: int = 0) -> None:
        """Other rows; none hides it."""
        self._rows = rows
        self._first = 0
        self.set_class(bool(rows), "-open")
        self._highlight(highlighted)
        if self.lines_below is not None and rows:
            self.styles.offset = (0, -len(self.shown_rows) - self.gutter.height - self.lines_below())
        self.refresh(layout=True)

    def hide(self) -> None:
        if self._rows:
            self.show(())

    def move(self, by: int) -> None:
        """The highlight up or down, round the ends."""
        if self._rows:
            self._highlight((self.highlighted + by) % len(self._rows))
            self.refresh()

    def _highlight(self, index: int) -> None:
        self.highlighted = max(0, min(index, len(self._rows) - 1))
        self._first = max(min(self._first, self.highlighted), self.highlighted - self._most_rows + 1)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """As wide as its widest row."""
        notes = max((len(row.note) for row in self._rows), default=0)
        return max(1, min(self._label_width() + notes, container.width))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.shown_rows)

    def _label_width(self) -> int:
        return max((len(row.label) for row in self._rows), default=0) + 3

    def render(self) -> RenderResult:
        width = max(1, self.content_size.width)
        rows = self.shown_rows
        # Labels stand in one column, notes behind it, as long as some of the width is left for the notes.
        column = min(self._label_width(), max(12, width * 3 // 5))
        lines = []
        for index, row in enumerate(rows, self._first):
            label = Content(row.label).truncate(column - 1 if row.note else width, ellipsis=True)
            line = label
            if row.note:
                line = line.pad_right(max(0, column - label.cell_length)) + Content(row.note).stylize("$foreground 56%")
            line = line.truncate(width, ellipsis=True)
            line = line.pad_right(max(0, width - line.cell_length))
            if index == self.highlighted:
                line = line.stylize("bold $block-cursor-foreground on $block-cursor-background")
            lines.append(line)
        return Content("\n").join(lines)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.move(-1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.move(1)

    def on_click(self, event: events.Click) -> None:
        event.stop()
        offset = event.get_content_offset(self)
        if offset is not None and 0 <= offset.y < len(self.shown_rows):
            self.post_message(self.Chosen(self._first + offset.y))
