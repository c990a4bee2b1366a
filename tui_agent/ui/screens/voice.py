"""Asked at the first F2: whether the model that hears may be downloaded. Then the bar, which may stay open or not."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from tui_agent.ui.dialog import DIM, dialog_head
from tui_agent.ui.screens.modal import Modal

BAR_CELLS = 40
S = Content.styled


class DownloadScreen(Modal[None]):
    """Enter starts (and later leaves it running behind the chat), Esc cancels.

    `start` and `cancel` belong to who opened it; that one calls `show` as bytes come, and dismisses it at the end.
    """

    DEFAULT_CSS = "#download-keys { margin-top: 1; }"

    def __init__(self, offer: str, is_running: bool, start: Callable[[], None], cancel: Callable[[], None]) -> None:
        super().__init__(name="download")
        self._offer = offer
        self._is_running = is_running
        self._start, self._cancel = start, cancel

    def compose(self) -> ComposeResult:
        with Vertical(id="download-box", classes="dialog"):
            yield Static(dialog_head("Talking needs a model", "once"), classes="dialog-head", markup=False)
            yield Static(id="download-words", markup=False)
            yield Static(id="download-keys", markup=False)

    def on_mount(self) -> None:
        self._draw()

    def show(self, share: float, done_bytes: int, total_bytes: int) -> None:
        """So much has come."""
        if not self.is_mounted:
            return
        cells = int(share * BAR_CELLS)
        bar = S("━" * cells, "$text-primary") + S("─" * (BAR_CELLS - cells), "$foreground 25%")
        words = S(f"  {share:.0%}", "$foreground") + S(f"   {done_bytes / 1e6:.0f} of {total_bytes / 1e6:.0f} MB", DIM)
        self.query_one("#download-words", Static).update(bar + words)

    def _draw(self) -> None:
        keys = self.query_one("#download-keys", Static)
        if self._is_running:
            self.show(0.0, 0, 0)
            keys.update(_keys("goes on behind the chat", "stops it"))
        else:
            words = f"Download {self._offer}? Your voice is then heard on this machine and goes nowhere else."
            self.query_one("#download-words", Static).update(Content(words))
            keys.update(_keys("downloads", "not now"))

    def on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            if self._is_running:
                self.dismiss(None)
            else:
                self._is_running = True
                self._draw()
                self._start()
        elif event.key == "escape":
            event.stop()
            if self._is_running:
                self._cancel()
            self.dismiss(None)


def _keys(enter: str, escape: str) -> Content:
    return S("enter ", "bold") + S(f"{enter}   ", DIM) + S("esc ", "bold") + S(escape, DIM)
