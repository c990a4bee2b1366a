"""The whole server on disks that fail: full, read-only, limited, locked, rotten; and the sync before each ack."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sqlite3
import sys
from pathlib import Path

import pytest

from tests.fakes.process import ServerProcess
from tests.fakes.wire_client import WireClient
from tests.faults import oracle
from tests.faults.disks import fill_and_free, flip_page, power_loss, server_on, small_disk


async def test_the_log_is_synced_before_each_ack(tmp_path: Path) -> None:
    assert await power_loss(tmp_path, seed=8, acks=40) == {"acks": 40, "synced before": 40}


@pytest.mark.parametrize("may_mount", [True, False], ids=["a small disk", "a user's limit"])
async def test_a_full_disk_is_said_and_nothing_is_acknowledged_in_vain(tmp_path: Path, may_mount: bool) -> None:
    with small_disk(tmp_path, 2048, may_mount=may_mount) as disk:
        assert (await fill_and_free(tmp_path, disk))["acks"] > 5


async def test_a_limit_on_file_sizes_is_like_a_full_disk(tmp_path: Path) -> None:
    async with server_on(tmp_path, tmp_path / "data") as server, WireClient(server.socket) as ada:
        ack = await ada.say("one")
        await ada.wait("done", 10)
        for soft in (4096, resource.RLIM_INFINITY):
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))
            frame = await ada.say("two", f"two-{soft}")
            assert frame["type"] == ("error" if soft == 4096 else "ack"), frame
        assert (frame["id"], ack["id"]) == (3, 1)


@pytest.mark.parametrize("may_mount", [True, False], ids=["a read-only disk", "no permission"])
async def test_what_cannot_be_written_keeps_the_server_from_starting_with_a_sentence(
    tmp_path: Path, may_mount: bool
) -> None:
    with small_disk(tmp_path, 4096, may_mount=may_mount) as disk:
        async with server_on(tmp_path, disk.place / "data") as server, WireClient(server.socket) as ada:
            await ada.say("kept")
            await ada.wait("done", 10)
        before = (disk.place / "data" / "rooms.db").read_bytes()
        with disk.read_only() as hindered:
            said = await _refusal(tmp_path, *hindered)
        assert "cannot be written" in said
        assert "--data-dir" in said
        assert (disk.place / "data" / "rooms.db").read_bytes() == before
        async with server_on(tmp_path, disk.place / "data") as server:
            assert [e["type"] for e in await oracle.read_log(server.socket)] == ["user_message", "done"]


async def test_a_flipped_page_is_noticed_at_the_start_and_the_file_is_kept(tmp_path: Path) -> None:
    async with server_on(tmp_path, tmp_path / "data") as server, WireClient(server.socket) as ada:
        for number in range(12):
            await ada.say("x" * 8000, f"cid-{number}")
            await ada.wait("done", 10)
    database = tmp_path / "data" / "rooms.db"
    rotten = flip_page(database)
    said = await _refusal(tmp_path)
    assert "damaged" in said
    assert database.read_bytes() == rotten


async def test_a_foreign_lock_refuses_and_then_lets_go(tmp_path: Path) -> None:
    async with server_on(tmp_path, tmp_path / "data") as server, WireClient(server.socket) as ada:
        await ada.say("one")
        await ada.wait("done", 10)
        with contextlib.closing(sqlite3.connect(tmp_path / "data" / "rooms.db", isolation_level=None)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            cid = await ada.command("message", content="two")
            frame = await ada.wait(lambda frame: frame.get("ref") == cid, 10)
            assert (frame["type"], frame["code"], frame["retryable"]) == ("error", "internal", True)
            assert frame["message"].endswith(".")
            lock.execute("ROLLBACK")
        assert (await ada.say("two", cid))["type"] in ("ack", "error")
        again = await ada.answer_to(await ada.command("message", content="two", cid="other"))
        assert again["type"] == "ack"


async def _refusal(folder: Path, *before: str) -> str:
    """What a server that cannot start says: one line, exit status 1 or 2, no traceback. `before`: its command."""
    server = ServerProcess(folder / "run", "--agent", "demo")
    process = await asyncio.create_subprocess_exec(
        *before, sys.executable, "-P", "-m", "server", "--socket", str(server.socket),
        "--data-dir", str(folder / "run" / "data"), env=server.env, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(20):
        _, said = await process.communicate()
    assert process.returncode in (1, 2)
    assert b"Traceback" not in said
    assert said.count(b"\n") == 1, said
    return said.decode()
