"""The server on one's own machine: started once, found again, started again when killed, replaced when older."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server import protocol as wire
from tests.client.conftest import Command
from tests.link.conftest import FAST, Watched
from tui_agent import local_server
from tui_agent.link.address import local_address
from tui_agent.link.connection import RoomLink
from tui_agent.link.trouble import Unreachable
from tui_agent.local_server import LocalServer, is_older, socket_path

OLD_SERVER = (
    "import sys; from server import protocol; protocol.AGENT_VERSION = '0.9.0'\n"
    "from server.__main__ import main; sys.exit(main())"
)


async def status(path: Path) -> dict[str, object]:
    """What the server behind a socket says of itself."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    about = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert isinstance(about, dict)
    return about


async def pid_of(path: Path) -> int:
    pid = (await status(path))["pid"]
    assert isinstance(pid, int)
    return pid


@pytest.fixture
async def local(command: Command, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalServer]:
    """A place for a server of the demo agent; whatever listens there in the end is stopped."""
    command.environ |= {"TUI_AGENT_AGENT": "demo", "TUI_AGENT_DEMO_TOKENS_PER_S": "2000"}
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in command.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(command.folder)
    path = socket_path()
    yield LocalServer(path, command.home / "state")
    try:
        os.kill(await pid_of(path), signal.SIGTERM)
    except OSError:
        return
    async with asyncio.timeout(40):
        while path.exists():
            await asyncio.sleep(0.02)
    for child in local_server._started:
        child.wait(10)


async def test_the_first_question_starts_a_server_and_the_second_finds_it(command: Command, local: LocalServer) -> None:
    first = await command.run("ask", "hello")
    pid = await pid_of(local.path)
    second = await command.run("ask", "again")
    assert (first[0], second[0]) == (0, 0)
    assert "demo agent" in first[1]
    assert await pid_of(local.path) == pid
    assert local.path.stat().st_mode & 0o077 == 0
    assert local.path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_foreign_server_py_in_the_folder_is_not_run(command: Command, local: LocalServer) -> None:
    for name in ("server.py", "tui_agent.py", "websockets.py", "msgspec.py"):
        (command.folder / name).write_text("open('was-run', 'w')\nraise SystemExit('the wrong one')\n")
    status, out, err = await command.run("ask", "hello")
    assert (status, err) == (0, "")
    assert out
    assert not (command.folder / "was-run").exists()


async def test_two_clients_at_once_start_one_server(command: Command, local: LocalServer) -> None:
    answers = await asyncio.gather(*(command.run("ask", f"question {n}", "--room", f"room{n}") for n in range(3)))
    assert [status for status, _, _ in answers] == [0, 0, 0]
    log = (command.home / ".local/state/tui-agent/server.log").read_text()
    assert log.count("listening on") == 1


async def test_a_client_that_comes_while_the_sockets_file_is_gone_finds_the_server_again(
    command: Command, local: LocalServer
) -> None:
    await local.start()
    pid = await pid_of(local.path)
    local.path.unlink()
    await local.start()
    assert await pid_of(local.path) == pid


async def test_a_server_that_cannot_start_says_why_and_ask_is_3(command: Command, local: LocalServer) -> None:
    (command.home / "blocked").write_text("")
    command.environ["TUI_AGENT_DATA_DIR"] = str(command.home / "blocked")
    status, out, err = await command.run("ask", "hello")
    assert (status, out) == (3, "")
    assert "The server did not start: The data folder" in err
    assert "--data-dir" in err


async def test_a_broken_server_table_is_told_to_the_client(command: Command, local: LocalServer) -> None:
    config = command.home / ".config/tui-agent/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[server]\nagnt = "demo"\n')
    status, _, err = await command.run("ask", "hello")
    assert status == 3
    assert "config.toml, line 2" in err


async def test_a_killed_server_is_started_again_and_nothing_is_lost_or_doubled(
    command: Command, local: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUI_AGENT_DEMO_TOKENS_PER_S", "20")
    link = RoomLink(
        local_address(local.path), "main", "ada", client="tui-agent/1.0.0", state_folder=command.home,
        times=FAST, local=local,
    )  # fmt: skip
    watched = Watched(link)
    link.send(wire.Message("c1", "hello"))
    async with asyncio.TaskGroup() as group:
        group.create_task(watched.collect())
        running = group.create_task(link.run())
        try:
            await watched.wait(lambda: len(watched.text) > 30, 20)
            os.kill(await pid_of(local.path), signal.SIGKILL)
            await watched.wait(lambda: watched.of(wire.Interrupted), 20)
            (ending,) = watched.of(wire.Interrupted)
            assert ending.reason == "server_restart"
            assert ending.content.startswith(watched.text)
            assert [event.content for event in watched.of(wire.UserMessage)] == ["hello"]
            link.send(wire.Message("c2", "and now"))
            await watched.wait(lambda: len(watched.of(wire.Ack)) >= 1 and not link.pending, 20)
            assert [event.id for event in watched.of(wire.UserMessage)] == [1, 3]
        finally:
            await link.close()
            running.cancel()


async def start_old(local: LocalServer) -> asyncio.subprocess.Process:
    local.path.parent.mkdir(mode=0o700, exist_ok=True)
    old = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", OLD_SERVER, "--socket", str(local.path), stderr=asyncio.subprocess.PIPE
    )
    assert old.stderr is not None
    assert (await old.stderr.readline()).startswith(b"tui-agent-server on")
    return old


async def test_an_older_idle_server_is_replaced(command: Command, local: LocalServer) -> None:
    old = await start_old(local)
    assert (await command.run("ask", "hello"))[0] == 0
    await old.communicate()
    assert (await status(local.path))["version"] == wire.AGENT_VERSION


async def test_an_older_busy_server_is_left_and_that_is_said(command: Command, local: LocalServer) -> None:
    old = await start_old(local)
    links = [
        RoomLink(
            local_address(local.path), "main", user, client="tui-agent/1.0.0", state_folder=command.home,
            times=FAST, local=own,
        )
        for user, own in (("ben", None), ("ada", local))
    ]  # fmt: skip
    watchers = [Watched(link) for link in links]
    try:
        async with asyncio.TaskGroup() as group:
            for watched in watchers:
                group.create_task(watched.collect())
                group.create_task(watched.link.run())
                await watched.wait_live()
            assert "as soon as it is idle" in links[1].status.sentence
            assert links[0].status.sentence == ""
            for link in links:
                await link.close()
        assert (await status(local.path))["version"] == "0.9.0"
    finally:
        old.terminate()
        await old.communicate()


async def test_a_socket_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    with pytest.raises(Unreachable, match="not yours"):
        await LocalServer(tmp_path / "link" / "server.sock", tmp_path).start()
    (tmp_path / "file").write_text("")
    with pytest.raises(Unreachable, match="XDG_RUNTIME_DIR"):
        await LocalServer(tmp_path / "file" / "server.sock", tmp_path).start()


def test_the_path_fits_into_a_socket_address(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)
    assert len(str(socket_path({"XDG_RUNTIME_DIR": str(deep)}))) < 104
    assert socket_path({"XDG_RUNTIME_DIR": str(tmp_path)}) == tmp_path / "tui-agent" / "server.sock"


@pytest.mark.parametrize(
    ("version", "answer"),
    [
        ("tui-agent/0.9.9", True), ("tui-agent/1.0", False), ("tui-agent/1.0.0", False), ("1.0.1", False),
        ("0.10.0", True), ("other/0.1", False), ("", False),
    ],
)  # fmt: skip
def test_versions_are_compared_as_numbers(version: str, answer: bool) -> None:
    assert is_older(version, "1.0.0") is answer
