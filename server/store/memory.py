"""The RoomEngine in memory: for tests, and the second voice of the contract kit. Nothing survives the process."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from server.errors import StoreTrouble
from server.store.base import Append, NewEvent, StoredEvent, StoredRoom, StoredRoomInfo


@dataclass
class _Room:
    events: list[NewEvent] = field(default_factory=list)
    state: bytes | None = None
    acks: dict[tuple[str, str], bytes] = field(default_factory=dict)
    pieces: dict[tuple[str, int], str] = field(default_factory=dict)
    open_tasks: int = 0


class MemoryEngine:
    """See store.base.RoomEngine."""

    def __init__(self) -> None:
        self._epoch = secrets.token_hex(8)
        self._rooms: dict[str, _Room] = {}
        self._visits: dict[str, dict[str, None]] = {}
        self._spent: dict[str, tuple[int, int]] = {}
        self._commits = 0

    @property
    def epoch(self) -> str:
        return self._epoch

    @property
    def fsyncs(self) -> int:
        return self._commits

    def append(self, room: str, append: Append) -> asyncio.Future[bytes | None]:
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        kept = self._rooms.setdefault(room, _Room())
        key = append.key
        if key is not None and (key.user, key.cid) in kept.acks:
            future.set_result(kept.acks[key.user, key.cid])
            return future
        if any(event.id != len(kept.events) + place for place, event in enumerate(append.events, 1)):
            future.set_exception(StoreTrouble("internal", "An event does not follow the one before."))
            return future
        if key is not None:
            kept.acks[key.user, key.cid] = key.ack
        kept.events += append.events
        kept.state = append.state
        kept.open_tasks = append.open_tasks
        if append.ended_run is not None:
            kept.pieces = {at: text for at, text in kept.pieces.items() if at[0] != append.ended_run}
        tokens, microdollars = self._spent.get(append.day, (0, 0))
        self._spent[append.day] = tokens + append.spent_tokens, microdollars + append.spent_microdollars
        self._commits += 1
        future.set_result(None)
        return future

    def append_piece(self, room: str, run: str, offset: int, text: str) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rooms.setdefault(room, _Room()).pieces[run, offset] = text
        future.set_result(None)
        return future

    async def load(self, room: str, *, tail_events: int, tail_bytes: int) -> StoredRoom:
        kept = self._rooms.get(room, _Room())
        tail, _ = await self.read_before(room, len(kept.events) + 1, limit=tail_events, max_bytes=tail_bytes)
        text = ""
        for (_, offset), piece in sorted(kept.pieces.items(), key=lambda item: item[0][1]):
            if offset != len(text):
                break
            text += piece
        return StoredRoom(len(kept.events), kept.state, tuple(tail), text)

    async def find_ack(self, room: str, user: str, cid: str) -> bytes | None:
        return self._rooms.get(room, _Room()).acks.get((user, cid))

    async def read_before(
        self, room: str, before: int, *, limit: int, max_bytes: int
    ) -> tuple[list[StoredEvent], bool]:
        events: list[StoredEvent] = []
        size_bytes = 0
        for event in reversed(self._rooms.get(room, _Room()).events[: max(0, before - 1)]):
            size_bytes += len(event.payload)
            if len(events) == limit or (events and size_bytes > max_bytes):
                return events[::-1], True
            events.append(StoredEvent(event.id, event.payload))
        return events[::-1], False

    async def read_after(self, room: str, after: int, *, limit: int, max_bytes: int) -> list[StoredEvent]:
        events: list[StoredEvent] = []
        size_bytes = 0
        for event in self._rooms.get(room, _Room()).events[max(0, after) :]:
            size_bytes += len(event.payload)
            if len(events) == limit or (events and size_bytes > max_bytes):
                break
            events.append(StoredEvent(event.id, event.payload))
        return events

    async def search(self, room: str, query: str, *, limit: int) -> list[StoredEvent]:
        words = query.lower().split()
        if not words:
            return []
        found = []
        for event in reversed(self._rooms.get(room, _Room()).events):
            have = event.text.lower().split()
            if all(word in have for word in words[:-1]) and any(word.startswith(words[-1]) for word in have):
                found.append(StoredEvent(event.id, event.payload))
        return found[:limit]

    async def visit(self, user: str, room: str) -> None:
        self._visits.setdefault(user, {})[room] = None

    async def rooms_of(self, user: str) -> list[StoredRoomInfo]:
        found = []
        for room in self._visits.get(user, ()):
            events = self._rooms.get(room, _Room()).events
            last = next((event for event in reversed(events) if event.text), None)
            if last is None:
                found.append(StoredRoomInfo(room, len(events), "", "", ""))
            else:
                found.append(StoredRoomInfo(room, len(events), last.time, last.user, last.text[:200]))
        return sorted(found, key=lambda info: info.last_time, reverse=True)

    async def rooms_with_tasks(self) -> list[str]:
        return [name for name, kept in self._rooms.items() if kept.open_tasks]

    async def spent(self, day: str) -> tuple[int, int]:
        return self._spent.get(day, (0, 0))

    async def backup(self, path: str) -> None:
        raise FileNotFoundError(f"{Path(path).name}: a store in memory has nothing to copy")

    async def close(self) -> None:
        """Nothing to let go of."""
