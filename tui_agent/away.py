"""While one looked elsewhere (another room, another window): the line "new since 14:02" above what came meanwhile."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tui_agent.app import ChatApp
    from tui_agent.conversation import Conversation

AWAY_S: Final = 60.0  # a shorter look elsewhere is none


class Away:
    """Remembers for each room when one last looked at it."""

    def __init__(self, app: ChatApp) -> None:
        self._app = app
        self._left_s: dict[Conversation, float] = {}

    def left(self) -> None:
        """The room on the screen is not looked at any more."""
        self._left_s.setdefault(self._app.conversation, time.time())

    def back(self) -> None:
        """It is looked at again; a terminal may say so without having said the other."""
        left_s = self._left_s.pop(self._app.conversation, None)
        if left_s is not None and time.time() - left_s >= AWAY_S:
            self._app.chat_screen.transcript.mark_new_since(left_s)

    def wrote(self) -> None:
        """Whoever writes has read: the line goes."""
        self._app.chat_screen.transcript.mark_new_since(None)
