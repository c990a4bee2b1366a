"""Choose one of a list by typing: the rooms, the palette and the themes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tui_agent.ui.dialog import dialog_head
from tui_agent.ui.screens.modal import Modal

ASIDE_AT: Final = 60
ASIDE_CELLS: Final = 13  # what a narrow list has for it
NOTHING: Final = Content("")


@dataclass(frozen=True, slots=True)
class Row:
    """One choice. `search` is what typing is compared with; `aside` stands behind it, in a column."""

    id: str
    content: Content
    search: str
    aside: Content = NOTHING


class Picker(Modal[str | None]):
    """Gives the id of the chosen row, or None. `made_of(text)` may offer a row for what was typed itself."""

    def __init__(
        self,
        title: str,
        placeholder: str,
        rows: Sequence[Row],
        *,
        closed_by: Sequence[str] = (),
        first: str | None = None,
        made_of: Callable[[str], Row | None] = lambda _text: None,
        on_highlight: Callable[[str], None] = lambda _id: None,
    ) -> None:
        super().__init__(name="picker")
        self._title = title
        self._placeholder = placeholder
        self._rows = list(rows)
        self._closed_by = frozenset(closed_by)
        self._first = first
        self._made_of = made_of
        self._on_highlight = on_highlight

    def compose(self) -> ComposeResult:
        with Vertical(id="picker-box", classes="dialog"):
            yield Static(dialog_head(self._title), classes="dialog-head", markup=False)
            yield Input(placeholder=self._placeholder, id="picker-input", compact=True)
            yield OptionList(id="picker-list", markup=False, compact=True)

    def on_mount(self) -> None:
        self._fill()
        box = self.query_one(Input)
        box.cursor_blink = False  # a blink is two paints a second for nothing
        box.focus()

    def set_rows(self, rows: Sequence[Row]) -> None:
        """The list has changed while it was open."""
        self._rows = list(rows)
        if self.is_mounted:
            self._fill()

    def _fill(self) -> None:
        text = self.query_one(Input).value.strip().lower()
        words = text.split()
        rows = [row for row in self._rows if all(word in row.search.lower() for word in words)]
        made = self._made_of(text) if text else None
        if made is not None and all(row.id != made.id for row in rows):
            rows.append(made)
        view = self.query_one(OptionList)
        view.clear_options()
        view.add_options(Option(self._line(row), id=row.id) for row in rows)
        ids = [row.id for row in rows]
        if ids:
            view.highlighted = ids.index(self._first) if not text and self._first in ids else 0

    def _line(self, row: Row) -> Content:
        """The words, and the keys in a column that is straight over all rows; what is too long for its part wraps."""
        if not row.aside:
            return row.content
        width = self.query_one(Input).size.width - 1  # the list's scroll bar takes one
        rows = [each for each in self._rows if each.aside]
        at = max(ASIDE_AT, 2 + max(each.content.cell_length for each in rows))
        if width > 0:
            longest = max(each.aside.cell_length for each in rows)
            at = min(at, max(width - min(ASIDE_CELLS, longest), width // 2, 3))
        lines = []
        asides = row.aside.wrap(max(1, width - at))
        for words, keys in zip_longest(row.content.wrap(max(1, at - 2)), asides, fillvalue=NOTHING):
            words, keys = words.rstrip(), keys.rstrip()
            lines.append(words + Content(" " * (at - words.cell_length)) + keys if keys else words)
        return Content("\n").join(lines)

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw_anew)

    def _draw_anew(self) -> None:
        """As wide as it is now; what is chosen stays chosen."""
        view = self.query_one(OptionList)
        for row in self._rows:
            if row.aside and any(option.id == row.id for option in view.options):
                view.replace_option_prompt(row.id, self._line(row))

    @on(Input.Changed)
    def _typed(self) -> None:
        self._fill()

    @on(Input.Submitted)
    def _entered(self) -> None:
        view = self.query_one(OptionList)
        option = view.highlighted_option
        self.dismiss(None if option is None else option.id)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)

    @on(OptionList.OptionHighlighted)
    def _moved(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_id is not None:
            self._on_highlight(event.option_id)

    async def on_key(self, event: events.Key) -> None:
        view = self.query_one(OptionList)
        moves: dict[str, Callable[[], None]] = {
            "up": view.action_cursor_up,
            "down": view.action_cursor_down,
            "pageup": view.action_page_up,
            "pagedown": view.action_page_down,
        }
        if event.key == "escape" or event.key in self._closed_by:
            self.dismiss(None)
        elif event.key in moves:
            moves[event.key]()
        else:
            return
        event.stop()
        event.prevent_default()
