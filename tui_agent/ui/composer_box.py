"""The box round the composer: prompt, popup, and at its lower edge the keys or how long the text is."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static, TextArea

from server.protocol import MESSAGE_BYTES
from tui_agent.ui.composer import Composer
from tui_agent.ui.popup import Popup

KEYS = "enter send · ctrl+j new line"
SHORT_KEYS = "ctrl+j new line"
NARROW = 72
NEARLY = 0.8  # from this share of the limit on, the length is shown


class ComposerBox(Vertical):
    """Holds a `Composer`, which posts what happens. `note` (of another part) goes before the keys."""

    DEFAULT_CSS = """
    ComposerBox { height: auto; margin: 0 1; border: round $border-blurred; padding: 0 1; }
    ComposerBox { border-subtitle-color: $foreground 45%; border-subtitle-background: $background; }
    ComposerBox:focus-within { border: round $border; }
    ComposerBox.-too-long { border-subtitle-color: $text-error; }
    ComposerBox > Horizontal { height: auto; }
    ComposerBox #sentence { display: none; height: auto; color: $text-warning; }
    ComposerBox #sentence.-shown { display: block; }
    ComposerBox #prompt { width: 2; height: 1; color: $text-primary; }
    ComposerBox Composer { width: 1fr; }
    ComposerBox > Popup { overlay: screen; constrain: none inside; border: round $border-blurred; width: auto; }
    """

    def __init__(self, id: str | None = "box") -> None:
        super().__init__(id=id)
        self.message_bytes = MESSAGE_BYTES
        self._note = ""
        self._popup = Popup(id="completions")
        self.composer = Composer(self._popup, id="composer")
        self._sentence = Static(id="sentence", markup=False)
        # Over the box's upper edge.
        self._popup.lines_below = lambda: self.composer.size.height + self._sentence.size.height + 1

    def compose(self) -> ComposeResult:
        yield self._sentence
        with Horizontal():
            yield Static("›", id="prompt", markup=False)
            yield self.composer
        yield self._popup

    def on_mount(self) -> None:
        self._show_edge()

    @property
    def note(self) -> str:
        return self._note

    @note.setter
    def note(self, note: str) -> None:
        if note != self._note:
            self._note = note
            self._show_edge()

    def say(self, sentence: str) -> None:
        """A sentence above the text, for what the status line has no room for; "" takes it away."""
        if self._sentence.has_class("-shown") != bool(sentence) or str(self._sentence.content) != sentence:
            self._sentence.update(sentence)
            self._sentence.set_class(bool(sentence), "-shown")

    @on(TextArea.Changed)
    def _text_changed(self) -> None:
        self._show_edge()

    @on(Popup.Chosen)
    def _chosen(self, event: Popup.Chosen) -> None:
        event.stop()
        self.composer.completing.accept(event.index)
        self.composer.focus()

    def on_resize(self) -> None:
        self._show_edge()

    def _show_edge(self) -> None:
        size_bytes = self.composer.size_bytes
        is_too_long = size_bytes > self.message_bytes
        self.set_class(is_too_long, "-too-long")
        if is_too_long:
            words = f"{size_bytes:,} of {self.message_bytes:,} bytes: too long to send"
        elif self._note:
            words = self._note
        elif size_bytes > self.message_bytes * NEARLY:
            words = f"{size_bytes:,} of {self.message_bytes:,} bytes"
        else:
            words = KEYS if self.app.size.width >= NARROW else SHORT_KEYS
        if words != self.border_subtitle:
            self.border_subtitle = Content(words)
