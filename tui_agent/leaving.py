"""Ctrl+C and Ctrl+D: what they copy, clear or quit."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui_agent.app import ChatApp

QUIT_AGAIN_S = 2.0


class Leaving:
    """Ctrl+C copies a selection, else clears the input, else twice quits; Ctrl+D quits when the input is empty."""

    def __init__(self, app: ChatApp) -> None:
        self._app = app
        self._asked_s = -QUIT_AGAIN_S

    def copy_or_clear(self) -> None:
        app = self._app
        composer = app.chat_screen.composer
        if app.chat_screen.transcript.copy_selection() is not None:
            return
        if composer.selected_text:
            app.copy_to_clipboard(composer.selected_text)
            app.say("copied")
        elif composer.text:
            composer.clear()
        elif time.monotonic() - self._asked_s < QUIT_AGAIN_S:
            self.quit()
        else:
            self._asked_s = time.monotonic()
            app.say(f"{app.commands.key_of('copy_or_clear')} again quits")

    def quit_when_empty(self) -> None:
        if not self._app.chat_screen.composer.text:
            self.quit()

    def quit(self) -> None:
        self._app.leave(0)
