"""One room as this client has it: its link, its fold, and the changes that the screen has not drawn yet.

Knows nothing of Textual. `run` owns the link; everything else returns at once.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable

from server.protocol import CancelTask, Clear, Event, History, Message, Rooms, SubmitTask, Welcome
from tui_agent.link.base import Link, LinkEvent, LinkStatus, PendingChanged, Received, StatusChanged
from tui_agent.state.chat import Change, Chat, Upsert
from tui_agent.state.entry import Entry

DEMO_HELP = (
    "This is the demo agent: it needs no key and knows little. For a real one, set ANTHROPIC_API_KEY "
    "(or ANTHROPIC_BASE_URL), run tui-agent-server stop, and start again."
)


class Conversation:
    """One room. `on_news` is called after each thing that the screen should show (often; it must be cheap)."""

    def __init__(self, room: str, user: str, link: Link, on_news: Callable[[Conversation], None]) -> None:
        self.room = room
        self.chat = Chat(user)
        self.link = link
        self.status = LinkStatus("connecting")
        self.retry_at_s = 0.0  # monotonic; when the next attempt begins
        self.is_running = False
        self.scroll_position: object | None = None  # where the transcript stood when another room was shown
        self.listeners: list[Callable[[Conversation, Event], None]] = []  # hear each event after it was folded
        self._on_news = on_news
        self._changes: list[Change] = []
        self._asked_before = 0

    @property
    def is_live(self) -> bool:
        return self.status.phase == "live"

    @property
    def retry_in_s(self) -> float:
        return max(0.0, self.retry_at_s - time.monotonic())

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

    async def close(self) -> None:
        """Leave politely."""
        await self.link.close()

    def _take(self, event: LinkEvent) -> None:
        match event:
            case Received(received):
                self._changes += self.chat.apply(received)
                if isinstance(received, Welcome):
                    self._greet()
                for listener in self.listeners:
                    listener(self, received)
            case StatusChanged(status):
                self.status = status
                self.retry_at_s = time.monotonic() + status.retry_in_s
            case PendingChanged(pending):
                for item in pending:
                    if isinstance(item.command, Message) and not item.is_stale:
                        self._changes += self.chat.sending(item.cid, item.command.content, item.time_s)
        self._on_news(self)

    def _greet(self) -> None:
        if self.chat.agent == "demo" and not self.chat.entries:
            self._changes.append(Upsert(Entry("help", "help", DEMO_HELP)))

    # ---- what a person does ------------------------------------------------------------------------

    def send(self, text: str) -> None:
        """Send a message; it shows at once. Raises OutboxFull."""
        command = Message(str(uuid.uuid4()), text)
        self.link.send(command)
        self._changes += self.chat.sending(command.cid, text, time.time())
        self._on_news(self)

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
