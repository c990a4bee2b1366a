"""The lists one chooses from: rooms, commands and themes, each a Picker."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from textual.content import Content

from server.protocol import RoomInfo, RoomList, Rooms, is_room_name
from tui_agent.chosen import keep_theme
from tui_agent.paths import state_folder
from tui_agent.state.clean import clean_line
from tui_agent.state.command import shown_key

if TYPE_CHECKING:
    from tui_agent.app import ChatApp
    from tui_agent.ui.screens.picker import Picker, Row

DIM = "$foreground 56%"
S = Content.styled
AS_TERMINAL = "as the terminal is"


class Choosing:
    """Opens the lists and does what was chosen."""

    def __init__(self, app: ChatApp) -> None:
        self._app = app
        self._rooms: list[RoomInfo] = []  # as the server told last
        self._room_picker: Picker | None = None

    # ---- rooms -----------------------------------------------------------------------------------------

    def room(self) -> None:
        """The list of rooms; typing filters it, a new name makes a room. The room before is chosen first."""
        from tui_agent.ui.screens.picker import Picker

        app = self._app
        app.conversation.command(Rooms(str(uuid.uuid4())))
        picker = self._room_picker = Picker(
            "Rooms", "a room, or a new name", self._room_rows(),
            closed_by=app.commands["rooms"].keys, first=app.rooms.previous, made_of=self._new_room,
        )  # fmt: skip

        def chosen(room: str | None) -> None:
            self._room_picker = None
            if room:
                app.moving.show(room)

        app.push_screen(picker, chosen)

    def rooms_came(self, event: RoomList) -> None:
        """The server's list."""
        self._rooms = event.rooms
        if self._room_picker is not None:
            self._room_picker.set_rows(self._room_rows())

    def _room_rows(self) -> list[Row]:
        from tui_agent.ui.screens.picker import Row

        app = self._app
        told = {clean_line(info.room): info for info in self._rooms}
        seen = [conversation.room for conversation in reversed(app.rooms.open)]
        names = dict.fromkeys([*seen[1:], *(name for name in told if name != seen[0]), seen[0]])
        rows = []
        for name in names:
            info = told.get(name)
            content = S(f"#{name}", "bold" if name == app.conversation.room else "")
            if name == app.conversation.room:
                content += S("  here", DIM)
            if info is not None:
                content += S(f"  {info.count} in it" if info.count else "", DIM)
                if info.last is not None:
                    content += S(f"  {clean_line(info.last.user) or 'agent'}: {clean_line(info.last.content)}", DIM)
            rows.append(Row(name, content.truncate(70, ellipsis=True), name))
        return rows

    @staticmethod
    def _new_room(text: str) -> Row | None:
        from tui_agent.ui.screens.picker import Row

        name = text.lstrip("#")
        if not is_room_name(name):
            return None
        return Row(name, S("＋ ", "$text-accent") + S(f"#{name}", "bold") + S("  a new room", DIM), name)

    # ---- the palette and the themes ----------------------------------------------------------------------

    def command(self) -> None:
        """Every command that makes sense from here."""
        from tui_agent.ui.screens.picker import Picker, Row

        app = self._app
        rows = []
        for command in app.commands:
            if command.in_palette:
                keys = "  ".join([*(shown_key(key) for key in command.keys), command.slash]).strip()
                words = f"{command.title} {command.name} {command.slash}"
                rows.append(Row(command.name, Content(command.title), words, S(keys, DIM)))

        def chosen(name: str | None) -> None:
            if name:
                app.do(name)

        app.push_screen(Picker("Commands", "what to do", rows, closed_by=app.commands["palette"].keys), chosen)

    def theme(self) -> None:
        """The themes; the one under the cursor shows at once, Esc brings the old one back. The choice is kept, unless
        the settings name a theme: they stay the last word."""
        from tui_agent.ui.screens.picker import Picker, Row

        app = self._app
        old = app.theme
        names = ["dusk", "dawn", *sorted(set(app.available_themes) - {"dusk", "dawn"})]
        rows = [Row(name, Content(name), name) for name in names]
        rows.append(Row(AS_TERMINAL, Content(AS_TERMINAL), AS_TERMINAL))

        def show(name: str) -> None:
            app.theme = app.fitting_theme if name == AS_TERMINAL else name

        def chosen(name: str | None) -> None:
            show(name or old)
            if name and app.settings.theme:
                app.say(f"{name} for now; the next start takes {app.settings.theme}, as the setting `theme` says.")
            elif name:
                keep_theme(state_folder(), "" if name == AS_TERMINAL else name)

        app.push_screen(Picker("Themes", "a theme", rows, first=old, on_highlight=show), chosen)
