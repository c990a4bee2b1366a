"""The one writer thread: it takes whatever waits, commits it as one transaction and reports back once.

The event loop hands over once a step, a queue item an operation would wake the thread with each, for small commits.

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
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from server.errors import StoreTrouble
from server.store.batch import FAILED, TRIGGERS, AppendOp, Op, Result, Rooms, write

log = logging.getLogger("server.store")

BATCH: Final = 1024  # operations in a transaction, about
HAND_OVER: Final = 32  # of a step with much to write at once, so that the thread works meanwhile
BUSY_TIMEOUT_MS: Final = 5000
CHECKPOINT_PAGES: Final = 4000

FULL: Final = StoreTrouble("storage_full", "The server's disk is full; send it again when there is space.")


class Writer:
    """Owns the writing connection; `put` may be called on the event loop's thread only."""

    def __init__(
        self, path: Path, loop: asyncio.AbstractEventLoop, on_point: Callable[[str], None] | None = None
    ) -> None:
        self.fsyncs = 0
        self._path = path
        self._loop = loop
        self._on_point = on_point
        self._gathered: list[Op] = []
        self._ops: SimpleQueue[list[Op] | None] = SimpleQueue()
        self._db: sqlite3.Connection | None = None
        self._is_full_sync = True
        self._rooms = Rooms()
        self._thread = threading.Thread(target=self._run, name="store writer", daemon=True)
        self._thread.start()

    def put(self, op: Op) -> None:
        """Goes to the thread with all else that this step of the loop has."""
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(op)
        if len(self._gathered) >= HAND_OVER:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._gathered:  # `close` may have been first
            self._ops.put(self._gathered)
            self._gathered = []

    async def close(self) -> None:
        """Write what waits, then end the thread."""
        self._hand_over()
        self._ops.put(None)
        await asyncio.to_thread(self._thread.join)

    # ---- in the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch: list[Op] = []
            first = self._ops.get()
            while first is not None:
                batch += first
                if len(batch) >= BATCH:
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
            primary = exc.sqlite_errorcode & 0xFF
            trouble = FULL if primary in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) else FAILED
        except Exception:  # this thread must go on: without it everybody waits for ever
            log.exception("a batch of %d could not be written", len(batch))
            trouble = FAILED
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.rollback()
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
        self._db = None
        self._rooms.forget()
        return [StoreTrouble(trouble.code, trouble.message, retry_after_s=2.0)] * len(batch)

    def _transaction(self, ops: list[Op]) -> list[Result]:
        db = self._db = self._db or self._connect()
        self._point("append.begin")
        is_durable = any(isinstance(op, AppendOp) for op in ops)
        if is_durable is not self._is_full_sync:
            db.execute("PRAGMA synchronous=FULL" if is_durable else "PRAGMA synchronous=NORMAL")
            self._is_full_sync = is_durable
        results = write(db, self._rooms, ops, self._point)
        if is_durable:
            self.fsyncs += 1
        self._point("append.committed")
        return results

    def _connect(self) -> sqlite3.Connection:
        db = connect(self._path)
        db.executescript(TRIGGERS)
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
