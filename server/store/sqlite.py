"""The RoomEngine on SQLite: one writer thread (writer.py), one reader thread, WAL, files for the owner only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from server.errors import StoreTrouble, StoreUnusable
from server.store.base import Append, StoredEvent, StoredRoom, StoredRoomInfo
from server.store.batch import AppendOp, PieceOp, VisitOp
from server.store.schema import ROOM_SHIFT, migrate, set_fresh_epoch
from server.store.writer import Writer, connect

# A whole quick_check reads the file (about 1 GB/s from cache): a start must not take seconds for it. Above this
# size only the header and the schema are looked at; SQLite still reports a torn page when it meets one.
CHECKED_BYTES: Final = 256 * 1024 * 1024
UNREADABLE: Final = "The server could not read its database; its log says why. Try again."

T = TypeVar("T")


async def open_sqlite(path: Path, on_point: Callable[[str], None] | None = None) -> SqliteEngine:
    """The engine of a database file, which is made if need be. Raises StoreUnusable; never overwrites anything."""
    reader = ThreadPoolExecutor(1, thread_name_prefix="store reader")
    loop = asyncio.get_running_loop()
    try:
        epoch = await loop.run_in_executor(reader, prepare, path)
        db = await loop.run_in_executor(reader, lambda: connect(path, read_only=True))
    except BaseException:
        reader.shutdown(wait=False)
        raise
    return SqliteEngine(path, epoch, reader, db, Writer(path, loop, on_point))


def prepare(path: Path) -> str:
    """Make or check the file and bring it to the newest schema; returns its epoch. Raises StoreUnusable."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives -wal and -shm the mode of the database file, whatever the umask.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.fchmod(descriptor, 0o600)
        os.close(descriptor)
    except OSError:
        raise StoreUnusable(
            f"The database {path} cannot be written; check the folder's permissions or choose another with --data-dir."
        ) from None
    try:
        with contextlib.closing(connect(path)) as db:
            if path.stat().st_size <= CHECKED_BYTES:
                verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
                if verdict != "ok":
                    raise StoreUnusable(_corrupt(path))
            migrate(db)
            epoch: str = db.execute("SELECT value FROM meta WHERE key='epoch'").fetchone()[0]
            return epoch
    except sqlite3.DatabaseError as exc:
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise StoreUnusable(_corrupt(path)) from None
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise StoreUnusable(f"The disk of {path} is full; free some space and start again.") from None
        if code == sqlite3.SQLITE_BUSY:
            raise StoreUnusable(f"Another program holds {path} locked; end it and start again.") from None
        raise StoreUnusable(
            f"The database {path} cannot be used; check its permissions or choose another with --data-dir."
        ) from None


def _corrupt(path: Path) -> str:
    return (
        f"The database {path} is damaged or no database; nothing was changed. Move it away and restore a backup, "
        "or start with an empty folder (--data-dir)."
    )


class SqliteEngine:
    """See store.base.RoomEngine."""

    def __init__(
        self, path: Path, epoch: str, reader: ThreadPoolExecutor, db: sqlite3.Connection, writer: Writer
    ) -> None:
        self._path = path
        self._epoch = epoch
        self._reader = reader
        self._db = db
        self._writer = writer
        self._loop = asyncio.get_running_loop()

    @property
    def epoch(self) -> str:
        return self._epoch

    @property
    def fsyncs(self) -> int:
        return self._writer.fsyncs

    def append(self, room: str, append: Append) -> asyncio.Future[bytes | None]:
        future: asyncio.Future[bytes | None] = self._loop.create_future()
        self._writer.put(AppendOp(room, append, future))
        return future

    def append_piece(self, room: str, run: str, offset: int, text: str) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self._loop.create_future()
        self._writer.put(PieceOp(room, run, offset, text, future))
        return future

    async def visit(self, user: str, room: str) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        self._writer.put(VisitOp(user, room, future))
        await future

    async def load(self, room: str, *, tail_events: int, tail_bytes: int) -> StoredRoom:
        def read() -> StoredRoom:
            row = self._db.execute("SELECT number, head, state FROM rooms WHERE name=?", (room,)).fetchone()
            if row is None:
                return StoredRoom(0, None, (), "")
            number, head, state = row
            tail, _ = self._newest(number, head + 1, tail_events, tail_bytes)
            pieces: list[str] = []
            offset = 0
            for start, text in self._db.execute(
                "SELECT offset, text FROM pieces WHERE room=? ORDER BY offset", (number,)
            ):
                if start != offset:
                    break
                pieces.append(text)
                offset += len(text)
            return StoredRoom(head, state or None, tuple(tail), "".join(pieces))

        return await self._read(read)

    def _newest(self, number: int, before: int, limit: int, max_bytes: int) -> tuple[list[StoredEvent], bool]:
        events: list[StoredEvent] = []
        size_bytes = 0
        rows = self._db.execute(
            "SELECT id, payload FROM events WHERE room=? AND id<? ORDER BY id DESC", (number, before)
        )
        more = False
        for id, payload in rows:
            size_bytes += len(payload)
            if len(events) == limit or (events and size_bytes > max_bytes):
                more = True
                break
            events.append(StoredEvent(id, payload))
        rows.close()
        events.reverse()
        return events, more

    async def read_before(
        self, room: str, before: int, *, limit: int, max_bytes: int
    ) -> tuple[list[StoredEvent], bool]:
        return await self._read(lambda: self._newest(self._number(room), before, limit, max_bytes))

    async def read_after(self, room: str, after: int, *, limit: int, max_bytes: int) -> list[StoredEvent]:
        def read() -> list[StoredEvent]:
            events: list[StoredEvent] = []
            size_bytes = 0
            for id, payload in self._db.execute(
                "SELECT id, payload FROM events WHERE room=? AND id>? ORDER BY id LIMIT ?",
                (self._number(room), after, limit),
            ):
                size_bytes += len(payload)
                if events and size_bytes > max_bytes:
                    break
                events.append(StoredEvent(id, payload))
            return events

        return await self._read(read)

    async def find_ack(self, room: str, user: str, cid: str) -> bytes | None:
        def read() -> bytes | None:
            row = self._db.execute(
                "SELECT ack FROM commands WHERE room=? AND user=? AND cid=?", (self._number(room), user, cid)
            ).fetchone()
            return None if row is None else row[0]

        return await self._read(read)

    async def search(self, room: str, query: str, *, limit: int) -> list[StoredEvent]:
        words = ['"' + word.replace('"', '""') + '"' for word in query.replace("\0", " ").split()]
        if not words:
            return []

        def read() -> list[StoredEvent]:
            number = self._number(room)
            low = number << ROOM_SHIFT
            return [
                StoredEvent(id, payload)
                for id, payload in self._db.execute(
                    "SELECT e.id, e.payload FROM words w JOIN events e ON e.room=? AND e.id=w.rowid-? "
                    "WHERE words MATCH ? AND w.rowid BETWEEN ? AND ? ORDER BY w.rowid DESC LIMIT ?",
                    (number, low, " ".join(words) + "*", low, low + (1 << ROOM_SHIFT) - 1, limit),
                )
            ]

        return await self._read(read)

    async def rooms_of(self, user: str) -> list[StoredRoomInfo]:
        def read() -> list[StoredRoomInfo]:
            rows = self._db.execute(
                "SELECT v.room, coalesce(r.head, 0), coalesce(r.last_time, ''), coalesce(r.last_user, ''), "
                "coalesce(r.last_text, '') FROM visits v LEFT JOIN rooms r ON r.name=v.room WHERE v.user=? "
                "ORDER BY 3 DESC, 1",
                (user,),
            )
            return [StoredRoomInfo(*row) for row in rows]

        return await self._read(read)

    async def rooms_with_tasks(self) -> list[str]:
        def read() -> list[str]:
            return [row[0] for row in self._db.execute("SELECT name FROM rooms WHERE open_tasks > 0 ORDER BY name")]

        return await self._read(read)

    async def spent(self, day: str) -> tuple[int, int]:
        def read() -> tuple[int, int]:
            row = self._db.execute("SELECT tokens, microdollars FROM spending WHERE day=?", (day,)).fetchone()
            return (0, 0) if row is None else (row[0], row[1])

        return await self._read(read)

    async def backup(self, path: str) -> None:
        await asyncio.to_thread(backup_file, self._path, Path(path))

    async def close(self) -> None:
        await self._writer.close()
        await self._loop.run_in_executor(self._reader, self._db.close)
        self._reader.shutdown()

    def _number(self, room: str) -> int:
        row = self._db.execute("SELECT number FROM rooms WHERE name=?", (room,)).fetchone()
        return -1 if row is None else int(row[0])

    async def _read(self, read: Callable[[], T]) -> T:
        def guarded() -> T:
            try:
                return read()
            except sqlite3.Error:
                raise StoreTrouble("internal", UNREADABLE) from None

        return await self._loop.run_in_executor(self._reader, guarded)


def backup_file(source: Path, target: Path) -> None:
    """Copy a database that may be in use, under a fresh epoch, so that clients of a restored copy take a snapshot.

    The copy is whole or not there. Raises FileExistsError, FileNotFoundError, OSError and sqlite3.Error.
    """
    if not source.exists():
        raise FileNotFoundError(source)
    if target.exists():
        raise FileExistsError(target)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.fchmod(descriptor, 0o600)
    try:
        # All pages in one step are one read transaction: writers go on, and it need not begin again for them.
        with contextlib.closing(connect(source, read_only=True)) as db, contextlib.closing(_plain(partial)) as copy:
            db.backup(copy, pages=-1)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, without -wal and -shm beside it
            set_fresh_epoch(copy)
        os.fsync(descriptor)
        os.link(partial, target)  # refuses a file that came meanwhile
    finally:
        os.close(descriptor)
        partial.unlink()


def _plain(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)
