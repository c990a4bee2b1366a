"""The transcript's mouse and keys: select, copy, jump from message to message, fold, open links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from textual import events
from textual.geometry import Offset
from textual.message import Message

from tui_agent.state.changes import Change
from tui_agent.state.markdown import Document
from tui_agent.state.markdown_layout import COPY
from tui_agent.state.wrap import Row, Span, cells
from tui_agent.ui.transcript.pane import Pane
from tui_agent.ui.transcript.selection import Place, Selection, source_of, word_at, word_edge
from tui_agent.ui.transcript.view import FOLD_ROWS, OPENS

LONG_ROWS: Final = 12  # an answer of so many rows is long
LOOK_FOR_TEXT: Final = 60  # rows that a selection by key steps over because they show no text


class Transcript(Pane, can_focus=True):
    """The conversation. While a message is chosen it has the focus; whatever is typed then goes back to the composer.

    `keys`: key -> name of the action, of the actions below that are the transcript's own.
    """

    class LinkClicked(Message):
        """A link was clicked; `url` is where it truly goes (http or https)."""

        def __init__(self, url: str) -> None:
            super().__init__()
            self.url = url

    class Typed(Message):
        """Text was typed (or pasted) while a message was chosen: it is for the composer."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Copied(Message):
        """Something went to the clipboard; `what` says it in words."""

        def __init__(self, what: str) -> None:
            super().__init__()
            self.what = what

    def __init__(self, id: str | None = None, keys: Mapping[str, str] | None = None) -> None:
        super().__init__(id=id)
        self.keys = dict(keys or {})
        self.selection: Selection | None = None
        self._pressed: Place | None = None
        self._was_dragged = False

    # ---- what is where -------------------------------------------------------------------------------

    def place_at(self, offset: Offset) -> tuple[Place, Span | None] | None:
        """What the screen's cell shows (of the row's end where it is beyond it), and the span there."""
        if not len(self.items):
            return None
        return self._place(int(self.scroll_y) + offset.y, offset.x - self.left - 2)

    def _place(self, number: int, column: int) -> tuple[Place, Span | None]:
        number = max(0, min(number, self.items.heights.total - 1))
        at, inside = self.items.heights.find(number)
        key, view = self.items.order[at], self.items.view(at)
        part_number, row_number = view.heights.find(inside)
        part = view.part(part_number)
        rows: list[Row] = part.rows or [[]]
        row = rows[min(row_number, len(rows) - 1)]
        under = _span_at(row, column)
        if any(span.start >= 0 for span in row):
            return Place(key, *_cell(row, column)), under
        if part_number == 0:
            return Place(key, 0, 0), under
        if part.block is None:
            end = len(self.items.by_key(key).text)
            return Place(key, end, end), under
        return Place(key, part.block.start, part.block.start), under

    def range_of(self) -> tuple[int, int, int, int] | None:
        """What is selected: first entry and place in its text, last entry and place."""
        chosen = self.selection
        if chosen is None or chosen.anchor.key not in self.items or chosen.head.key not in self.items:
            return None
        places = [(self.items.place(each.key), each.start, each.end) for each in chosen]
        first, last = min(places), max(places)
        if first[0] == last[0]:
            return first[0], first[1], last[0], max(first[2], last[2])
        return first[0], first[1], last[0], last[2]

    def chosen(self, at: int) -> tuple[int, int] | None:
        if self.selection is None or (found := self.range_of()) is None:
            return None
        first, start, last, end = found
        if not first <= at <= last:
            return None
        return start if at == first else 0, end if at == last else len(self.items.item(at).text)

    def apply(self, changes: Iterable[Change]) -> None:
        super().apply(changes)
        if self.selection is not None and self.range_of() is None:
            self.selection = None

    def clear_selection(self) -> None:
        """Nothing is selected."""
        if self.selection is not None:
            self.selection = None
            self.refresh()

    # ---- copying ---------------------------------------------------------------------------------------

    @property
    def selected_text(self) -> str:
        """What is selected, as it was written."""
        found = self.range_of()
        if found is None:
            return ""
        first, start, last, end = found
        parts = []
        for at in range(first, last + 1):
            text = self.items.item(at).text
            parts.append(source_of(text, start if at == first else 0, end if at == last else len(text)))
        return "\n\n".join([part for part in parts if part.strip()])

    def copy_selection(self) -> str | None:
        """Copy what is selected, as it was written, and select nothing; None when nothing was."""
        text = self.selected_text
        self.clear_selection()
        return self._copy(text, "selection") if text else None

    def copy_message(self) -> str | None:
        """Copy the chosen message, else the last answer."""
        key = self.cursor or self._last(lambda at: self.items.item(at).entry.kind in ("answer", "task"))
        return self._copy(self.items.by_key(key).text, "message") if key else None

    def copy_code(self) -> str | None:
        """Copy the last code block of the chosen message, else of the last one that has code."""
        keys = [self.cursor] if self.cursor else list(reversed(self.items.order))
        for key in keys:
            text = self.items.by_key(key).text
            if ("```" in text or "~~~" in text) and (codes := code_blocks(text)):
                return self._copy(codes[-1][1], "code")
        return None

    def _copy(self, text: str, what: str) -> str:
        self.app.copy_to_clipboard(text)
        lines = text.count("\n") + 1
        self.post_message(self.Copied(f"{what} copied" if lines == 1 else f"{what} copied, {lines} lines"))
        return text

    # ---- messages -----------------------------------------------------------------------------------

    def _last(self, is_it: object) -> str | None:
        assert callable(is_it)
        return next((self.items.order[at] for at in range(len(self.items) - 1, -1, -1) if is_it(at)), None)

    def jump(self, direction: int) -> None:
        """Choose the message before (-1) or after (1) the chosen one; the first time the lowest on the screen."""
        count = len(self.items)
        if not count:
            return
        if self.cursor is None:
            if direction > 0:
                return
            bottom = int(self.scroll_y) + self.rows_shown - 1
            at = self.items.heights.find(min(bottom, self.items.heights.total - 1))[0]
        else:
            at = self.items.place(self.cursor) + direction
        while 0 <= at < count and self.items.item(at).entry.kind not in ("message", "answer", "task"):
            at += direction
        if at >= count:
            self.leave()
            return
        if at < 0:
            self.look_for_older()
            return
        self.cursor = self.items.order[at]
        self.focus(scroll_visible=False)
        self.show_entry(at)

    def leave(self) -> None:
        """No message is chosen, and the end is followed again."""
        self.drop_cursor()
        self.follow()
        self.post_message(self.Typed(""))

    def drop_cursor(self) -> bool:
        """No message is chosen, nothing is selected; False when so it was."""
        had = self.cursor is not None or self.selection is not None
        self.cursor = self.selection = None
        self.refresh()
        return had

    def toggle_fold(self) -> None:
        """Fold the chosen message, or open it; else open the last one that is folded, else fold the last long one."""

        def hides(at: int) -> bool:
            return self.items.is_folded(self.items.item(at)) and self.items.rows_when_open(at) > FOLD_ROWS

        key = self.cursor or self._last(hides) or self._last(self._is_long)
        if key is not None:
            self._toggle(key)

    def fold_all(self) -> str:
        """Fold all long answers that have ended; open them where all are folded. What it did, as a sentence."""
        keys = [self.items.order[at] for at in range(len(self.items)) if self._is_long(at)]
        if not keys:
            return "No answer here is long enough to fold."
        is_folding = not all(self.items.is_folded(self.items.by_key(key)) for key in keys)
        keys = [key for key in keys if self.items.is_folded(self.items.by_key(key)) != is_folding]
        for key in keys:
            self.items.fold(key, is_folding)
        self.settle()
        self.refresh()
        if self.cursor is not None:
            self.show_entry(self.items.place(self.cursor))
        return f"{len(keys)} long {'answer' if len(keys) == 1 else 'answers'} {'folded' if is_folding else 'opened'}."

    def _is_long(self, at: int) -> bool:
        entry = self.items.item(at).entry
        has_ended = entry.kind in ("answer", "task") and entry.state not in ("thinking", "streaming")
        return has_ended and self.items.rows_when_open(at) >= LONG_ROWS

    def _toggle(self, key: str) -> None:
        item = self.items.by_key(key)
        self.hold()
        self.items.fold(key, not self.items.is_folded(item))
        self.settle()
        self.refresh()
        if self.cursor == key:
            self.show_entry(self.items.place(key))

    # ---- keys ------------------------------------------------------------------------------------------

    async def _on_key(self, event: events.Key) -> None:
        action = self.keys.get(event.key, "")
        match action:
            case "choose_previous":
                self.jump(-1)
            case "choose_next":
                self.jump(1)
            case "open":
                self.toggle_fold()
            case "select_up":
                self.extend_rows(-1)
            case "select_down":
                self.extend_rows(1)
            case "select_word_left":
                self.extend_word(-1)
            case "select_word_right":
                self.extend_word(1)
            case _ if event.is_printable and event.character:
                self.post_message(self.Typed(event.character))
            case _:
                await super()._on_key(event)
                return
        event.stop()
        event.prevent_default()

    def _on_paste(self, event: events.Paste) -> None:
        self.post_message(self.Typed(event.text))
        event.stop()

    def _begin(self) -> Selection:
        """The selection; a new one begins with the chosen message, else at the top of the screen."""
        if self.selection is None:
            if self.cursor is not None:
                place = Place(self.cursor, 0, 0)
            else:
                found, _ = self._place(int(self.scroll_y), 0)
                place = Place(found.key, found.start, found.start)
            self.selection = Selection(place, place)
        return self.selection

    def extend_rows(self, direction: int) -> None:
        """Select a row more (1) or less (-1)."""
        if not len(self.items):
            return
        anchor, head = self._begin()
        number = self.row_of(head.key, head.start)
        for step in range(1, LOOK_FOR_TEXT):
            row = number + direction * step
            if not 0 <= row < self.items.heights.total:
                end = len(self.items.by_key(head.key).text)
                found = Place(head.key, end, end) if direction > 0 else Place(head.key, 0, 0)
                break
            found, _ = self._place(row, 0)
            if (found.key, found.start) != (head.key, head.start):
                break
        else:
            return
        self.selection = Selection(anchor, Place(found.key, found.start, found.start))
        self.show_row(self.row_of(found.key, found.start))

    def extend_word(self, direction: int) -> None:
        """Select a word more (1) or less (-1)."""
        if not len(self.items):
            return
        anchor, head = self._begin()
        text, at = self.items.by_key(head.key).text, self.items.place(head.key)
        offset, key = word_edge(text, head.start, direction), head.key
        if offset == head.start and 0 <= at + direction < len(self.items):
            key = self.items.order[at + direction]
            offset = 0 if direction > 0 else len(self.items.by_key(key).text)
        self.selection = Selection(anchor, Place(key, offset, offset))
        self.show_row(self.row_of(key, offset))

    # ---- mouse ------------------------------------------------------------------------------------------

    def on_mouse_down(self, event: events.MouseDown) -> None:
        found = self.place_at(event.offset)
        if event.button != 1 or found is None:
            return
        self._was_dragged = False
        if event.shift and self.selection is not None:
            self.selection = Selection(self.selection.anchor, found[0])
            self._was_dragged = True
            self.refresh()
        self._pressed = self.selection.anchor if event.shift and self.selection is not None else found[0]
        self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._pressed is None or not event.button:
            return
        if event.offset.y < 0 or event.offset.y >= self.rows_shown:
            self.scroll_relative(y=-1 if event.offset.y < 0 else 1, animate=False)
        row = max(0, min(event.offset.y, self.rows_shown - 1))
        found = self.place_at(Offset(event.offset.x, row))
        if found is not None and (self._was_dragged or found[0] != self._pressed):
            self._was_dragged = True
            self.hold()
            self.selection = Selection(self._pressed, found[0])
            self.refresh()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        self._pressed = None
        self.release_mouse()

    def on_click(self, event: events.Click) -> None:
        if self._was_dragged:
            self._was_dragged = False
            return
        found = self.place_at(event.offset)
        if found is None:
            return
        place, span = found
        if event.chain == 2:
            start, end = word_at(self.items.by_key(place.key).text, place.start)
            self._select(place.key, start, end)
        elif event.chain >= 3:
            self._select(place.key, *self._line(event.offset.y))
        else:
            self.clear_selection()
            if span is not None:
                self._press(place, span)

    def _press(self, place: Place, span: Span) -> None:
        """A click on something that does something."""
        if span.link:
            self.post_message(self.LinkClicked(span.link))
        elif COPY in span.look.split():
            codes = code_blocks(self.items.by_key(place.key).text)
            code = next((code for start, code in reversed(codes) if start <= place.start), None)
            if code is not None:
                self._copy(code, "code")
        elif OPENS in span.look.split():
            self._toggle(place.key)

    def _select(self, key: str, start: int, end: int) -> None:
        self.selection = Selection(Place(key, start, start), Place(key, end, end)) if start < end else None
        self.refresh()

    def _line(self, y: int) -> tuple[int, int]:
        """The text that a row of the screen shows."""
        first, _ = self._place(int(self.scroll_y) + y, 0)
        last, _ = self._place(int(self.scroll_y) + y, 10_000)
        return first.start, last.end


def _span_at(row: Row, column: int) -> Span | None:
    at = 0
    for span in row:
        at += cells(span.text)
        if column < at:
            return span if column >= 0 else None
    return None


def _cell(row: Row, column: int) -> tuple[int, int]:
    """What the cell at this column shows of the text: start and end. Beside the text: where the text before it ends."""
    at, last = 0, -1
    for span in row:
        size = cells(span.text)
        if span.start >= 0:
            if column < at:
                return (last, last) if last >= 0 else (span.start, span.start)
            if column < at + size:
                if span.end - span.start != len(span.text):
                    return span.start, span.end
                index = 0
                while index < len(span.text) - 1 and at + cells(span.text[: index + 1]) <= column:
                    index += 1
                return span.start + index, span.start + index + 1
            last = span.end
        at += size
    return last, last


def code_blocks(text: str) -> list[tuple[int, str]]:
    """The fenced codes of a text: where each begins, and the code."""
    document = Document()
    document.feed(text)
    found: list[tuple[int, str]] = []
    fence = None
    for block in document.blocks + document.tail():
        if block.kind != "code" or block.fence is None:
            continue
        if block.fence is fence:
            found[-1] = (found[-1][0], f"{found[-1][1]}\n{block.content}")
        else:
            fence = block.fence
            found.append((block.start, block.content))
    return found
