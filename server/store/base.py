"""The seam of the store: an append-only log of events a room, with what must be atomic said here.

Two implementations (`sqlite`, `memory`) pass one kit, tests/contracts/test_store.py. Every method may be
called from the event loop's thread only; results come back on it. An awaited `append` is on disk.
"""

from __future__ import annotations

from asyncio import Future
from typing import Protocol

from msgspec import Struct


class NewEvent(Struct, frozen=True):
    """One durable event to be written. `payload` is its JSON as it goes over the wire, id included."""

    id: int
    payload: bytes
    user: str = ""  # the speaker shown in a list of rooms: a person's name, or the agent's
    text: str = ""  # what search finds and a list of rooms shows; "" for events without words
    time: str = ""


class Key(Struct, frozen=True):
    """The idempotency id of a command: (room, user, cid), and the ack it earned as JSON."""

    user: str
    cid: str
    ack: bytes


class Append(Struct, frozen=True):
    """Events and the room's new state: written together or not at all.

    `state` replaces the room's stored state (core.room's, opaque here). `ended_run` names a run whose pieces
    are deleted. `spent_tokens`/`spent_microdollars` are added to `day` ("2026-11-24") of the server's spending;
    they may be negative (a reservation given back). `open_tasks` is how many tasks of the room have not ended.
    """

    events: tuple[NewEvent, ...]
    state: bytes
    key: Key | None = None
    ended_run: str | None = None
    day: str = ""
    spent_tokens: int = 0
    spent_microdollars: int = 0
    open_tasks: int = 0


class StoredEvent(Struct, frozen=True):
    id: int
    payload: bytes


class StoredRoom(Struct, frozen=True):
    """What a room starts from: `state` None for a new one; `tail` the newest events, oldest first; `pieces` the text
    of the run that was open when the server ended, in order, without gaps."""

    head: int
    state: bytes | None
    tail: tuple[StoredEvent, ...]
    pieces: str


class StoredRoomInfo(Struct, frozen=True):
    room: str
    head: int
    last_time: str
    last_user: str
    last_text: str  # at most 200 code points; "" when nothing was said yet


class RoomEngine(Protocol):
    """An event log for rooms. Failures raise errors.StoreTrouble (`storage_full` or `internal`): nothing written."""

    @property
    def epoch(self) -> str:
        """Changes only when the log was lost, restored or reset."""
        ...

    @property
    def fsyncs(self) -> int:
        """How many durable commits were made since the start (for the bench)."""
        ...

    def append(self, room: str, append: Append) -> Future[bytes | None]:
        """Write atomically and durably (fsync). None when written; the earlier ack when `key` is already known (then
        nothing is written). Ids must continue the room's head without a gap, or `internal` is raised."""
        ...

    def append_piece(self, room: str, run: str, offset: int, text: str) -> Future[None]:
        """Keep a piece of an open answer over a killed process (no fsync of its own)."""
        ...

    async def load(self, room: str, *, tail_events: int, tail_bytes: int) -> StoredRoom:
        """The room as it was left; the tail holds at most so many events and payload bytes."""
        ...

    async def find_ack(self, room: str, user: str, cid: str) -> bytes | None:
        """The ack of a command that took effect before."""
        ...

    async def read_before(
        self, room: str, before: int, *, limit: int, max_bytes: int
    ) -> tuple[list[StoredEvent], bool]:
        """The newest events with id < before, oldest first, and whether there are older ones. At least one
        event comes back if there is one, whatever its size."""
        ...

    async def read_after(self, room: str, after: int, *, limit: int, max_bytes: int) -> list[StoredEvent]:
        """The first events with id > after, in order."""
        ...

    async def search(self, room: str, query: str, *, limit: int) -> list[StoredEvent]:
        """Events whose text has all the words of `query` (no query syntax reaches the engine), newest first."""
        ...

    async def visit(self, user: str, room: str) -> None:
        """Note that `user` has joined `room` (need not be durable)."""
        ...

    async def rooms_of(self, user: str) -> list[StoredRoomInfo]:
        """The rooms this user has joined before, the one with the newest event first."""
        ...

    async def rooms_with_tasks(self) -> list[str]:
        """The rooms whose last append said that they have open tasks."""
        ...

    async def spent(self, day: str) -> tuple[int, int]:
        """(tokens, microdollars) spent on `day`, reservations included."""
        ...

    async def backup(self, path: str) -> None:
        """A consistent copy under a fresh epoch. Raises FileExistsError, OSError."""
        ...

    async def close(self) -> None:
        """Write what is pending, then let go of the files."""
        ...
