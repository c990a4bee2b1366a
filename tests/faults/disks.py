"""Disks that fill, refuse, are locked or rot under the whole server: no false ack, a plain sentence, the file kept."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import signal
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.process import ServerProcess
from tests.fakes.wire_client import Frame, WireClient

CRASH_SERVER = str(Path(__file__).with_name("crash_server.py"))


# A superuser may write everywhere; without these it obeys the bits of a file as anybody does.
OBEYING = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


@dataclass
class Disk:
    """A place to write to that has little space, or none."""

    place: Path
    is_mounted: bool

    def fill(self, pid: int) -> None:
        """Leave the process about 1.5 MB."""
        if self.is_mounted:
            (self.place / "ballast").write_bytes(b"x" * 300_000)
        else:
            self._limit(pid, 1_500_000)

    def free(self, pid: int) -> None:
        if self.is_mounted:
            (self.place / "ballast").unlink()
        else:
            self._limit(pid, resource.RLIM_INFINITY)

    @contextlib.contextmanager
    def read_only(self) -> Iterator[tuple[str, ...]]:
        """Nothing in "data" can be written; yields what must stand before a command that shall be hindered by it."""
        database = self.place / "data" / "rooms.db"
        if self.is_mounted:
            subprocess.run(["mount", "-o", "remount,ro", str(self.place)], check=True)
        else:
            database.chmod(0o400)
        try:
            yield OBEYING if is_root() else ()
        finally:
            if self.is_mounted:
                subprocess.run(["mount", "-o", "remount,rw", str(self.place)], check=True)
            else:
                database.chmod(0o600)

    @staticmethod
    def _limit(pid: int, most_bytes: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))


@contextlib.contextmanager
def small_disk(folder: Path, size_kib: int, *, may_mount: bool = True) -> Iterator[Disk]:
    """A tmpfs of that size where one may mount; else a folder whose files are limited, or not to be written."""
    place = folder / "disk"
    place.mkdir()
    how = ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k,mode=700", "tmpfs", str(place)]
    is_mounted = may_mount and is_root() and subprocess.run(how, capture_output=True).returncode == 0
    try:
        yield Disk(place, is_mounted)
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", str(place)], check=True)


@contextlib.asynccontextmanager
async def server_on(folder: Path, data_dir: Path, **env: str) -> AsyncIterator[ServerProcess]:
    """A server with its data elsewhere than its socket and log."""
    (folder / "run").mkdir(exist_ok=True)
    data_dir.mkdir(exist_ok=True, mode=0o700)
    link = folder / "run" / "data"
    if not link.is_symlink():
        link.symlink_to(data_dir)
    settings = {"TUI_AGENT_COMMAND_BURST": "0", "TUI_AGENT_DEMO_TOKENS_PER_S": "1000"}
    async with ServerProcess(folder / "run", "--agent", "demo", env=settings | env) as server:
        yield server


async def fill_and_free(folder: Path, disk: Disk) -> dict[str, int]:
    """Talk until the disk is full, find every ack on disk, free it, and talk again."""
    place = disk.place
    async with server_on(folder, place / "data") as server, WireClient(server.socket) as ada:
        await ada.wait("snapshot")
        disk.fill(server.process.pid)
        acks, refused = await _until_refused(ada)
        assert refused["code"] == "storage_full", refused
        assert refused["retryable"] is True
        assert refused["message"].endswith(".")
        assert "disk" in refused["message"]
        small = await ada.say("a small one may still fit")
        if small["type"] == "ack":
            acks[small["ref"]] = small["id"]
        disk.free(server.process.pid)
        async with asyncio.timeout(20):
            while (frame := await ada.say("once there is space"))["type"] != "ack":
                assert frame["code"] in ("storage_full", "busy"), frame
                await asyncio.sleep(0.1)
        acks[frame["ref"]] = frame["id"]
        await server.kill()
    with contextlib.closing(sqlite3.connect(place / "data" / "rooms.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        stored = dict(db.execute("SELECT cid, json_extract(ack, '$.id') FROM commands"))
    assert all(stored.get(cid) == id for cid, id in acks.items()), "a false ack"
    return {"acks": len(acks), "false acks": 0}


async def _until_refused(ada: WireClient) -> tuple[dict[str, int], Frame]:
    acks: dict[str, int] = {}
    for number in range(2000):
        frame = await ada.say(f"{number} " + "x" * 20_000)
        if frame.get("code") == "busy":  # an answer whose end the disk refuses stays open, and the queue behind it full
            frame = await ada.answer_to(await ada.command("clear"))
        if frame["type"] == "ack":
            acks[frame["ref"]] = frame["id"]
        else:
            return acks, frame
    raise AssertionError("the disk never filled")


def flip_page(database: Path) -> bytes:
    """Turn the bits of a page in the middle; returns the file as it then is."""
    data = bytearray(database.read_bytes())
    page = 4096 * (len(data) // 4096 // 2)
    data[page : page + 4096] = bytes(byte ^ 0xFF for byte in data[page : page + 4096])
    database.write_bytes(data)
    return bytes(data)


async def power_loss(folder: Path, seed: int, acks: int) -> dict[str, int]:
    """`acks` messages and clears under strace: the log's fdatasync has returned before each ack is sent."""
    trace = folder / "trace"
    async with ServerProcess(folder, script=CRASH_SERVER) as server:
        strace = await asyncio.create_subprocess_exec(
            "strace", "-f", "-y", "-s", "300", "-e", "trace=pwrite64,fdatasync,fsync,sendto,sendmsg,write,writev",
            "-o", str(trace), "-p", str(server.process.pid), stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert strace.stderr is not None
        assert b"attached" in await strace.stderr.readline()
        async with WireClient(server.socket) as ada:
            for number in range(acks):
                if number % 2:
                    assert (await ada.answer_to(await ada.command("clear")))["type"] == "ack"
                else:
                    assert (await ada.say(f"{number}"))["type"] == "ack"
                    if number % 4:
                        await ada.wait("done", 20)
        strace.send_signal(signal.SIGINT)
        await strace.communicate()
    seen, bad = trace_of_acks(trace.read_text())
    assert seen == acks, f"{seen} acks in the trace of {acks}"
    assert bad == 0, f"{bad} acks before their fdatasync"
    return {"acks": seen, "synced before": seen - bad}


def trace_of_acks(strace: str) -> tuple[int, int]:
    """(acks, those sent while something durable was written and not yet synced) in a trace of all threads."""
    acks = bad = 0
    is_synced = False
    for line in strace.splitlines():
        if re.search(r"f(data)?sync(\(.*\)| resumed.*) *= 0", line):
            is_synced = True
        elif re.search(r" (sendto|sendmsg|write|writev)\(", line) and '{\\"type\\":\\"ack\\"' in line:
            acks += 1
            bad += not is_synced
            is_synced = False  # the next one wants a sync of its own
    return acks, bad


def is_root() -> bool:
    return os.geteuid() == 0
