"""Where one writes: Enter sends, Ctrl+J, Shift+Enter and Alt+Enter make a new line.

What TextArea does not do is here: pastes are cleaned, big ones stand as a name (state.pastes); a paste that comes as
a burst of keys never sends; the arrows at the edge walk through earlier inputs; the popup of completions.
"""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar

from textual import events
from textual.document._document_navigator import DocumentNavigator
from textual.document._wrapped_document import WrappedDocument
from textual.geometry import Size
from textual.message import Message
from textual.timer import Timer
from textual.widgets import TextArea

from tui_agent.state.clean import Cleaner, clean_text
from tui_agent.state.drafts import Draft
from tui_agent.state.history import Inputs
from tui_agent.state.pastes import Pastes, is_big
from tui_agent.ui.completing import Completing
from tui_agent.ui.popup import Popup

PLACEHOLDER = "Ask the room or the agent — / commands, @ people"
SHORT_PLACEHOLDER = "Message — / commands, @ people"
ALSO_NEW_LINE = frozenset({"shift+\r", "alt+\r", "ctrl+\n"})  # how xterm and others write the keys of the table
LAGGED = 2  # so many keys and an Enter that came at once may be a person's, late: see what follows
GATHER_FROM = 8  # keys of a burst are inserted one by one before this
CLEAN_AT_ONCE = 32_768  # characters; 20 ms at worst
TYPING_AGAIN_S = 3.0
TYPING_OVER_S = 5.0


def _with_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")  # terminals paste newlines as CR


class _Wrapped(WrappedDocument):
    """Textual's counts all lines at each look at its height: several times a key."""

    @property
    def height(self) -> int:
        return len(self._offset_to_line_info)


class Composer(TextArea):
    """Grows with its text up to a third of the screen. It posts `Sent` and keeps the text until `accept`."""

    DEFAULT_CSS = """
    Composer { height: auto; min-height: 1; border: none !important; padding: 0; scrollbar-size-vertical: 1; }
    Composer { background: transparent; }
    Composer .text-area--cursor-line { background: transparent; }
    Composer .text-area--placeholder { color: $foreground 50%; }
    """
    BURST_S: ClassVar[float] = 0.030  # keys closer than this come from a paste, not from a person
    MOST_IN_WIDGET: ClassVar[int] = 64_000  # characters; what would go over stands as a name

    class Sent(Message):
        """Enter was pressed on this text (pastes in their places)."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Typing(Message):
        """One has begun to write, still writes, or has stopped."""

        def __init__(self, active: bool) -> None:
            super().__init__()
            self.active = active

    def __init__(self, popup: Popup | None = None, id: str | None = None) -> None:
        super().__init__(
            id=id, soft_wrap=True, compact=True, highlight_cursor_line=False, show_line_numbers=False,
            placeholder=PLACEHOLDER, tab_behavior="focus",
        )  # fmt: skip
        self.cursor_blink = False  # steady: a blink is two paints a second for nothing
        self.inputs = Inputs()
        self.new_line_keys: frozenset[str] = frozenset({"ctrl+j", "shift+enter", "alt+enter"})
        self.send_keys: frozenset[str] = frozenset({"enter"})
        self.completing = Completing(popup or Popup(), self._complete)
        self._pastes = Pastes()
        self._last_key_s = 0.0
        self._burst_length = 0
        self._held_enter: Timer | None = None
        self._has_burst_lines = False
        self._gathered: list[str] = []
        self._gathering: Timer | None = None
        self._is_loading = False
        self._typing_said_s = float("-inf")
        self._typed_s = float("-inf")
        self._typing_watch: Timer | None = None

    # ---- what the app calls ----------------------------------------------------------------------------

    @property
    def full_text(self) -> str:
        """What would be sent: every paste in its place."""
        self._flush()
        return self._pastes.expand(self.text)

    @property
    def size_bytes(self) -> int:
        """Of what would be sent (without keys that are still being gathered)."""
        return self._pastes.size_bytes(self.text)

    @property
    def draft(self) -> Draft:
        """What is to be kept over a restart."""
        self._flush()
        row, column = self.cursor_location
        return Draft(self.text, row, column, self._pastes.used_in(self.text))

    def load(self, draft: Draft) -> None:
        """Show a draft, its cursor where it was. Nobody is told that one types."""
        self._pastes.restore(draft.pastes)
        self._gathered.clear()
        self._is_loading = True
        self.text = self._short(draft.text)
        self.move_cursor((draft.row, draft.column) if self.text == draft.text else self.document.end)
        self.inputs.rest()

    def load_text_at_end(self, text: str) -> None:
        """Show another text (of the editor, or an earlier input), the cursor at its end. Undo brings back the old."""
        self._flush()
        self.replace(self._short(clean_text(text)), (0, 0), self.document.end, maintain_selection_offset=False)
        self.move_cursor(self.document.end)

    def accept(self, sent: str) -> bool:
        """The text was sent or done: clear, and remember it. Returns whether it belongs among the inputs kept."""
        self.completing.close()
        self._is_loading = True
        self.clear()
        self.stop_typing()
        return self.inputs.add(sent)

    def close_popup(self) -> bool:
        """Esc; False when no popup is open."""
        return self.completing.dismiss(self.cursor_location[0])

    # ---- keys --------------------------------------------------------------------------------------------

    async def _on_key(self, event: events.Key) -> None:
        is_burst = event.time - self._last_key_s < self.BURST_S
        self._last_key_s = event.time
        self._burst_length = self._burst_length + 1 if is_burst else 0
        self._settle_enter(is_burst)
        if is_burst and self._take_pasted_key(event):
            taken = True
        else:
            self._flush()
            taken = self._take_key(event.key)
        if taken:
            event.prevent_default()
            event.stop()

    def _take_pasted_key(self, event: events.Key) -> bool:
        """A paste without bracketed paste is a burst of keys: its newlines must not send, its tabs not leave."""
        is_new_line = event.key in self.send_keys or self._makes_new_line(event.key)
        char = "\n" if is_new_line else "\t" if event.key == "tab" else event.character
        if char is None or not (event.is_printable or char in "\n\t"):
            return False
        if event.key in self.send_keys and self._burst_length <= LAGGED and not self._has_burst_lines:
            self._held_enter = self.set_timer(self.BURST_S, self._send_held)
            return True
        self._has_burst_lines |= is_new_line
        if self._burst_length < GATHER_FROM:
            if event.is_printable and not is_new_line:
                return False  # as typed: TextArea inserts it
            self._insert(char)
            return True
        self._gathered.append(char)
        if self._gathering is None:
            self._gathering = self.set_interval(self.BURST_S, self._flush_when_quiet)
        return True

    def _settle_enter(self, is_burst: bool) -> None:
        """An Enter was held: in a paste more follows at once, and it is a new line."""
        if self._held_enter is not None:
            if is_burst:
                self._held_enter.stop()
                self._held_enter = None
                self._insert("\n")
                self._has_burst_lines = True
            else:
                self._send_held()
        if not is_burst:
            self._has_burst_lines = False

    def _send_held(self) -> None:
        if self._held_enter is not None:
            self._held_enter.stop()
            self._held_enter = None
            self._send()

    def _flush_when_quiet(self) -> None:
        if time.monotonic() - self._last_key_s >= self.BURST_S:
            self._flush()

    def _flush(self) -> None:
        """The gathered keys become text, as one paste."""
        if self._gathering is not None:
            self._gathering.stop()
            self._gathering = None
        if self._gathered:
            text, self._gathered = "".join(self._gathered), []
            self._paste(text)

    def _makes_new_line(self, key: str) -> bool:
        return key in self.new_line_keys or key in ALSO_NEW_LINE

    def _take_key(self, key: str) -> bool:
        if self._makes_new_line(key):
            self._insert("\n")
        elif self.completing.take_key(key):
            pass
        elif key in self.send_keys:
            self._send()
        elif key == "up" and self.navigator.is_first_wrapped_line(self.cursor_location):
            self._show_input(self.inputs.older(self.text))
        elif key == "down" and self.navigator.is_last_wrapped_line(self.cursor_location):
            self._show_input(self.inputs.newer(self.text))
        elif key == "backspace":
            return self._delete_name()
        else:
            return False
        return True

    def _send(self) -> None:
        text = self.full_text
        if text.strip():
            self.post_message(self.Sent(text))

    def _insert(self, text: str) -> None:
        self.replace(text, *self.selection, maintain_selection_offset=False)

    def _show_input(self, text: str | None) -> None:
        if text is not None:
            self._is_loading = True
            self.replace(text, (0, 0), self.document.end, maintain_selection_offset=False)
            self.move_cursor(self.document.end)
            self.completing.close()

    def _complete(self, start: int, text: str) -> None:
        row, column = self.cursor_location
        line = self.document[row]
        if text.endswith(" ") and line[column : column + 1] == " ":
            text = text[:-1]
        self.replace(text, (row, start), (row, column), maintain_selection_offset=False)

    def _delete_name(self) -> bool:
        """Backspace behind the name of a paste takes the whole."""
        row, column = self.cursor_location
        name = self._pastes.name_before(self.document[row], column) if self.selection.is_empty else None
        if name is None:
            return False
        self.replace("", (row, column - len(name)), (row, column), maintain_selection_offset=False)
        return True

    # ---- pastes --------------------------------------------------------------------------------------------

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        self._flush()
        await self._paste_slowly(event.text)

    def action_paste(self) -> None:
        """From the app's own clipboard."""
        self._paste(self.app.clipboard)

    def _paste(self, text: str) -> None:
        self._paste_cleaned(clean_text(_with_newlines(text)))

    async def _paste_slowly(self, text: str) -> None:
        """Megabytes with emoji take seconds to clean: in pieces, so that the screen goes on meanwhile."""
        text, cleaner, pieces = _with_newlines(text), Cleaner(), []
        for begin in range(0, len(text), CLEAN_AT_ONCE):
            if begin:
                await asyncio.sleep(0)
            pieces.append(cleaner.feed(text[begin : begin + CLEAN_AT_ONCE]))
        self._paste_cleaned("".join([*pieces, cleaner.end()]))

    def _paste_cleaned(self, text: str) -> None:
        if is_big(text) or len(text) + len(self.text) > self.MOST_IN_WIDGET:
            text = self._pastes.keep(text)
        self._insert(text)
        self.history.checkpoint()

    def _short(self, text: str) -> str:
        return self._pastes.keep(text) if is_big(text, self.MOST_IN_WIDGET) else text

    # ---- what changes with the text ------------------------------------------------------------------------

    def on_text_area_changed(self) -> None:
        loaded, self._is_loading = self._is_loading, False
        text = self.text
        if not text:
            self.inputs.rest()
            self.stop_typing()
        elif not loaded and not text.startswith("/"):
            self._typed()
        self._look()

    def on_text_area_selection_changed(self) -> None:
        self._look()

    def _look(self) -> None:
        row, column = self.cursor_location
        if self.has_focus and self.selection.is_empty and not self._gathered:
            self.completing.look(self.document[row], row, column)
        else:
            self.completing.close()

    def on_blur(self) -> None:
        self.completing.close()

    def on_resize(self) -> None:
        self.placeholder = PLACEHOLDER if self.size.width >= len(PLACEHOLDER) else SHORT_PLACEHOLDER

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As high as the text, at most a third of the screen with the box's two edges."""
        most = max(1, viewport.height // 3 - 2)
        return min(super().get_content_height(container, viewport, width), most)

    def _set_document(self, text: str, language: str | None) -> None:
        super()._set_document(text, language)
        self.wrapped_document = _Wrapped(self.document, tab_width=self.indent_width)
        self.navigator = DocumentNavigator(self.wrapped_document)
        self._rewrap_and_refresh_virtual_size()

    def find_matching_bracket(self, bracket: str, search_from: tuple[int, int]) -> tuple[int, int] | None:
        """None: TextArea would go through the whole text at each key."""
        return None

    # ---- typing is shown to others ---------------------------------------------------------------------------

    def _typed(self) -> None:
        now_s = time.monotonic()
        self._typed_s = now_s
        if now_s - self._typing_said_s >= TYPING_AGAIN_S:
            self._typing_said_s = now_s
            self.post_message(self.Typing(True))
        if self._typing_watch is None:
            self._typing_watch = self.set_interval(1.0, self._stop_typing_when_quiet)

    def _stop_typing_when_quiet(self) -> None:
        if time.monotonic() - self._typed_s >= TYPING_OVER_S:
            self.stop_typing()

    def stop_typing(self) -> None:
        """Say so, if it was said that one types."""
        if self._typing_watch is not None:
            self._typing_watch.stop()
            self._typing_watch = None
            self._typing_said_s = float("-inf")
            self.post_message(self.Typing(False))
