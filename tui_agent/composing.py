"""What becomes of what is written: sent, done as a command, kept as an input and as each room's draft."""

from __future__ import annotations

import asyncio
import time
from functools import cached_property
from typing import TYPE_CHECKING

from textual.content import Content

from server.protocol import Typing
from tui_agent.paths import state_folder
from tui_agent.state.clean import clean_line
from tui_agent.state.history import MOST_INPUTS, first_line
from tui_agent.state.sending import Do, Say, Wrong, read_input
from tui_agent.writing import DraftFiles, InputFile

if TYPE_CHECKING:
    from tui_agent.app import ChatApp
    from tui_agent.conversation import Conversation
    from tui_agent.ui.composer import Composer

DRAFT_S = 1.0  # after the last change; and always when one leaves


class Composing:
    """Between the composer and everything else."""

    def __init__(self, app: ChatApp) -> None:
        self._app = app
        folder = state_folder()
        self._input_file = InputFile(folder)
        self._drafts = DraftFiles(folder, app.settings.server_url, app.settings.user)
        self._draft_timer: asyncio.TimerHandle | None = None
        self._room = ""  # whose draft the composer holds
        self._typing_in: Conversation | None = None  # who was told that one types
        self._has_said_no_disk = False
        self._refused = ""  # why the text that stands there was not sent

    @cached_property
    def _composer(self) -> Composer:
        return self._app.chat_screen.composer  # kept: at the end drafts are written when the screen is gone

    # ---- rooms and drafts ------------------------------------------------------------------------------

    def begin(self) -> None:
        """The composer is on the screen: earlier inputs, the table of commands, the room's draft."""
        app, composer = self._app, self._composer
        composer.inputs.extend(self._input_file.read())
        composer.send_keys = frozenset(app.commands["send"].keys)
        composer.new_line_keys = frozenset(app.commands["new_line"].keys)
        composer.completing.commands = [command for command in app.commands if command.slash]
        composer.completing.look_round = self.look_round
        self.show_room(app.conversation.room)

    def show_room(self, room: str) -> None:
        """Another room is on the screen: put the draft of the old one away, take out its own."""
        if room == self._room:
            return
        self.keep_draft()
        composer = self._composer
        composer.stop_typing()
        is_first, self._room = not self._room, room
        if not (is_first and composer.text):  # a quick person has typed before the screen was ready
            composer.load(self._drafts.read(room))

    def changed(self) -> None:
        """The text has changed: keep it soon. Why it was not sent is old now."""
        if self._refused and self._app.frame.hint == self._refused:
            self._app.say("")
        self._refused = ""
        if self._draft_timer is None:
            # Not a timer of Textual's: one made while the app ends would outlive it.
            self._draft_timer = asyncio.get_running_loop().call_later(DRAFT_S, self._keep_if_running)

    def _keep_if_running(self) -> None:
        self._draft_timer = None
        if self._app.is_running:
            self.keep_draft()

    def keep_draft(self) -> None:
        """Write the draft now."""
        if self._draft_timer is not None:
            self._draft_timer.cancel()
            self._draft_timer = None
        if self._room:
            self._say_no_disk(self._drafts.write(self._room, self._composer.draft))

    def _say_no_disk(self, sentence: str | None) -> None:
        if sentence is not None and not self._has_said_no_disk:
            self._has_said_no_disk = True
            self._app.say(sentence)

    def look_round(self) -> None:
        """Who and what can be completed, as it is now."""
        app = self._app
        chat = app.conversation.chat
        completing = self._composer.completing
        others = sorted(name for name in chat.members.people if name != chat.me)
        completing.people = [*(["agent"] if "agent" not in others else []), *others, chat.me]
        completing.arguments = {
            "room": [*dict.fromkeys(conversation.room for conversation in reversed(app.rooms.open))],
            "export": ["md", "json"],
            "speak": ["on", "off"],
            "notify": ["on", "off"],
            "cancel": [clean_line(task) for task in chat.tasks],
        }

    # ---- sending -----------------------------------------------------------------------------------------

    def sent(self, text: str) -> None:
        """Enter: to the room, or done as a command. What cannot be sent stays, and why is said."""
        app = self._app
        app.say("")
        match read_input(text, app.commands):
            case Wrong(sentence):
                self._refused = sentence
                app.say(sentence, for_s=None)
                return
            case Say(words):
                if not app.send(words):
                    return
                self._accept(text)
                app.chat_screen.follow()
            case Do(command, words):
                self._accept(text)
                app.do(command.name, words)

    def _accept(self, text: str) -> None:
        if self._composer.accept(text.rstrip()):
            self._say_no_disk(self._input_file.add(text.rstrip(), time.time()))
        self.keep_draft()

    def typing(self, active: bool) -> None:
        """Others see that one writes."""
        if active:
            self._typing_in = self._app.conversation
        if self._typing_in is not None:
            self._typing_in.link.send(Typing(active))

    # ---- earlier inputs, and the editor ----------------------------------------------------------------

    def search_inputs(self) -> None:
        """Ctrl+R: a list of earlier inputs, newest first; the chosen one is put into the composer."""
        from tui_agent.ui.screens.picker import Picker, Row

        app, composer = self._app, self._composer
        texts = composer.inputs.search("", MOST_INPUTS)
        if not texts:
            app.say("There are no earlier inputs yet.")
            return
        rows = [Row(str(index), Content(clean_line(first_line(text, 70))), text) for index, text in enumerate(texts)]

        def chosen(index: str | None) -> None:
            composer.focus()
            if index is not None:
                composer.load_text_at_end(texts[int(index)])

        title = "Earlier inputs"
        app.push_screen(Picker(title, "words of it", rows, closed_by=app.commands["search_inputs"].keys), chosen)

    def edit_elsewhere(self) -> None:
        """Ctrl+G: the text in $VISUAL or $EDITOR."""
        self._app.run_worker(self._edit(), group="editor", exclusive=True, exit_on_error=False)

    async def _edit(self) -> None:
        from tui_agent.ui.editor import EditorTrouble, edit_text

        composer = self._composer
        old = composer.full_text
        try:
            new = await edit_text(self._app, old)
        except EditorTrouble as trouble:
            self._app.say(str(trouble))
        else:
            if new != old:
                composer.load_text_at_end(new)
        composer.focus()
