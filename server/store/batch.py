"""What the writer's transaction does: a batch of operations as rows, and the rows as few statements.

A statement lets go of the interpreter while SQLite runs, and to get it back from a busy event loop takes longer than
the rows it writes (ADR 0011). So all appends of a batch are one statement: each row goes into a view, whose triggers
write the tables. Where there is nothing else to write it is a transaction by itself.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from server.errors import StoreTrouble
from server.store.base import Append
from server.store.schema import ROOM_SHIFT

log = logging.getLogger("server.store")

LAST_TEXT: Final = 200
ROWS: Final = (1, 4, 16, 64)  # in one statement: few lengths, so that each is compiled once
FAILED: Final = StoreTrouble("internal", "The server could not write to its database; its log says why. Try again.")

# To be run on the writing connection. A row is one event with what is written beside it; NULL is nothing to write.
TRIGGERS: Final = """
    CREATE TEMP VIEW appends(
        room, id, payload, word_id, text, last_time, last_user, last_text, state, open_tasks, ended_run,
        user, cid, ack)
        AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
    CREATE TEMP TRIGGER append_row INSTEAD OF INSERT ON appends BEGIN
        INSERT INTO commands SELECT new.room, new.user, new.cid, new.ack WHERE new.cid NOT NULL;
        INSERT INTO events SELECT new.room, new.id, new.payload WHERE new.payload NOT NULL;
        INSERT INTO words(rowid, text) SELECT new.word_id, new.text WHERE new.text NOT NULL;
        UPDATE rooms SET head=new.id, state=new.state, open_tasks=new.open_tasks,
            last_time=coalesce(new.last_time, last_time), last_user=coalesce(new.last_user, last_user),
            last_text=coalesce(new.last_text, last_text) WHERE number=new.room;
    END;
    CREATE TEMP TRIGGER append_end INSTEAD OF INSERT ON appends WHEN new.ended_run NOT NULL BEGIN
        DELETE FROM pieces WHERE room=new.room AND run=new.ended_run;
    END;
"""
COLUMNS: Final = 14  # of `appends`
NOTHING_SAID: Final = (None,) * 5
NO_COMMAND: Final = (None,) * 3
# Rows of parameters stand for {}; what they were filled up with is NULL.
APPEND: Final = "INSERT INTO appends SELECT * FROM ({}) WHERE column1 NOT NULL"
ADD_PIECES: Final = "INSERT OR REPLACE INTO pieces SELECT * FROM ({}) WHERE column1 NOT NULL"
VISIT: Final = "INSERT OR IGNORE INTO visits SELECT * FROM ({}) WHERE column1 NOT NULL"
FIND: Final = (
    "SELECT room, user, cid, ack FROM ({}) CROSS JOIN commands ON (room, user, cid)=(column1, column2, column3)"
)
SPEND: Final = (
    "INSERT INTO spending VALUES(?,?,?) ON CONFLICT(day) DO UPDATE SET tokens=tokens+excluded.tokens, "
    "microdollars=microdollars+excluded.microdollars"
)


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


class Rooms:
    """What is known of the rooms as committed; `forget` it all when a transaction failed."""

    def __init__(self) -> None:
        self.numbers: dict[str, tuple[int, int]] = {}  # name -> (number, head)
        self.with_pieces: set[int] | None = None  # rooms that may have pieces; None: not known

    def forget(self) -> None:
        self.numbers.clear()
        self.with_pieces = None


def write(db: sqlite3.Connection, rooms: Rooms, ops: list[Op], on_point: Callable[[str], None]) -> list[Result]:
    """Commit them all; what each came to. Raises sqlite3.Error: then none is written.

    Nobody looks first for a command that took effect before: the table refuses it, and all is done again. That is rare.
    """
    try:
        return _Batch(db, rooms, on_point).write(ops)
    except (sqlite3.IntegrityError, _MayBeKnown):
        if db.in_transaction:
            db.execute("ROLLBACK")
        rooms.forget()
        batch = _Batch(db, rooms, on_point)
        batch.find_acks(ops)
        return batch.write(ops)


class _MayBeKnown(Exception):
    """A command that cannot be written, and earned its ack before if it is known."""


class _Batch:
    """One transaction's rows; each list is flat, as SQLite takes parameters."""

    def __init__(self, db: sqlite3.Connection, rooms: Rooms, on_point: Callable[[str], None]) -> None:
        self._db = db
        self._rooms = rooms
        self._on_point = on_point
        self._has_looked = False
        self._acks: dict[tuple[int, str, str], bytes] = {}  # of this batch's commands, and of those found
        self._appends: list[Any] = []
        self._pieces: list[Any] = []
        self._visits: list[Any] = []
        self._spent: dict[str, tuple[int, int]] = {}  # day -> (tokens, microdollars)

    def write(self, ops: list[Op]) -> list[Result]:
        if self._rooms.with_pieces is None:
            self._rooms.with_pieces = {row[0] for row in self._db.execute("SELECT DISTINCT room FROM pieces")}
        results = [self._take(op) for op in ops]
        statements = [
            *_statements(ADD_PIECES, 4, self._pieces),  # first: a run that ends in this batch takes its own away
            *_statements(APPEND, COLUMNS, self._appends),
            *_statements(VISIT, 2, self._visits),
            *((SPEND, (day, *sums)) for day, sums in self._spent.items()),
        ]
        if len(statements) > 1:
            self._begin()
        if not self._db.in_transaction:  # one statement, or none, is a transaction by itself
            self._on_point("append.commit")
        for text, values in statements:
            self._db.execute(text, values)
        if self._db.in_transaction:
            self._on_point("append.commit")
            self._db.execute("COMMIT")
        return results

    def _begin(self) -> None:
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")

    def find_acks(self, ops: list[Op]) -> None:
        """Those of commands that took effect before."""
        self._has_looked = True
        keys: list[Any] = []
        for op in ops:
            if isinstance(op, AppendOp) and op.append.key is not None:
                keys += self._room(op.room)[0], op.append.key.user, op.append.key.cid
        for text, values in _statements(FIND, 3, keys):
            for room, user, cid, ack in self._db.execute(text, values):
                self._acks[room, user, cid] = ack

    def _take(self, op: Op) -> Result:
        match op:
            case AppendOp():
                return self._append(op.room, op.append)
            case PieceOp():
                number = self._room(op.room)[0]
                self._pieces += number, op.run, op.offset, op.text
                assert self._rooms.with_pieces is not None
                self._rooms.with_pieces.add(number)
            case VisitOp():
                self._visits += op.user, op.room
        return None

    def _append(self, room: str, append: Append) -> Result:
        number, head = self._room(room)
        command: tuple[Any, Any, Any] = NO_COMMAND
        if append.key is not None:
            command = append.key.user, append.key.cid, append.key.ack
            known = self._acks.get((number, *command[:2]))
            if known is not None:
                return known
        if any(event.id != head + place for place, event in enumerate(append.events, 1)):
            if append.key is not None and not self._has_looked:
                raise _MayBeKnown
            log.error("room %s: an event does not follow %d", room, head)
            return FAILED
        if append.key is not None:
            self._acks[number, append.key.user, append.key.cid] = append.key.ack
        assert self._rooms.with_pieces is not None
        ended_run = None
        if append.ended_run is not None and number in self._rooms.with_pieces:
            ended_run = append.ended_run
            self._rooms.with_pieces.discard(number)
        rest = append.state, append.open_tasks, ended_run
        for event in append.events:
            said: tuple[Any, ...] = NOTHING_SAID
            if event.text:
                rowid = number << ROOM_SHIFT | event.id
                said = rowid, event.text, event.time, event.user, event.text[:LAST_TEXT]
            self._appends += number, event.id, event.payload, *said, *rest, *command
            command = NO_COMMAND
        if not append.events:
            self._appends += number, head, None, *NOTHING_SAID, *rest, *command
        if append.spent_tokens or append.spent_microdollars:
            tokens, microdollars = self._spent.get(append.day, (0, 0))
            self._spent[append.day] = tokens + append.spent_tokens, microdollars + append.spent_microdollars
        self._rooms.numbers[room] = number, head + len(append.events)
        return None

    def _room(self, name: str) -> tuple[int, int]:
        """(number, head) of a room, which is made at its first operation."""
        known = self._rooms.numbers.get(name)
        if known is None:
            row = self._db.execute("SELECT number, head FROM rooms WHERE name=?", (name,)).fetchone()
            if row is None:
                self._begin()
                row = self._db.execute("INSERT INTO rooms(name, head, state) VALUES(?, 0, '')", (name,)).lastrowid, 0
            known = self._rooms.numbers[name] = (row[0], row[1])
        return known


def _statements(statement: str, columns: int, values: list[Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """`statement` with `{}` as rows of parameters, filled up with NULLs, as often as it takes, and its parameters."""
    most = ROWS[-1] * columns
    for place in range(0, len(values), most):
        part = values[place : place + most]
        size = next(rows * columns for rows in ROWS if len(part) <= rows * columns)
        yield _with_rows(statement, columns, size // columns), part + [None] * (size - len(part))


@cache
def _with_rows(statement: str, columns: int, rows: int) -> str:
    row = f"({','.join('?' * columns)})"
    return statement.format("VALUES " + ",".join([row] * rows))
