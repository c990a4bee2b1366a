"""A server stays where clients look for it, whatever happens to its files; two never share a socket or a folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from server.config import ConfigTrouble
from server.datadir import DataDir, running_server
from server.socket_place import SocketPlace, is_listening

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place() -> Iterator[Path]:
    """Short: a socket's address has 108 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="tf"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


async def until(is_so: Callable[[], object], within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        while not is_so():
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def server(folder: Path, data: str = "data") -> AsyncIterator[asyncio.subprocess.Process]:
    """A server as a process, from the moment it was started."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "server", "--socket", str(folder / "s.sock"), "--data-dir", str(folder / data),
        "--agent", "demo", cwd=ROOT, stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder)},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


def log_of(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.rglob("server.log"))


async def test_a_server_whose_files_are_removed_makes_them_again_and_keeps_its_connections(place: Path) -> None:
    path, data = place / "s.sock", place / "data"
    async with server(place) as process:
        await until(lambda: is_listening(path))
        reader, writer = await asyncio.open_unix_connection(str(path))
        await until(lambda: running_server(data))
        path.unlink()
        (data / "server.json").unlink()
        await until(lambda: is_listening(path) and running_server(data))
        assert path.stat().st_mode & 0o777 == 0o600
        assert running_server(data) == {"pid": process.pid, "address": f"unix:{path}", "version": _version()}
        writer.write(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b" 200 " in await reader.readline()
        writer.close()
        await writer.wait_closed()
        assert "the socket's file was gone" in log_of(place)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        assert not path.exists()
        assert not (data / "server.json").exists()


async def test_a_server_whose_data_folder_is_gone_ends_and_the_next_one_begins_there(place: Path) -> None:
    path, data = place / "s.sock", place / "data"
    async with server(place) as process:
        await until(lambda: running_server(data))
        shutil.rmtree(data)
        async with asyncio.timeout(30):
            assert await process.wait() == 0
        assert "the data folder is gone" in log_of(place)
    async with server(place):
        await until(lambda: is_listening(path) and running_server(data))


async def test_a_server_whose_socket_another_has_taken_ends_and_leaves_it_to_that_one(place: Path) -> None:
    path = place / "s.sock"
    async with server(place) as first:
        await until(lambda: is_listening(path))
        path.unlink()
        other = SocketPlace(path, 5)
        with other.listen():
            async with asyncio.timeout(30):
                assert await first.wait() == 0
            assert other.state() == "ours"
            assert is_listening(path)


async def test_a_server_started_while_another_ends_waits_for_it(place: Path) -> None:
    data = place / "data"
    held = DataDir(data)
    with held:
        held.publish({"pid": os.getpid()})
        async with server(place) as refused:
            _, said = await refused.communicate()
            assert b"Another server already uses" in said
        held.withdraw()  # as a server does when it begins to end
        assert running_server(data) == {}
        async with server(place) as waiting:
            await asyncio.sleep(1.0)  # longer than the one that was refused had
            assert waiting.returncode is None
            held.__exit__()
            await until(lambda: running_server(data))
            held._lock = os.open(os.devnull, os.O_RDONLY)  # for the end of the block


def test_a_place_is_left_only_by_its_owner(place: Path) -> None:
    first, second = SocketPlace(place / "s.sock", 5), SocketPlace(place / "s.sock", 5)
    with first.listen():
        assert first.state() == "ours"
        with pytest.raises(ConfigTrouble, match="already listens"):
            second.listen()
    assert first.state() == "ours"
    with second.listen():  # what nobody listens on is what a killed server left
        assert first.state() == "taken"
        first.leave()
        assert is_listening(second.path)
        second.leave()
        assert second.state() == "gone"
        assert list(place.iterdir()) == []


def test_a_socket_listens_from_the_moment_it_has_its_name(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between bind and listen another server would have taken it for a dead one's, and removed it."""
    path = place / "s.sock"
    seen: list[bool] = []
    bind, listen = socket.socket.bind, socket.socket.listen

    def looked(sock: socket.socket, *arguments: object) -> None:
        (bind if arguments and isinstance(arguments[0], str) else listen)(sock, *arguments)
        seen.append(path.exists() and not is_listening(path))

    monkeypatch.setattr(socket.socket, "bind", looked)
    monkeypatch.setattr(socket.socket, "listen", looked)
    with SocketPlace(path, 5).listen():
        assert seen == [False, False]
        assert is_listening(path)


def _version() -> str:
    from server.protocol import AGENT_VERSION

    return AGENT_VERSION
