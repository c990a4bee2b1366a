"""Going from room to room, and connecting again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.protocol import is_room_name

if TYPE_CHECKING:
    from tui_agent.app import ChatApp


class Moving:
    """Puts rooms on the screen, each where it stood when it was left."""

    def __init__(self, app: ChatApp) -> None:
        self._app = app

    def show(self, room: str) -> None:
        """Put a room on the screen, joining it when it is not open."""
        app = self._app
        old = app.conversation
        if room == old.room:
            return
        old.scroll_position = app.chat_screen.position()
        app.away.left()
        new = app.rooms.show(room)
        app.frame.conversation = new
        app.say("")
        app.rooms.run_current()
        app.chat_screen.show_room(app.frame, new.scroll_position)
        app.away.wrote()
        app.away.back()
        app.composing.show_room(room)
        app.soon()

    def to(self, name: str) -> None:
        """`/room NAME`; without a name the list opens."""
        name = name.lstrip("#").lower()
        if not name:
            self._app.choosing.room()
        elif not is_room_name(name):
            self._app.say("A room's name is made of a-z 0-9 . _ - and begins with a letter or digit.")
        else:
            self.show(name)

    def back(self) -> None:
        """To the room before this one."""
        previous = self._app.rooms.previous
        if previous is not None:
            self.show(previous)
        else:
            self._app.say("There is no room before this one.")

    def reconnect(self) -> None:
        """F5: a try at once; a room that broke gets a new link."""
        app = self._app
        if app.conversation.is_running:
            app.conversation.link.reconnect_now()
            return
        app.frame.conversation = app.rooms.renew_current()
        app.rooms.run_current()
        app.chat_screen.show_room(app.frame, None)
        app.soon()
