"""The one writer thread: it takes whatever waits, commits it as one transaction and reports back once.

Group commit over rooms: an fsync costs about 0.4 ms, so 64 rooms that append at once share one. A batch with an append
commits with `synchronous=FULL` (fdatasync of the log before COMMIT returns), a batch of pieces only with NORMAL (no
sync: a piece survives a killed process, not a power loss). The queue is bounded by its callers: a room has at
most one append and one piece on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from server.errors import StoreTrouble
from server.protocol import encode
from server.store.base import Append
from server.store.schema import ROOM_SHIFT

log = logging.getLogger("server.store")

BATCH: Final = 1024
BUSY_TIMEOUT_MS: Final = 5000
LAST_TEXT: Final = 200
CHECKPOINT_PAGES: Final = 4000

FULL: Final = StoreTrouble("storage_full", "The server's disk is full; send it again when there is space.")
FAILED: Final = StoreTrouble("internal", "The server could not write to its database; its log says why. Try again.")


@dataclass(slots=True)
class AppendOp:
    room: str
    append: Append
    future: asyncio.Future[bytes | None]


@dataclass(slots=True)
class PieceOp:
    room: str
    run: str
    offset: int
    text: str
    future: asyncio.Future[None]


@dataclass(slots=True)
class VisitOp:
    user: str
    room: str
    future: asyncio.Future[None]


Op = AppendOp | PieceOp | VisitOp
Result = bytes | None | StoreTrouble


class _Wave:
    """Ops that can be written together, in order."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.appends: list[AppendOp] = []
        self.rooms: set[str] = set()

    def take(self, op: Op) -> None:
        self.ops.append(op)
        if isinstance(op, AppendOp):
            self.appends.append(op)
            self.rooms.add(op.room)


class _Rows:
    """What a wave puts into each table."""

    def __init__(self) -> None:
        self.commands: list[tuple[int, str, str, str]] = []
        self.events: list[tuple[int, int, str]] = []
        self.words: list[tuple[int, str]] = []
        self.rooms: list[tuple[int, int, str, str, str, str]] = []
        self.pieces: list[tuple[int, str, int, str]] = []
        self.ended: list[tuple[int, str]] = []
        self.visits: list[tuple[str, str]] = []
        self.spending: list[tuple[str, int, int]] = []

    def statements(self) -> tuple[tuple[str, Sequence[object]], ...]:
        """(statement, rows) in the order in which they are written: a wave's pieces come before its endings."""
        return (
            (f"INSERT INTO commands SELECT {_columns(3)}, CAST(value->>3 AS BLOB) FROM json_each(?)", self.commands),
            (f"INSERT INTO events SELECT {_columns(2)}, CAST(value->>2 AS BLOB) FROM json_each(?)", self.events),
            (f"INSERT INTO words(rowid, text) SELECT {_columns(2)} FROM json_each(?)", self.words),
            (
                "UPDATE rooms SET head = j.value->>1, state = CAST(j.value->>2 AS BLOB), "
                "last_time = iif(j.value->>3 = '', last_time, j.value->>3), "
                "last_user = iif(j.value->>3 = '', last_user, j.value->>4), "
                "last_text = iif(j.value->>3 = '', last_text, j.value->>5) "
                "FROM json_each(?) j WHERE number = j.value->>0",
                self.rooms,
            ),
            (f"INSERT OR REPLACE INTO pieces SELECT {_columns(4)} FROM json_each(?)", self.pieces),
            (
                "DELETE FROM pieces WHERE (room, run) IN (SELECT value->>0, value->>1 FROM json_each(?))",
                self.ended,
            ),
            (f"INSERT OR IGNORE INTO visits SELECT {_columns(2)} FROM json_each(?)", self.visits),
            (
                f"INSERT INTO spending SELECT {_columns(3)} FROM json_each(?) WHERE true "
                "ON CONFLICT(day) DO UPDATE SET tokens = tokens + excluded.tokens, "
                "microdollars = microdollars + excluded.microdollars",
                self.spending,
            ),
        )


def _columns(count: int) -> str:
    return ", ".join(f"value->>{place}" for place in range(count))


class Writer:
    """Owns the writing connection; `put` may be called on the event loop's thread only."""

    def __init__(
        self, path: Path, loop: asyncio.AbstractEventLoop, on_point: Callable[[str], None] | None = None
    ) -> None:
        self.fsyncs = 0
        self._path = path
        self._loop = loop
        self._on_point = on_point
        self._ops: SimpleQueue[Op | None] = SimpleQueue()
        self._db: sqlite3.Connection | None = None
        self._is_full_sync = True
        self._rooms: dict[str, tuple[int, int]] = {}  # name -> (number, head), as committed
        self._with_pieces: set[int] | None = None  # rooms that may have pieces; None: not known
        self._thread = threading.Thread(target=self._run, name="store writer", daemon=True)
        self._thread.start()

    def put(self, op: Op) -> None:
        self._ops.put(op)

    async def close(self) -> None:
        """Write what waits, then end the thread."""
        self._ops.put(None)
        await asyncio.to_thread(self._thread.join)

    # ---- in the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch: list[Op] = []
            first = self._ops.get()
            while first is not None:
                batch.append(first)
                if len(batch) == BATCH:
                    break
                try:
                    first = self._ops.get_nowait()
                except Empty:
                    break
            is_open = first is not None
            if batch:
                self._report(batch, self._write(batch))
        if self._db is not None:
            self._db.close()

    def _report(self, batch: list[Op], results: list[Result]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(_resolve, batch, results)

    def _write(self, batch: list[Op]) -> list[Result]:
        """One transaction; on failure the same trouble for everybody, and a fresh connection for the next batch."""
        try:
            return self._transaction(batch)
        except sqlite3.Error as exc:
            log.error("the database refused a batch of %d: %s", len(batch), exc.sqlite_errorname)
            if self._db is not None:
                with contextlib.suppress(sqlite3.Error):
                    self._db.rollback()
                with contextlib.suppress(sqlite3.Error):
                    self._db.close()
            self._db = None
            self._rooms.clear()
            self._with_pieces = None
            primary = exc.sqlite_errorcode & 0xFF
            trouble = FULL if primary in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) else FAILED
            return [StoreTrouble(trouble.code, trouble.message, retry_after_s=2.0)] * len(batch)

    def _transaction(self, batch: list[Op]) -> list[Result]:
        db = self._db = self._db or self._connect()
        self._point("append.begin")
        is_durable = any(isinstance(op, AppendOp) for op in batch)
        if is_durable is not self._is_full_sync:
            db.execute("PRAGMA synchronous=FULL" if is_durable else "PRAGMA synchronous=NORMAL")
            self._is_full_sync = is_durable
        db.execute("BEGIN IMMEDIATE")
        if self._with_pieces is None:
            self._with_pieces = {row[0] for row in db.execute("SELECT DISTINCT room FROM pieces")}
        results: list[Result] = []
        wave = _Wave()
        for op in batch:
            if isinstance(op, AppendOp) and op.room in wave.rooms:  # its second append needs to see the first
                self._write_wave(db, wave, results)
                wave = _Wave()
            wave.take(op)
        self._write_wave(db, wave, results)
        self._point("append.commit")
        db.execute("COMMIT")
        if is_durable:
            self.fsyncs += 1
        self._point("append.committed")
        return results

    def _write_wave(self, db: sqlite3.Connection, wave: _Wave, results: list[Result]) -> None:
        """Ops of which no two append to the same room: one statement a table, its rows as JSON.

        Every call of sqlite3 gives up the GIL and has to get it back from the event loop; with five calls an append
        that cost more than the writing itself (64 rooms: 1,700 against 4,600 messages a second).
        """
        known = self._known_acks(db, wave.appends)
        rows = _Rows()
        for op in wave.ops:
            match op:
                case AppendOp():
                    results.append(self._append(db, op, known, rows))
                case PieceOp():
                    number = self._room(db, op.room)[0]
                    assert self._with_pieces is not None
                    self._with_pieces.add(number)
                    rows.pieces.append((number, op.run, op.offset, op.text))
                    results.append(None)
                case VisitOp():
                    rows.visits.append((op.user, op.room))
                    results.append(None)
        for statement, values in rows.statements():
            if values:
                db.execute(statement, (encode(values).decode(),))

    def _known_acks(self, db: sqlite3.Connection, appends: list[AppendOp]) -> dict[tuple[int, str, str], bytes]:
        keys = [(self._room(db, op.room)[0], op.append.key.user, op.append.key.cid) for op in appends if op.append.key]
        if not keys:
            return {}
        found = db.execute(
            "SELECT c.room, c.user, c.cid, c.ack FROM json_each(?) j CROSS JOIN commands c "
            "ON c.room = j.value->>0 AND c.user = j.value->>1 AND c.cid = j.value->>2",
            (encode(keys).decode(),),
        )
        return {(room, user, cid): ack for room, user, cid, ack in found}

    def _append(
        self, db: sqlite3.Connection, op: AppendOp, known: dict[tuple[int, str, str], bytes], rows: _Rows
    ) -> Result:
        append = op.append
        number, head = self._room(db, op.room)
        key = append.key
        if key is not None:
            ack = known.get((number, key.user, key.cid))
            if ack is not None:
                return ack
        for place, event in enumerate(append.events, 1):
            if event.id != head + place:
                log.error("room %s: an event does not follow %d", op.room, head)
                return FAILED
        if key is not None:
            rows.commands.append((number, key.user, key.cid, key.ack.decode()))
        last = ("", "", "")
        for event in append.events:
            rows.events.append((number, event.id, event.payload.decode()))
            if event.text:
                rows.words.append((number << ROOM_SHIFT | event.id, event.text))
                last = (event.time, event.user, event.text[:LAST_TEXT])
        head += len(append.events)
        rows.rooms.append((number, head, append.state.decode(), *last))
        assert self._with_pieces is not None
        if append.ended_run is not None and number in self._with_pieces:
            rows.ended.append((number, append.ended_run))
            self._with_pieces.discard(number)
        if append.spent_tokens or append.spent_microdollars:
            rows.spending.append((append.day, append.spent_tokens, append.spent_microdollars))
        self._rooms[op.room] = number, head
        return None

    def _room(self, db: sqlite3.Connection, name: str) -> tuple[int, int]:
        """(number, head) of a room, which is made at its first event."""
        known = self._rooms.get(name)
        if known is None:
            row = db.execute("SELECT number, head FROM rooms WHERE name=?", (name,)).fetchone()
            if row is None:
                cursor = db.execute("INSERT INTO rooms(name, head, state) VALUES(?, 0, '')", (name,))
                row = cursor.lastrowid, 0
            known = self._rooms[name] = (row[0], row[1])
        return known

    def _connect(self) -> sqlite3.Connection:
        db = connect(self._path)
        db.execute("PRAGMA synchronous=FULL")
        db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        self._is_full_sync = True
        return db

    def _point(self, name: str) -> None:
        if self._on_point is not None:
            self._on_point(name)


def _resolve(batch: list[Op], results: list[Result]) -> None:
    """On the event loop: wake everybody who waited for this batch, in its order."""
    for op, result in zip(batch, results, strict=True):
        future: asyncio.Future[Any] = op.future
        if future.done():  # its caller was cancelled
            continue
        if isinstance(result, StoreTrouble):
            future.set_exception(result)
        else:
            future.set_result(result)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection with the settings that all of ours share; transactions are written out. Raises sqlite3.Error."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    try:
        db.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        if read_only:
            db.execute("PRAGMA query_only=ON")
        else:
            db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA temp_store=MEMORY")
    except BaseException:
        db.close()
        raise
    return db
