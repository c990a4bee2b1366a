"""Money and secrets: the budget's edge, a canary key that turns up nowhere, files that are the owner's alone."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path

import pytest

from server.agents.base import Cost, Question
from server.protocol import Usage
from tests.attacks.terminal import Terminal
from tests.fakes.agents import InstantAgent
from tests.fakes.messages_api import FakeMessagesAPI
from tests.fakes.messages_replies import error_event, opened, status, stream, text
from tests.fakes.process import ServerProcess
from tests.fakes.served import served
from tests.fakes.wire_client import WireClient

KEY = "sk-ant-api03-CANARY-7f3e9b1c5d"


class Costly(InstantAgent):
    """Every answer may cost 100 tokens and does."""

    def most(self, question: Question) -> Cost:
        return Cost(100, 100)

    def cost(self, usage: Usage) -> Cost:
        return Cost(100, 100)


async def test_fifty_prompts_at_the_edge_of_the_budget_spend_no_more_than_it(tmp_path: Path) -> None:
    limit, agent = 950, Costly()
    async with served(tmp_path, agent, budget_tokens_per_day=limit) as server:

        async def ask(number: int) -> dict:
            async with WireClient(server.address, f"room{number}", f"u{number}") as client:
                ack = await client.say("go")
                return await client.wait(lambda f: f.get("run") == ack["run"] and f["type"] in ("done", "error"), 20)

        ends = await asyncio.gather(*(ask(number) for number in range(50)))
    answered = sum(end["type"] == "done" for end in ends)
    assert answered == agent.questions == 9
    assert {end["code"] for end in ends if end["type"] == "error"} == {"budget_exceeded"}
    with closing(sqlite3.connect(tmp_path / "data" / "rooms.db")) as db:
        spent = db.execute("SELECT sum(tokens) FROM spending").fetchone()[0]
    assert spent <= limit + 100, "at most one reservation over"


@pytest.mark.timeout(120)
async def test_a_key_turns_up_in_no_log_database_frame_screen_or_process_list(tmp_path: Path) -> None:
    async with FakeMessagesAPI() as api:
        api.will(text("fine"), status(401, "authentication_error", f"bad x-api-key {KEY}"))
        api.default = stream(opened("x"), error_event("api_error", f"key {KEY}"))
        env = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": api.url}
        async with ServerProcess(tmp_path, "--agent", "anthropic", env=env) as server:
            command = (
                sys.executable,
                "-P",
                "-m",
                "tui_agent.cli",
                "--server",
                f"unix:{server.socket}",
                "--user",
                "ada",
            )
            async with (
                WireClient(server.socket, user="ben") as ben,
                Terminal(*command, folder=tmp_path, **env) as screen,
            ):
                await screen.wait("live")
                for words in ("one", "two", "three"):
                    await ben.say(words)
                    await ben.wait(lambda f: f["type"] in ("done", "error") and "run" in f, 40)
                await screen.wait("three")
                processes = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (server.process.pid, screen.pid)]
                screen.type("\x04")
                await screen.wait_end()
                seen = b"".join([*processes, bytes(screen.output), repr(ben.frames).encode()])
    assert len(api.requests) >= 3
    assert KEY.encode() not in seen
    assert [path for path in _files(tmp_path) if KEY.encode() in path.read_bytes()] == []


CRASH = """
import os, sys
from tui_agent.link.connection import RoomLink
def boom(self):
    key = os.environ["ANTHROPIC_API_KEY"]
    raise RuntimeError(key)
from tui_agent.ui.transcript.widget import Transcript
Transcript.render_line = lambda self, y: boom(self)
from tui_agent.cli import main
sys.exit(main(["--server", sys.argv[1], "--user", "ada"]))
"""


@pytest.mark.timeout(120)
async def test_a_crash_shows_a_sentence_and_no_value_of_any_variable(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path, "--agent", "demo") as server:
        script = tmp_path / "crash.py"
        script.write_text(CRASH)
        command = (sys.executable, "-P", str(script), f"unix:{server.socket}")
        async with Terminal(*command, folder=tmp_path, ANTHROPIC_API_KEY=KEY) as screen:
            assert await screen.wait_end(40) != 0
            assert b"Something went wrong inside tui-agent" in screen.output
            assert KEY.encode() not in screen.output
            assert screen.is_restored() == []
    assert [path for path in _files(tmp_path) if KEY.encode() in path.read_bytes()] == []
    assert list(tmp_path.rglob("client-crash.log"))


@pytest.mark.timeout(120)
async def test_files_and_folders_are_the_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        home = tmp_path / "home"
        home.mkdir()
        async with ServerProcess(home, "--agent", "demo") as server:
            command = (
                sys.executable,
                "-P",
                "-m",
                "tui_agent.cli",
                "--server",
                f"unix:{server.socket}",
                "--user",
                "ada",
            )
            async with Terminal(*command, folder=home) as screen:
                await screen.wait("live")
                await screen.enter("kept on disk until the ack")
                await screen.wait("I am the demo agent, a script")  # so it was sent, and does not only stand there
                os.kill(server.process.pid, 19)  # SIGSTOP: what is sent now stays in the outbox
                try:
                    await screen.enter("still waiting")
                    await screen.wait("still waiting")
                    wrong = [
                        oct(stat.S_IMODE(p.lstat().st_mode)) + f" {p}" for p in home.rglob("*") if not _is_private(p)
                    ]
                finally:
                    os.kill(server.process.pid, 18)  # a stopped server would never end
    finally:
        os.umask(old)
    assert wrong == []


def _is_private(path: Path) -> bool:
    return path.is_symlink() or stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
