"""The newest events of a room in memory: what a client that comes back has missed, or nothing of it.

The ring holds at most RESUME_EVENTS events and RESUME_BYTES of their JSON, always at least the newest one. Ids in it
are contiguous and end at `head`.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

from server.protocol import PAGE_BYTES, RESUME_BYTES, RESUME_EVENTS, SNAPSHOT_EVENTS


class Log:
    """Event payloads (JSON) by id."""

    __slots__ = ("_payloads", "_size_bytes", "head")

    def __init__(self, head: int = 0) -> None:
        self.head = head
        self._payloads: deque[bytes] = deque()
        self._size_bytes = 0

    def append(self, id: int, payload: bytes) -> None:
        """The next event. Raises ValueError when `id` leaves a gap."""
        if id != self.head + 1:
            raise ValueError(f"event {id} after {self.head}")
        self.head = id
        self._payloads.append(payload)
        self._size_bytes += len(payload)
        while len(self._payloads) > RESUME_EVENTS or (self._size_bytes > RESUME_BYTES and len(self._payloads) > 1):
            self._size_bytes -= len(self._payloads.popleft())

    def since(self, after: int) -> list[bytes] | None:
        """All events after `after`, oldest first; None if some are not here, or `after` is beyond the head."""
        missing = self.head - after
        if missing < 0 or missing > len(self._payloads):
            return None
        if missing == 0:
            return []
        events = list(islice(self._payloads, len(self._payloads) - missing, None))
        return events if sum(map(len, events)) <= RESUME_BYTES else None

    def newest(self, limit: int = SNAPSHOT_EVENTS, limit_bytes: int = PAGE_BYTES) -> tuple[list[bytes], bool]:
        """The last events that fit, oldest first, and whether there are older ones."""
        events: list[bytes] = []
        size_bytes = 0
        for payload in reversed(self._payloads):
            size_bytes += len(payload)
            if len(events) == limit or (events and size_bytes > limit_bytes):
                break
            events.append(payload)
        events.reverse()
        return events, len(events) < self.head
