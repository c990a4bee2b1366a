"""Where one writes: Enter sends, Ctrl+J, Shift+Enter and Alt+Enter make a new line."""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.widgets import TextArea

NEW_LINE_KEYS = frozenset({"ctrl+j", "shift+enter", "alt+enter", "shift+\r"})
BURST_S = 0.030  # keys closer than this come from a paste, not from a person


class Composer(TextArea):
    """Grows with its text. It posts `Sent` and keeps the text until the app says `accept`."""

    DEFAULT_CSS = """
    Composer { height: auto; min-height: 1; max-height: 8; border: none !important; padding: 0; }
    Composer { background: transparent; }
    Composer .text-area--cursor-line { background: transparent; }
    Composer .text-area--placeholder { color: $foreground 50%; }
    """

    class Sent(Message):
        """Enter was pressed on this text."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, id: str | None = None) -> None:
        super().__init__(
            id=id, soft_wrap=True, compact=True, highlight_cursor_line=False, show_line_numbers=False,
            placeholder="Ask the room or the agent",
        )  # fmt: skip
        self._last_key_s = 0.0

    async def _on_key(self, event: events.Key) -> None:
        # A paste without bracketed paste is a burst of keys: its newlines must not send.
        is_burst = event.time - self._last_key_s < BURST_S
        self._last_key_s = event.time
        if event.key in NEW_LINE_KEYS or (event.key == "enter" and is_burst):
            event.prevent_default()
            event.stop()
            self.insert("\n")
        elif event.key == "enter":
            event.prevent_default()
            event.stop()
            if self.text.strip():
                self.post_message(self.Sent(self.text))
        else:
            await super()._on_key(event)
