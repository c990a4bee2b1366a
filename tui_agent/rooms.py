"""The rooms that are open: one conversation each, the one on the screen, and the one before it.

A room that was left keeps its link, so that coming back shows it at once and nothing is missed; of many the least
recently seen is closed. Knows nothing of Textual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from tui_agent.conversation import Conversation
from tui_agent.link.base import Link

if TYPE_CHECKING:
    from tui_agent.seen import SeenFile

MOST_OPEN = 8


class OpenRooms:
    """`connect(room)` makes a link when one is first needed; `start` runs a conversation until it is closed."""

    def __init__(
        self,
        user: str,
        connect: Callable[[str], Link],
        on_news: Callable[[Conversation], None],
        start: Callable[[Conversation], None],
        seen: SeenFile | None = None,
    ) -> None:
        self._user = user
        self._connect = connect
        self._on_news = on_news
        self._start = start
        self._seen = seen
        self._open: dict[str, Conversation] = {}  # least recently seen first
        self.on_open: list[Callable[[Conversation], None]] = []  # called with each new conversation before it runs
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def current(self) -> Conversation:
        return next(reversed(self._open.values()))

    @property
    def previous(self) -> str | None:
        """The room that was on the screen before this one."""
        names = list(self._open)
        return names[-2] if len(names) > 1 else None

    @property
    def open(self) -> list[Conversation]:
        """Least recently seen first; the last is on the screen."""
        return list(self._open.values())

    def show(self, room: str) -> Conversation:
        """Make `room` the current one, joining it when it is not open."""
        conversation = self._open.get(room)
        if conversation is None:
            conversation = Conversation(room, self._user, self._connect, self._on_news, self._seen)
            for tell in self.on_open:
                tell(conversation)
        if self._open:
            self.current.note_seen()
            self.current.set_shown(False)
        conversation.set_shown(True)
        conversation.note_seen()  # what ended there meanwhile is on the screen now
        self._open.pop(room, None)
        self._open[room] = conversation
        if len(self._open) > MOST_OPEN:
            self._close(next(iter(self._open)))
        return conversation

    def run_current(self) -> None:
        """Start the current one if it does not run (the event loop must)."""
        if not self.current.is_running:
            self._start(self.current)

    def renew_current(self) -> Conversation:
        """A new link and a new fold for the current room: what F5 does when it broke."""
        room = self.current.room
        self._close(room)
        conversation = self._open[room] = Conversation(room, self._user, self._connect, self._on_news, self._seen)
        for tell in self.on_open:
            tell(conversation)
        return conversation

    async def close(self, within_s: float) -> None:
        """Leave all rooms politely, as far as there is time."""
        for room in list(self._open):
            self._close(room, keep=True)
        if self._closing:
            await asyncio.wait(self._closing, timeout=within_s)
        for task in self._closing:
            task.cancel()

    def _close(self, room: str, *, keep: bool = False) -> None:
        conversation = self._open[room] if keep else self._open.pop(room)
        conversation.note_seen()  # before its link has ended: who opens it again begins there
        task = asyncio.create_task(conversation.close(), name=f"close {room}")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
