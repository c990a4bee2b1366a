"""The chat on the screen: joins the rooms (links and folds), the widgets and the table of commands.

What is done where: `commands.py` names every action; `rooms.py` and `conversation.py` hold links and folds;
`ui/screens/chat.py` draws; `leaving.py` and other small controllers decide one matter each. This class only joins them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual import on
from textual.app import App
from textual.css.query import NoMatches
from textual.screen import Screen

from server.protocol import Event, Interrupted, Progress, RoomList
from tui_agent.away import Away
from tui_agent.choosing import Choosing
from tui_agent.chosen import kept_theme
from tui_agent.commands import COMMANDS
from tui_agent.composing import Composing
from tui_agent.config import Settings, place_in_file
from tui_agent.conversation import Conversation
from tui_agent.crash import note_crash
from tui_agent.joining import CannotJoin, make_link
from tui_agent.leaving import Leaving
from tui_agent.link.base import Link, OutboxFull
from tui_agent.moving import Moving
from tui_agent.notifying import Notifying
from tui_agent.paths import state_folder
from tui_agent.rooms import OpenRooms
from tui_agent.saving import Saving
from tui_agent.seen import SeenFile
from tui_agent.state.command import Commands
from tui_agent.tasking import Tasking
from tui_agent.ui.composer import Composer
from tui_agent.ui.frame import Frame
from tui_agent.ui.messages import CommandGiven
from tui_agent.ui.paint import Painter
from tui_agent.ui.screens.chat import ChatScreen
from tui_agent.ui.terminal.driver import TerminalDriver
from tui_agent.ui.themes import DAWN, DUSK, person_hues
from tui_agent.ui.transcript.widget import Transcript

if TYPE_CHECKING:
    from tui_agent.talking import Talking

CLOSE_S = 0.5
HINT_S = 8.0


class ChatApp(App[int], inherit_bindings=False):
    """Rooms on the screen. `connect(settings, room)` makes a room's link, so that tests bring their own."""

    CSS_PATH = "ui/tui_agent.tcss"
    ENABLE_COMMAND_PALETTE = False

    def __init__(
        self, settings: Settings, connect: Callable[[Settings, str], Link] = make_link, *, is_dark: bool | None = None
    ) -> None:
        """`is_dark`: the terminal's background, where it told."""
        super().__init__(driver_class=TerminalDriver)
        self.settings = settings
        self.commands, key_problems = key_table(settings)
        self.problems = [*settings.problems, *key_problems]
        self.register_theme(DUSK)
        self.register_theme(DAWN)
        if settings.theme and settings.theme not in self.available_themes:
            self.problems.append(f"{place_in_file('theme')}: there is no such theme; the default is used.")
        self.animation_level = "none" if settings.reduced_motion else "basic"
        self.fitting_theme = "dawn" if is_dark is False else "dusk"
        wanted = settings.theme or kept_theme(state_folder())
        self.theme = wanted if wanted in self.available_themes else self.fitting_theme
        seen = SeenFile(state_folder(), settings.server_url, settings.user)
        self.rooms = OpenRooms(settings.user, lambda room: connect(settings, room), self._on_news, self._run, seen)
        self.rooms.on_open.append(lambda conversation: conversation.listeners.append(self._heard))
        self.frame = Frame(self.rooms.show(settings.room))
        self.frame.key_of = {command.name: self.commands.key_of(command.name) for command in self.commands}
        self.chat_screen = ChatScreen(self.commands)
        self.away = Away(self)
        self.moving = Moving(self)
        self.leaving = Leaving(self)
        self.choosing = Choosing(self)
        self.composing = Composing(self)
        self.saving = Saving(self)
        self.notifying = Notifying(self)
        self.tasking = Tasking(self)
        self._talking: Talking | None = None  # made when it is first used
        self.tasking.on_ended.append(self._announce)
        self._painter = Painter(self, self._paint)
        self._hint_timer: asyncio.TimerHandle | None = None
        self.on_started: list[Callable[[], None]] = []  # called once the loop runs
        # What one press of Esc does: the first that says True (it did something) ends the list.
        self.stoppers: list[Callable[[], bool]] = [
            self._close_popup, self._stop_voice, self._stop_answer, self._choose_none,
        ]  # fmt: skip

    def get_default_screen(self) -> Screen[None]:
        return self.chat_screen

    @property
    def conversation(self) -> Conversation:
        """The room on the screen."""
        return self.rooms.current

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(person_hues(self.current_theme))

    def on_mount(self) -> None:
        if self.problems:
            self.say("; ".join(self.problems), for_s=None)
        for begin in self.on_started:
            begin()
        # After Ctrl+Z and `fg` Textual draws only what changes.
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        self.call_after_refresh(self._begin)
        self.set_interval(1.0, self._count_down)
        if self.settings.with_voice:
            self.call_after_refresh(self.talking.hands_free)
        elif self.settings.voice.speak:
            self.talking.look()
        self.soon()

    async def on_unmount(self) -> None:
        self._painter.stop()
        if self._talking is not None:
            await self._talking.close()

    @property
    def talking(self) -> Talking:
        """F2 and spoken answers."""
        if self._talking is None:
            from tui_agent.talking import Talking

            self._talking = Talking(self)
        return self._talking

    def _begin(self) -> None:
        """The first frame is painted: now what takes longer to import."""
        self.composing.begin()
        if isinstance(self._driver, TerminalDriver):
            self._driver.begin_input()
        self.rooms.run_current()

    # ---- rooms -----------------------------------------------------------------------------------------

    def _run(self, conversation: Conversation) -> None:
        self.run_worker(self._keep_running(conversation), group="link", exit_on_error=False)

    async def _keep_running(self, conversation: Conversation) -> None:
        try:
            await conversation.run()
        except CannotJoin as trouble:
            self.say(str(trouble), for_s=None)
        except Exception as exc:  # the top of this asyncio task
            note_crash(exc)
            self.say("This room stopped because of a mistake inside tui-agent; F5 joins it again.", for_s=None)

    def _announce(self, sentence: str) -> None:
        """A task has ended: with the voice on it is said."""
        if self._talking is not None:
            self._talking.announce(sentence)

    def _on_news(self, conversation: Conversation) -> None:
        if conversation is self.rooms.current:
            self.soon()
            self.tasking.look()

    def on_app_blur(self) -> None:
        self.away.left()

    def on_app_focus(self) -> None:
        self.away.back()

    def _heard(self, conversation: Conversation, event: Event) -> None:
        """Each event of each open room, after it was folded."""
        if isinstance(event, RoomList):
            self.choosing.rooms_came(event)
        self.tasking.heard(conversation, event)
        if isinstance(event, Interrupted) and conversation is self.rooms.current:
            self._painter.now()
        if isinstance(event, Progress) and conversation is self.rooms.current and self.chat_screen.children:
            self.chat_screen.draw_tasks(self.frame)  # at once: it is little, and waits for nothing that streams
        if self._talking is not None:
            self._talking.heard(conversation, event)

    # ---- painting ----------------------------------------------------------------------------------------

    def soon(self) -> None:
        """Something that is drawn has changed."""
        self._painter.soon()

    def _paint(self) -> None:
        if self.chat_screen.is_mounted and self.chat_screen.children:  # none: the app is ending
            if self._talking is not None:
                self._talking.look()
            try:
                self.chat_screen.draw(self.frame, self.conversation.take_changes())
            except NoMatches:  # its widgets are taken down already: the program ends
                return
            if isinstance(self._driver, TerminalDriver):
                self._driver.set_title(title_of(self.conversation))

    def _count_down(self) -> None:
        if self.conversation.status.phase == "waiting" or self.conversation.chat.tasks:
            self.soon()

    def on_resize(self) -> None:
        self.soon()

    @on(Transcript.FollowChanged)
    def _follow_changed(self) -> None:
        self.soon()

    @on(Transcript.Copied)
    def _copied(self, message: Transcript.Copied) -> None:
        self.say(message.what)

    @on(Transcript.NeedOlder)
    def _need_older(self) -> None:
        self.conversation.need_older()

    @on(Transcript.LinkClicked)
    def _link_clicked(self, message: Transcript.LinkClicked) -> None:
        from tui_agent.ui.screens.link import LinkScreen

        self.push_screen(LinkScreen(message.url))

    def say(self, sentence: str, *, for_s: float | None = HINT_S) -> None:
        """One sentence in the status line, for a while (None: until the next one)."""
        self.frame.hint = sentence
        if self._hint_timer is not None:
            self._hint_timer.cancel()
            self._hint_timer = None
        if for_s is not None and sentence:
            self._hint_timer = asyncio.get_running_loop().call_later(for_s, self.say, "")
        self.soon()

    def copy_to_clipboard(self, text: str) -> None:
        """Through the terminal, and by the commands that this machine has for it."""
        from tui_agent.ui.transcript.clipboard import copy_locally

        super().copy_to_clipboard(text)
        self.run_worker(copy_locally(text), group="clipboard", exclusive=True, exit_on_error=False)

    # ---- what a person does ------------------------------------------------------------------------------

    @on(CommandGiven)
    def _command_given(self, message: CommandGiven) -> None:
        self.do(message.name, message.words)

    def do(self, name: str, words: str = "") -> None:
        """Run a command of the table."""
        self.commands[name].run(self, words)

    @on(Composer.Sent)
    def _sent(self, message: Composer.Sent) -> None:
        self.composing.sent(message.text)

    @on(Composer.Changed)
    def _text_changed(self) -> None:
        self._painter.make_way()
        self.chat_screen.paint_letter()
        self.composing.changed()

    @on(Composer.Typing)
    def _typing(self, message: Composer.Typing) -> None:
        self.composing.typing(message.active)

    def send(self, text: str) -> bool:
        """Say something in the room; False (and a sentence) when it cannot be kept."""
        limit = self.conversation.chat.message_bytes
        if len(text.encode()) > limit:
            self.say(f"The message is over {limit:,} bytes; shorten it or send it in parts.")
            return False
        try:
            cid = self.conversation.send(text)
            self.away.wrote()
        except OutboxFull as full:
            self.say(str(full))
            return False
        if self._talking is not None:
            self._talking.sent(self.conversation, cid)
        return True

    def resend(self) -> None:
        try:
            if not self.conversation.resend():
                self.say("Every message of yours here was sent.")
        except OutboxFull as full:
            self.say(str(full))

    def discard(self) -> None:
        if not self.conversation.discard():
            self.say("Every message of yours here was sent.")

    def stop(self) -> None:
        """Esc: the first that applies."""
        for stopper in self.stoppers:
            if stopper():
                return

    def _close_popup(self) -> bool:
        return self.chat_screen.composer.close_popup()

    def _stop_voice(self) -> bool:
        return self._talking is not None and self._talking.escape()

    def _choose_none(self) -> bool:
        """No message is chosen any more, nothing is selected; one writes again."""
        self.chat_screen.composer.focus()
        return self.chat_screen.transcript.drop_cursor()

    def _stop_answer(self) -> bool:
        return self.conversation.stop()

    def clear_conversation(self) -> None:
        self.conversation.clear()

    def toggle_panel(self) -> None:
        self.frame.is_panel_wanted = not self.frame.is_panel_wanted
        self.soon()

    def show_help(self) -> None:
        from tui_agent.ui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.commands, self.problems))

    def leave(self, status: int) -> None:
        """End the program; the rooms are left politely where that is quick."""
        self.composing.keep_draft()
        self.run_worker(self._leave(status), group="leave", exclusive=True, exit_on_error=False)

    async def _leave(self, status: int) -> None:
        await self.rooms.close(CLOSE_S)
        self.exit(status)

    # ---- a mistake of ours: no traceback, no values on the screen (running.py says what happened) -----------

    @property
    def crash(self) -> Exception | None:
        """The mistake that ended the app."""
        return self._exception

    def _fatal_error(self) -> None:
        self._close_messages_no_wait()

    def panic(self, *_renderables: object) -> None:
        self._return_code = 1
        self._close_messages_no_wait()


def key_table(settings: Settings) -> tuple[Commands, Sequence[str]]:
    """The commands with the keys of `[keys]`, and for each that cannot be used file, line, key and why."""
    commands, problems = COMMANDS.with_keys(settings.keys)
    return commands, [f"{place_in_file(f'keys.{name}')}: {sentence}" for name, sentence in problems]


def title_of(conversation: Conversation) -> str:
    """For the terminal's title: the room, and what happens there."""
    chat, phase = conversation.chat, conversation.status.phase
    glyph = "✦" if chat.running is not None else "●"
    if phase != "live":
        glyph = "■" if phase == "offline" else "◌"
    return f"{glyph} #{conversation.room} · tui-agent"
