"""The SQLite engine with real files: fsync before the ack, kills, damage, locks, rights, backup, migrations."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from server.errors import StoreTrouble, StoreUnusable
from server.store import schema
from server.store.base import Append, Key, NewEvent
from server.store.sqlite import backup_file, open_sqlite

ROOT = Path(__file__).resolve().parents[2]
WRITER = """
import asyncio, os, sys
from pathlib import Path
from server.store.base import Append, Key, NewEvent
from server.store.sqlite import open_sqlite

async def main(path, rooms, most, pieces):
    engine = await open_sqlite(Path(path))
    async def write(room):
        for id in range(1, most + 1):
            if pieces:
                await engine.append_piece(room, "r1", (id - 1) * 5, "word ")
                os.write(1, f"piece {room} {id}\\n".encode())  # one system call each, for strace
                continue
            event = NewEvent(id, b'{"id":%d}' % id, "ada", "some words", "t")
            await engine.append(room, Append((event,), b'{"head":%d}' % id, Key("ada", f"c{id}", b"{}")))
            os.write(1, f"ack {room} {id}\\n".encode())
    await asyncio.gather(*(write(f"r{n}") for n in range(rooms)))
    await engine.close()

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:] == ["pieces"]))
"""


@contextlib.contextmanager
def writer(
    path: Path, rooms: int, *more: str, most: int = 100_000, before: tuple[str, ...] = ()
) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A process that writes into the file and prints what was acknowledged; killed and closed at the end."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", WRITER, str(path), str(rooms), str(most), *more],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        with process.stdout as lines:
            yield process, lines
    finally:
        process.kill()
        process.wait()


async def read_all(path: Path, room: str) -> tuple[list[int], bytes | None, str]:
    engine = await open_sqlite(path)
    stored = await engine.load(room, tail_events=10**6, tail_bytes=10**9)
    await engine.close()
    return [event.id for event in stored.tail], stored.state, stored.pieces


@pytest.mark.parametrize("after", [1, 37, 150])
async def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path, after: int) -> None:
    path = tmp_path / "x.db"
    acked = {f"r{n}": 0 for n in range(4)}
    with writer(path, 4) as (process, lines):
        for _ in range(after):
            _, room, id = lines.readline().split()
            acked[room] = int(id)
        process.kill()
        for line in lines.read().splitlines():
            if len(line.split()) == 3:
                _, room, id = line.split()
                acked[room] = int(id)
    for room, last in acked.items():
        ids, state, _ = await read_all(path, room)
        assert ids == list(range(1, len(ids) + 1))
        assert len(ids) >= last
        assert state == (b'{"head":%d}' % len(ids) if ids else None), "events and state are one"


async def test_pieces_survive_a_kill_without_gaps(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    last = 0
    with writer(path, 1, "pieces") as (process, lines):
        for _ in range(40):
            last = int(lines.readline().split()[2])
        process.kill()
    _, _, pieces = await read_all(path, "r0")
    assert pieces.startswith("word " * last)
    assert pieces == "word " * (len(pieces) // 5)


def traced(tmp_path: Path, *more: str) -> list[str]:
    """The system calls of a writer of 20 events a room, to its end."""
    log = tmp_path / "trace"
    strace = ("strace", "-f", "-e", "trace=fdatasync,fsync,write", "-s", "24", "-o", str(log))
    with writer(tmp_path / "x.db", 3, *more, most=20, before=strace) as (process, lines):
        lines.read()
        assert process.wait() == 0
    return log.read_text().splitlines()


def test_an_fdatasync_comes_before_every_ack(tmp_path: Path) -> None:
    assert shutil.which("strace"), "make packages installs strace"
    acks, synced = 0, 0
    seen_acks: dict[str, int] = {}
    for line in traced(tmp_path):
        if re.search(r"f(data)?sync\(.*= 0|f(data)?sync resumed.*= 0", line):
            synced += 1
        match = re.search(r'write\(1, "ack (r\d) (\d+)', line)
        if match:
            room, id = match.group(1), int(match.group(2))
            # One room has one append on its way: between two of its acks there must have been a sync.
            assert synced > seen_acks.get(room, 0), f"ack {room} {id} without a sync before"
            seen_acks[room] = synced
            acks += 1
    assert acks == 60


def test_pieces_alone_need_no_sync(tmp_path: Path) -> None:
    lines = traced(tmp_path, "pieces")
    shown = [number for number, line in enumerate(lines) if 'write(1, "piece' in line]
    assert len(shown) == 60
    assert not [line for line in lines[shown[0] : shown[-1]] if "sync(" in line]


async def test_what_one_step_of_the_loop_appends_is_one_commit(tmp_path: Path) -> None:
    engine = await open_sqlite(tmp_path / "x.db")
    before, appended = engine.fsyncs, []
    for number in range(5):
        appended.append(engine.append(f"r{number}", Append((NewEvent(1, b"{}", "ada", "words", "t"),), b"{}")))
        time.sleep(0.05)  # the loop's step is long, and the thread could run
    await asyncio.gather(*appended)
    assert engine.fsyncs - before == 1
    await engine.close()


@pytest.mark.parametrize("rooms", [1, 2, 63, 64, 65, 200])
async def test_each_room_of_a_large_commit_gets_what_is_its_own(tmp_path: Path, rooms: int) -> None:
    engine = await open_sqlite(tmp_path / "x.db")
    before, waiting = engine.fsyncs, list[asyncio.Future[bytes | None]]()
    for number in range(rooms):
        said = NewEvent(1, b'{"room":%d}' % number, f"user{number}", f"words{number}", f"t{number}")
        silent = NewEvent(2, b"{}")
        key = Key("ada", "c1", b'{"ack":%d}' % number)
        waiting.append(engine.append(f"r{number}", Append((said, silent), b"%d" % number, key)))
        engine.append_piece(f"r{number}", "r1", 0, f"piece {number}")
    assert await asyncio.gather(*waiting) == [None] * rooms
    assert engine.fsyncs - before <= -(-2 * rooms // 32)
    await engine.visit("ada", "r0")
    for number in range(rooms):
        stored = await engine.load(f"r{number}", tail_events=9, tail_bytes=999)
        assert [event.payload for event in stored.tail] == [b'{"room":%d}' % number, b"{}"]
        assert (stored.head, stored.state, stored.pieces) == (2, b"%d" % number, f"piece {number}")
        assert await engine.find_ack(f"r{number}", "ada", "c1") == b'{"ack":%d}' % number
        assert [event.id for event in await engine.search(f"r{number}", f"words{number}", limit=9)] == [1]
    [shown] = await engine.rooms_of("ada")
    assert (shown.head, shown.last_time, shown.last_user, shown.last_text) == (2, "t0", "user0", "words0")
    await engine.close()


async def test_a_command_that_comes_again_changes_nothing_for_the_rest_of_its_batch(tmp_path: Path) -> None:
    engine = await open_sqlite(tmp_path / "x.db")
    first, key = NewEvent(1, b"{}", "ada", "words", "t"), Key("ada", "c1", b"first")
    assert await engine.append("old", Append((first,), b"{}", key)) is None
    visit = asyncio.create_task(engine.visit("ada", "old"))
    await asyncio.sleep(0)  # its operation stands in the batch
    before, many = engine.fsyncs, tuple(NewEvent(id, b"{}") for id in range(1, 71))
    engine.append_piece("open", "r1", 0, "so far")
    waiting = [
        engine.append("new", Append(many, b"{}", key, day="d", spent_tokens=5)),  # more rows than a statement takes
        engine.append("old", Append((NewEvent(2, b"{}"),), b"2", Key("ada", "c2", b""), day="d", spent_tokens=11)),
        engine.append("old", Append((NewEvent(3, b"{}"),), b"3", Key("ada", "c1", b"again"), day="d", spent_tokens=7)),
    ]
    assert await asyncio.gather(*waiting) == [None, None, b"first"]
    await visit
    assert engine.fsyncs - before == 1
    stored = [await engine.load(room, tail_events=99, tail_bytes=999) for room in ("new", "old", "open")]
    assert [(room.head, room.state, room.pieces) for room in stored] == [
        (70, b"{}", ""),
        (2, b"2", ""),
        (0, None, "so far"),
    ]
    assert await engine.spent("d") == (16, 0)
    assert [shown.room for shown in await engine.rooms_of("ada")] == ["old"]
    await engine.close()


async def test_a_command_that_comes_again_with_an_id_that_does_not_follow_is_known_all_the_same(tmp_path: Path) -> None:
    engine = await open_sqlite(tmp_path / "x.db")
    key = Key("ada", "c1", b"first")
    assert await engine.append("a", Append((NewEvent(1, b"{}"),), b"{}", key)) is None
    assert await engine.append("a", Append((NewEvent(9, b"{}"),), b"{}", key)) == b"first"
    await engine.close()


async def test_a_run_takes_its_pieces_away_and_no_others(tmp_path: Path) -> None:
    engine = await open_sqlite(tmp_path / "x.db")

    async def pieces(room: str) -> str:
        return (await engine.load(room, tail_events=9, tail_bytes=999)).pieces

    engine.append_piece("b", "r1", 0, "b's")
    engine.append_piece("a", "r1", 0, "ended")
    ended = engine.append("a", Append((NewEvent(1, b"{}"),), b"{}", ended_run="r1"))  # in the batch of its pieces
    engine.append_piece("a", "r2", 0, "open")
    await ended
    assert [await pieces("a"), await pieces("b")] == ["open", "b's"]
    await engine.append("a", Append((NewEvent(2, b"{}"),), b"{}", ended_run="r2"))
    await engine.append("b", Append((NewEvent(1, b"{}"),), b"{}", ended_run="r1"))
    assert [await pieces("a"), await pieces("b")] == ["", ""]
    await engine.close()


async def test_what_cannot_be_written_at_all_does_not_stop_the_writer(tmp_path: Path) -> None:
    engine = await open_sqlite(tmp_path / "x.db")
    with pytest.raises(StoreTrouble) as caught:
        await engine.append("r0", Append((NewEvent(1, b"{}", "ada", "\ud800", "t"),), b"{}"))
    assert caught.value.code == "internal"
    assert await engine.append("r0", Append((NewEvent(1, b"{}", "ada", "words", "t"),), b"{}")) is None
    await engine.close()


async def test_what_the_last_step_appended_is_written_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    engine = await open_sqlite(path)
    appended = engine.append("r0", Append((NewEvent(1, b"{}", "ada", "last words", "t"),), b"{}"))
    await engine.close()
    assert await appended is None
    assert (await read_all(path, "r0"))[0] == [1]


async def test_a_damaged_or_foreign_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with writer(path, 4) as (process, lines):
        for _ in range(200):
            lines.readline()
        process.kill()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    whole = path.read_bytes()
    for damaged in (b"this is no database" * 500, whole[: len(whole) // 2], flipped(whole)):
        for beside in ("x.db-wal", "x.db-shm"):
            (tmp_path / beside).unlink(missing_ok=True)
        path.write_bytes(damaged)
        with pytest.raises(StoreUnusable, match="damaged"):
            await open_sqlite(path)
        assert path.read_bytes() == damaged


def flipped(whole: bytes) -> bytes:
    """A page in the middle with all bits turned."""
    page = 4096
    start = len(whole) // page // 2 * page
    return whole[:start] + bytes(byte ^ 0xFF for byte in whole[start : start + page]) + whole[start + page :]


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    await (await open_sqlite(path)).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StoreUnusable, match="newer"):
        await open_sqlite(path)


def test_migrations_run_once_each_in_order(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    schema.migrate(db)
    later = (*schema.MIGRATIONS, "ALTER TABLE meta ADD COLUMN more TEXT", "UPDATE meta SET more='x'")
    schema.migrate(db, later)
    schema.migrate(db, later)
    assert db.execute("SELECT more FROM meta").fetchone() == ("x",)
    assert db.execute("PRAGMA user_version").fetchone() == (len(later),)
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(db, (*later, "UPDATE meta SET more='y'; NONSENSE"))
    if db.in_transaction:
        db.rollback()
    assert db.execute("SELECT more FROM meta").fetchone() == ("x",), "a step that fails is undone"
    db.close()


async def test_files_are_for_their_owner_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        engine = await open_sqlite(tmp_path / "deep" / "x.db")
        await engine.append("main", Append((NewEvent(1, b"{}"),), b"{}"))
        modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "deep").iterdir()}
        await engine.close()
    finally:
        os.umask(old)
    assert modes == {"x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}
    assert (tmp_path / "deep").stat().st_mode & 0o777 == 0o700


async def test_a_foreign_lock_fails_the_batch_and_the_next_one_works(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("server.store.writer.BUSY_TIMEOUT_MS", 200)
    engine = await open_sqlite(tmp_path / "x.db")
    await engine.append("main", Append((NewEvent(1, b"{}"),), b"{}"))
    foreign = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    ticks = 0
    future = engine.append("main", Append((NewEvent(2, b"{}"),), b"{}"))
    while not future.done():
        await asyncio.sleep(0.01)
        ticks += 1
    with pytest.raises(StoreTrouble) as caught:
        await future
    assert caught.value.code == "internal"
    assert ticks > 5, "the loop went on"
    assert time.monotonic() - started < 6
    foreign.rollback()
    foreign.close()
    assert await engine.append("main", Append((NewEvent(2, b"{}"),), b"{}")) is None
    await engine.close()


async def test_a_backup_is_whole_while_the_server_writes_and_has_another_epoch(tmp_path: Path) -> None:
    engine = await open_sqlite(tmp_path / "x.db")
    stop = asyncio.Event()

    async def write() -> int:
        id = 0
        while not stop.is_set():
            id += 1
            await engine.append("main", Append((NewEvent(id, b"{}", "", f"word {id}"),), b'{"head":%d}' % id))
        return id

    task = asyncio.create_task(write())
    await asyncio.sleep(0.1)
    await engine.backup(str(tmp_path / "copy.db"))
    backup_file(tmp_path / "x.db", tmp_path / "second.db")
    stop.set()
    written = await task
    with pytest.raises(FileExistsError):
        await engine.backup(str(tmp_path / "copy.db"))
    epoch = engine.epoch
    await engine.close()
    assert {file.name for file in tmp_path.iterdir()} <= {"x.db", "x.db-wal", "x.db-shm", "copy.db", "second.db"}
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    copy = await open_sqlite(tmp_path / "copy.db")
    stored = await copy.load("main", tail_events=10**6, tail_bytes=10**9)
    assert copy.epoch != epoch
    assert 1 <= stored.head <= written
    assert stored.state == b'{"head":%d}' % stored.head
    assert len(await copy.search("main", "word", limit=10**6)) == stored.head
    await copy.close()


async def test_a_caller_that_gives_up_does_not_break_the_batch(tmp_path: Path) -> None:
    engine = await open_sqlite(tmp_path / "x.db")
    given_up = engine.append("main", Append((NewEvent(1, b"{}"),), b"{}"))
    given_up.cancel()
    assert await engine.append("main", Append((NewEvent(2, b"{}"),), b"{}", Key("a", "c", b"{}"))) is None
    await engine.close()


async def test_closing_writes_what_waits(tmp_path: Path) -> None:
    engine = await open_sqlite(tmp_path / "x.db")
    futures = [engine.append("main", Append((NewEvent(id, b"{}"),), b"{}")) for id in range(1, 101)]
    await engine.close()
    await asyncio.sleep(0)
    assert all(future.done() and future.exception() is None for future in futures)
    assert len((await read_all(tmp_path / "x.db", "main"))[0]) == 100


async def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnusable, match="cannot be written"):
        await open_sqlite(tmp_path / "file" / "x.db")
