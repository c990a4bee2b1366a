"""The bounded queue between a link and its one reader.

Full means: events of the room wait, so the socket is not read and the server sees a slow consumer; a status or
a list of pending commands never waits, a newer one takes the place of the queued one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from tui_agent.link.base import LinkEvent, PendingChanged, Received, StatusChanged

MOST_EVENTS = 512


class Mailbox:
    """Everything that happens, in order, for one reader."""

    def __init__(self, most: int = MOST_EVENTS) -> None:
        self._most = most
        self._events: deque[LinkEvent] = deque()
        self._has_events = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_closed = False
        self._is_waiting_over = False

    def __len__(self) -> int:
        return len(self._events)

    async def put(self, event: Received) -> None:
        """Queue an event of the room; waits while the queue is full."""
        while len(self._events) >= self._most and not (self._is_closed or self._is_waiting_over):
            self._has_room.clear()
            await self._has_room.wait()
        self._append(event)

    def put_latest(self, event: StatusChanged | PendingChanged) -> None:
        """Queue what is true now; never waits."""
        if self._is_closed:
            return
        if len(self._events) >= self._most:
            for place in range(len(self._events) - 1, -1, -1):
                if type(self._events[place]) is type(event):
                    del self._events[place]
                    break
        elif self._events and type(self._events[-1]) is type(event):
            self._events.pop()  # nobody has seen it and nothing came between
        self._append(event)

    def _append(self, event: LinkEvent) -> None:
        if self._is_closed:
            return
        self._events.append(event)
        self._has_events.set()

    def end_waiting(self) -> None:
        """The link is being closed: what still comes must not wait for a reader that may have gone."""
        self._is_waiting_over = True
        self._has_room.set()

    def close(self) -> None:
        """No more events; the reader gets what is left and then the end."""
        self._is_closed = True
        self._has_events.set()
        self._has_room.set()

    async def read(self) -> AsyncIterator[LinkEvent]:
        """Yield until closed and empty."""
        while True:
            while self._events:
                event = self._events.popleft()
                self._has_room.set()
                yield event
            if self._is_closed:
                return
            self._has_events.clear()
            await self._has_events.wait()
