"""`/export` on the screen: one export a room at a time, its progress and its end in the status line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_agent.state.clean import clean_line

if TYPE_CHECKING:
    from server.protocol import Event
    from tui_agent.app import ChatApp
    from tui_agent.conversation import Conversation


class Saving:
    """Starts exports and says how they go."""

    def __init__(self, app: ChatApp) -> None:
        self._app = app
        self._rooms: set[str] = set()

    def export(self, words: str) -> None:
        """`/export [md|json] [PATH]` of the room on the screen."""
        conversation = self._app.conversation
        if conversation.room in self._rooms:
            self._app.say(f"#{conversation.room} is being exported already.")
            return
        self._rooms.add(conversation.room)
        self._app.run_worker(self._run(conversation, words), group="export", exit_on_error=False)

    async def _run(self, conversation: Conversation, words: str) -> None:
        from tui_agent.exporting import CannotExport, Export  # at its first use, not at the start
        from tui_agent.state.export import read_target

        app, room = self._app, conversation.room

        def tell(percent: int) -> None:
            if percent < 100:
                app.say(f"Exporting #{room}… {percent} %", for_s=None)

        export = Export(conversation.link, room, conversation.chat.agent or "agent", tell)

        def heard(_conversation: Conversation, event: Event) -> None:
            export.heard(event)

        conversation.listeners.append(heard)
        try:
            path = await export.run(read_target(words))
            app.say(f"#{room} is in {clean_line(str(path))}", for_s=None)
        except CannotExport as trouble:
            app.say(str(trouble), for_s=None)
        finally:
            conversation.listeners.remove(heard)
            self._rooms.discard(room)
