"""`tui-agent-server` as a person meets it: one sentence for each mistake, status, stop, backup, token, its log."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.auth import Tokens
from tests.fakes.process import ROOT, ServerProcess
from tests.fakes.wire_client import WireClient

USAGE, FAILED = 2, 1


class Command:
    """Runs the command in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ = {
            "PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(home), "TUI_AGENT_LOG_DIR": str(home / "log"),
            "TUI_AGENT_CONFIG": str(home / "config.toml"), "TUI_AGENT_DATA_DIR": str(home / "data"),
        }  # fmt: skip

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "server", *arguments],
            env=self.environ, cwd=self.home, capture_output=True, text=True, timeout=55, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--frobnicate"], "--help"),
        (["--port", "many"], "--port"),
        (["--port", "70000"], "Choose another"),
        (["--port", "8765", "--socket", "x"], "exclude each other"),
        (["--host", "127.0.0.1"], "needs --port"),
        (["--port", "0", "--host", "0.0.0.0", "--insecure-no-auth"], "loopback only"),
        (["--port", "0", "--tls-cert", "nothing.pem"], "belong together"),
        (["--port", "0", "--tls-cert", "nothing.pem", "--tls-key", "nothing.pem"], "check both paths"),
        (["--agent", "robot"], "robot"),
        (["--agent", "anthropic"], "ANTHROPIC_API_KEY"),
        (["token", "Ada Lovelace"], "a-z 0-9"),
        (["token", "ada", "--room", "No Room"], "a-z 0-9"),
        (["token", "ada", "--days", "-1"], "--days"),
        (["dance"], "--help"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_next_step(command: Command, arguments: list[str], words: str) -> None:
    status, out, err = command(*arguments)
    assert (status, out) == (USAGE, "")
    assert words in err
    assert err.count("\n") == 1


def test_a_broken_config_file_is_told_with_file_line_and_key(command: Command) -> None:
    config = command.home / "config.toml"
    for text, line, key in (
        ('[server]\nmodel = "x"\nmodle = "y"\n', "line 3", "modle"),
        ('[server]\nidle_exit_s = "soon"\n', "line 2", "idle_exit_s"),
        ("[server\n", "line 1", str(config)),
    ):
        config.write_text(text)
        status, _, err = command("--agent", "demo")
        assert status == USAGE
        assert line in err
        assert key in err
        assert str(config) in err


def test_folders_that_cannot_be_written_and_a_damaged_database_are_refused(command: Command) -> None:
    blocked = command.home / "blocked"
    blocked.write_text("")
    status, _, err = command("--agent", "demo", "--data-dir", str(blocked))
    assert (status, "--data-dir" in err) == (FAILED, True)
    command.environ["TUI_AGENT_LOG_DIR"] = str(blocked)
    status, _, err = command("--agent", "demo")
    assert (status, "TUI_AGENT_LOG_DIR" in err) == (USAGE, True)
    command.environ["TUI_AGENT_LOG_DIR"] = str(command.home / "log")
    database = command.home / "data/rooms.db"
    database.parent.mkdir(exist_ok=True)
    database.write_bytes(b"not a database, but precious" * 100)
    status, _, err = command("--agent", "demo")
    assert (status, "restore a backup" in err) == (FAILED, True)
    assert database.read_bytes() == b"not a database, but precious" * 100


def test_without_a_server_status_stop_and_backup_say_so(command: Command) -> None:
    for arguments in (["status"], ["stop"], ["backup", "copy.db"]):
        status, _, err = command(*arguments)
        assert status == FAILED
        assert str(command.home / "data") in err


async def test_status_backup_and_stop_of_a_running_server(tmp_path: Path, command: Command) -> None:
    async with ServerProcess(tmp_path, "--agent", "demo") as server:
        async with WireClient(server.socket) as ada:
            await ada.say("hello")
            await ada.wait("done", 20)
            status, out, _ = await asyncio.to_thread(command, "status")
            assert status == 0
            assert f"pid {server.process.pid}" in out
            assert "connections 1" in out
            status, _, err = await asyncio.to_thread(command, "--agent", "demo", "--socket", str(tmp_path / "two.sock"))
            assert (status, "already uses" in err) == (FAILED, True), "one server a data folder"
            status, _, err = await asyncio.to_thread(
                command, "--agent", "demo", "--data-dir", str(tmp_path / "other"), "--socket", str(server.socket)
            )
            assert (status, "already listens" in err) == (USAGE, True), "one server a socket"
            status, _, _ = await asyncio.to_thread(command, "backup", str(tmp_path / "copy.db"))
            assert status == 0
            status, _, err = await asyncio.to_thread(command, "backup", str(tmp_path / "copy.db"))
            assert (status, "nothing was overwritten" in err) == (FAILED, True)
            assert (await asyncio.to_thread(command, "stop"))[0] == 0
            async with asyncio.timeout(30):
                await ada.closed.wait()
            assert ada.ws.close_code == 1012
        async with asyncio.timeout(30):
            assert await server.process.wait() == 0
        assert server.process.stderr is not None
        assert await server.process.stderr.read() == b""
    copy = sqlite3.connect(tmp_path / "copy.db")
    assert copy.execute("SELECT count(*) FROM events").fetchone() == (2,)
    copy.close()


async def test_a_backup_is_a_data_folder_that_a_server_takes(tmp_path: Path, command: Command) -> None:
    async with ServerProcess(tmp_path, "--agent", "demo") as server:
        async with WireClient(server.socket) as ada:
            await ada.say("keep this")
            await ada.wait("done", 20)
            epoch = ada.of("welcome")[0]["epoch"]
        await server.stop()
        assert (await asyncio.to_thread(command, "backup", str(tmp_path / "copy.db")))[0] == 0
        (tmp_path / "copy.db").replace(tmp_path / "data/rooms.db")
        for beside in ("rooms.db-wal", "rooms.db-shm"):
            (tmp_path / "data" / beside).unlink(missing_ok=True)
        await server.start()
        async with WireClient(server.socket, resume={"epoch": epoch, "after": 2}) as ada:
            assert (await ada.wait("welcome"))["recovered"] is False, "a restored log is another epoch"
            assert (await ada.wait("snapshot"))["events"][0]["content"] == "keep this"


async def test_a_printed_token_opens_the_room_it_was_made_for(tmp_path: Path, command: Command) -> None:
    status, out, err = await asyncio.to_thread(command, "token", "olga", "--room", "standup", "--days", "7")
    assert (status, err) == (0, "")
    identity = Tokens(command.home / "data").read(out.strip(), now_s=time.time())
    assert (identity.user, identity.rooms) == ("olga", frozenset({"standup"}))
    assert identity.expires_at_s is not None
    assert 6.9 * 86_400 < identity.expires_at_s - time.time() <= 7 * 86_400
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    for file in (tmp_path / "data").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file


async def test_the_log_turns_over_and_holds_no_words_keys_or_tokens(tmp_path: Path, command: Command) -> None:
    key, words = "sk-ant-very-secret", "the words of a person"
    token = (await asyncio.to_thread(command, "token", "ada"))[1].strip()
    script = tmp_path / "small_log.py"
    script.write_text(
        "import sys\nfrom server import __main__ as command\ncommand.LOG_BYTES = 2000\nsys.exit(command.main())\n"
    )
    server = ServerProcess(
        tmp_path, "--agent", "demo", script=str(script),
        env={"ANTHROPIC_API_KEY": key, "TUI_AGENT_DEMO_TOKENS_PER_S": "5000"},
    )  # fmt: skip
    async with server:
        for number in range(15):
            async with WireClient(server.socket, room=f"room{number}", token=token) as ada:
                await ada.say(words)
                await ada.wait("done", 20)
                await ada.send("{ not json " + words)
                await ada.wait("error")
    files = sorted((tmp_path / "log").iterdir())
    assert [file.name for file in files] == ["server.log", *(f"server.log.{n}" for n in range(1, len(files)))]
    assert 2 <= len(files) <= 4
    for file in files:
        assert file.stat().st_mode & 0o077 == 0
        assert file.stat().st_size <= 2200
        text = file.read_text()
        assert re.search(r"connection c\d+ joined room room\d+ as ada", text)
        for secret in (key, token, words, "demo agent"):
            assert secret not in text


async def test_sighup_and_sigterm_end_it_with_0(tmp_path: Path) -> None:
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        async with ServerProcess(tmp_path, "--agent", "demo") as server:
            server.process.send_signal(number)
            async with asyncio.timeout(30):
                assert await server.process.wait() == 0
            await server.process.communicate()
        assert not server.socket.exists()
