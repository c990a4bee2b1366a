"""One room as this client has it: its link, its fold, and the changes that the screen has not drawn yet.

Knows nothing of Textual. `run` owns the link; everything else returns at once.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from server.protocol import (
    CancelTask,
    Clear,
    Event,
    History,
    Message,
    Rooms,
    Snapshot,
    SubmitTask,
    UserJoined,
    UserLeft,
    UserMessage,
    Welcome,
)
from tui_agent.link.base import Link, LinkEvent, LinkStatus, PendingChanged, Received, StatusChanged
from tui_agent.state.changes import Change, Remove, Upsert
from tui_agent.state.chat import Chat
from tui_agent.state.clean import clean_line
from tui_agent.state.entry import Entry

if TYPE_CHECKING:
    from tui_agent.seen import SeenFile

MOST_LEFT = 16  # are remembered; the panel shows fewer
SMALL_ROOM = 12  # up to so many people, coming and going is told in the transcript
HELP = "This room is empty. Write below; who joins it sees the same. F1 lists the keys, / the commands."
DEMO_HELP = (
    "The demo agent answers here: it needs no key and knows little. For a real one, set ANTHROPIC_API_KEY "
    "(or ANTHROPIC_BASE_URL), run tui-agent-server stop, and start again."
)


class Conversation:
    """One room. `on_news` is called after each thing that the screen should show (often; it must be cheap)."""

    def __init__(
        self,
        room: str,
        user: str,
        connect: Callable[[str], Link],
        on_news: Callable[[Conversation], None],
        seen: SeenFile | None = None,
    ) -> None:
        self.room = room
        self._seen = seen
        self._seen_id = None if seen is None else seen.read(room)
        self.chat = Chat(user, self._seen_id)
        self._connect = connect
        self._link: Link | None = None
        self.status = LinkStatus("connecting")
        self.retry_at_s = 0.0  # monotonic; when the next attempt begins
        self.is_running = False
        self.monotonic_s: Callable[[], float] = time.monotonic
        self.wall_s: Callable[[], float] = time.time
        self.left_at_s: dict[str, float] = {}  # who left, the last MOST_LEFT of them: monotonic
        self.scroll_position: object | None = None  # where the transcript stood when another room was shown
        self.folds: dict[str, bool] = {}  # by entry: what the person folded (True) or opened
        self.listeners: list[Callable[[Conversation, Event], None]] = []  # hear each event after it was folded
        self._on_news = on_news
        self._changes: list[Change] = []
        self._is_shown = True
        self._is_greeted = False
        self._asked_before = 0

    @property
    def link(self) -> Link:
        """Made when it is first asked for. Raises CannotJoin (the settings were checked at the start)."""
        if self._link is None:
            self._link = self._connect(self.room)
        return self._link

    @property
    def is_live(self) -> bool:
        return self.status.phase == "live"

    @property
    def retry_in_s(self) -> float:
        return max(0.0, self.retry_at_s - self.monotonic_s())

    @property
    def left_for_s(self) -> dict[str, float]:
        """For how long those are away who left, longest first."""
        now_s = self.monotonic_s()
        return {name: now_s - at_s for name, at_s in self.left_at_s.items() if name not in self.chat.members.people}

    @property
    def is_caught_up(self) -> bool:
        """Whether all that was there at the first welcome has come: what comes now is new."""
        return self.chat.is_caught_up

    def note_seen(self) -> None:
        """Remember, over sessions, that all up to now was seen."""
        if self._seen is not None and self.chat.is_caught_up and self.chat.head != self._seen_id:
            self._seen_id = self.chat.head
            self._seen.write(self.room, self.chat.head)

    def set_shown(self, is_shown: bool) -> None:
        """Whether it is on the screen: only then are changes kept for drawing."""
        self._is_shown = is_shown
        self._changes.clear()

    def take_changes(self) -> list[Change]:
        """What changed in the transcript since the last call; the caller draws it."""
        changes, self._changes = self._changes, []
        return changes

    async def run(self) -> None:
        """Stay connected and take what the link says, until cancelled or `close`d."""
        self.is_running = True
        try:
            async with asyncio.TaskGroup() as group:
                link = group.create_task(self.link.run(), name=f"link of {self.room}")
                try:
                    async for event in self.link.events():
                        self._take(event)
                finally:
                    link.cancel()
        finally:
            self.is_running = False
            self.note_seen()

    async def close(self) -> None:
        """Leave politely."""
        if self._link is not None:
            await self._link.close()

    def _take(self, event: LinkEvent) -> None:
        match event:
            case Received(received):
                before = frozenset(self.chat.members.people) if isinstance(received, UserJoined | UserLeft) else ()
                was_caught_up = self.chat.is_caught_up
                self._note(self.chat.apply(received, self.wall_s()))
                if not was_caught_up:
                    self.note_seen()  # what ended meanwhile is on the screen now
                if isinstance(received, Snapshot):
                    self._is_greeted = False  # everything is anew
                if isinstance(received, Snapshot | Welcome | UserMessage):
                    self._greet()
                self._note_presence(received, before)
                for listener in self.listeners:
                    listener(self, received)
            case StatusChanged(status):
                self.status = status
                self.retry_at_s = self.monotonic_s() + status.retry_in_s
            case PendingChanged(pending):
                for item in pending:
                    if isinstance(item.command, Message):
                        text, stale = item.command.content, item.is_stale
                        self._note(self.chat.sending(item.cid, text, item.time_s, is_offered=stale))
        self._on_news(self)

    @property
    def entries(self) -> list[Entry]:
        """What the transcript shows: of an empty room, how to begin."""
        entries = self.chat.entries
        if entries or not self.chat.room:
            return entries
        words = f"{HELP}\n{DEMO_HELP}" if self.chat.agent == "demo" else HELP
        return [Entry("help", "help", words)]

    def _note_presence(self, event: Event, before: Collection[str]) -> None:
        """Who came or went: for the panel, and in a small room a line in the transcript, one a person. It is no part of
        the log, so it stands only where it was seen."""
        chat = self.chat
        match event:
            case UserLeft(users=users):
                for user in map(clean_line, users):
                    self.left_at_s.pop(user, None)
                    self.left_at_s[user] = self.monotonic_s()
                    if len(self.left_at_s) > MOST_LEFT:
                        del self.left_at_s[next(iter(self.left_at_s))]
                    self._note_moved(user, "left", is_news=user in before)
            case UserJoined(users=users):
                for user in map(clean_line, users):
                    self.left_at_s.pop(user, None)
                    self._note_moved(user, "joined", is_news=user not in before)
            case Welcome():
                for user in chat.members.people:
                    self.left_at_s.pop(user, None)

    def _note_moved(self, user: str, word: str, *, is_news: bool) -> None:
        if is_news and user != self.chat.me and self.chat.members.count <= SMALL_ROOM:
            key = f"p:{user}"
            self._note([Remove(key), Upsert(Entry(key, "notice", f"{user} {word}", user))])

    def _greet(self) -> None:
        """Put the help into an empty room, and take it away again."""
        if self.chat.entries:
            if self._is_greeted:
                self._is_greeted = False
                self._note([Remove("help")])
        elif self.chat.room and not self._is_greeted:
            self._is_greeted = True
            self._note([Upsert(entry) for entry in self.entries])

    def _note(self, changes: list[Change]) -> None:
        if self._is_shown:
            self._changes += changes

    # ---- what a person does ------------------------------------------------------------------------

    def send(self, text: str) -> str:
        """Send a message; it shows at once. Returns its cid. Raises OutboxFull."""
        command = Message(str(uuid.uuid4()), text)
        self.link.send(command)
        self._note(self.chat.sending(command.cid, text, self.wall_s()))
        self._greet()
        self._on_news(self)
        return command.cid

    def resend(self) -> bool:
        """Send again what was refused or only offered; False when there is none. Raises OutboxFull."""
        unsent = self.chat.unsent
        offered = {item.cid for item in self.link.pending if item.is_stale}
        for cid, text in unsent:
            if cid in offered:
                self.link.resend_stale(cid)
            else:
                self._note(self.chat.forget(cid))
                self.send(text)
        offered_tasks = self._offered_tasks()
        for cid in offered_tasks:
            self.link.resend_stale(cid)
        return bool(unsent or offered_tasks)

    def _offered_tasks(self) -> list[str]:
        return [item.cid for item in self.link.pending if item.is_stale and isinstance(item.command, SubmitTask)]

    def discard(self) -> bool:
        """Drop what was refused or only offered; False when there is none."""
        unsent = self.chat.unsent
        for cid, _ in unsent:
            self.link.forget(cid)
            self._note(self.chat.forget(cid))
        offered_tasks = self._offered_tasks()
        for cid in offered_tasks:
            self.link.forget(cid)
        self._on_news(self)
        return bool(unsent or offered_tasks)

    def command(self, command: Clear | SubmitTask | CancelTask | Rooms) -> None:
        """Any other command. Raises OutboxFull."""
        self.link.send(command)

    def clear(self) -> None:
        self.command(Clear(str(uuid.uuid4())))

    def stop(self) -> bool:
        """Interrupt the open answer, or the one whose question is not acknowledged yet; False when there is none."""
        running = self.chat.running
        if running is not None:
            self.link.interrupt(running.run)
            return True
        if any(entry.state == "sending" for entry in self.chat.entries):
            self.link.interrupt(None)
            return True
        return False

    def need_older(self) -> None:
        """The beginning of what is loaded is in sight: ask for what came before, once."""
        chat = self.chat
        if chat.has_older and chat.oldest_id > 1 and self._asked_before != chat.oldest_id:
            self._asked_before = chat.oldest_id
            self.link.send(History(str(uuid.uuid4()), chat.oldest_id))
