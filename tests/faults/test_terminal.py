"""The real app in a real terminal that is treated badly: the terminal is given back, there is no traceback."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.attacks.screens import TUI
from tests.attacks.terminal import Terminal
from tests.fakes.wire_server import WireServer

pytestmark = pytest.mark.timeout(120)


@contextlib.asynccontextmanager
async def chat(folder: Path, **env: str) -> AsyncIterator[tuple[WireServer, Terminal]]:
    server = WireServer()
    server.answer = lambda text: ["an ", "answer ", "that ", "takes ", "its ", "time"]
    server.piece_wait_s = 0.02
    async with server.listen(path=folder / "s.sock") as url:
        async with Terminal(*TUI, "--server", url, "--user", "ada", folder=folder, **env) as terminal:
            await terminal.wait("live")
            yield server, terminal


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_a_signal_ends_it_and_the_terminal_is_given_back(tmp_path: Path, number: signal.Signals) -> None:
    async with chat(tmp_path) as (_, terminal):
        terminal.type("half a word")
        await terminal.wait("half a word")
        os.kill(terminal.pid, number)
        if number is signal.SIGINT:  # a terminal's Ctrl+C comes as a key; a signal from elsewhere may end it or not
            terminal.type("\x15\x04")
        await terminal.wait_end()
        assert terminal.is_restored() == []


async def test_ctrl_z_gives_the_terminal_back_and_fg_brings_the_screen_again(tmp_path: Path) -> None:
    async with chat(tmp_path) as (server, terminal):
        terminal.type("draft")
        await terminal.wait("draft")
        os.kill(terminal.pid, signal.SIGTSTP)
        async with asyncio.timeout(10):
            while not _is_stopped(terminal.pid):
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        assert terminal.is_restored() == []
        before = len(terminal.output)
        os.kill(terminal.pid, signal.SIGCONT)
        await terminal.wait(lambda: b"\x1b[?1049h" in terminal.output[before:] and "draft" in terminal.text)
        await server.say("while you were away")
        await terminal.wait("while you were away")


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


async def test_three_hundred_resizes_in_mid_answer_and_a_screen_of_one_cell(tmp_path: Path) -> None:
    async with chat(tmp_path) as (server, terminal):
        await server.say("hello there")
        await terminal.enter("go")
        for number in range(300):
            terminal.resize(1 + number * 7 % 150, 1 + number * 5 % 50)
            if number % 10 == 0:
                await asyncio.sleep(0.01)
        terminal.resize(1, 1)
        await asyncio.sleep(0.3)
        terminal.type("\t\x1b[A\x1b[5~x\x7f\r")
        await asyncio.sleep(0.2)
        terminal.resize(100, 30)
        terminal.screen.resize(30, 100)
        await terminal.wait("hello there")
        for key in ("\x1b", "\x03", "\x03", "\x03"):
            terminal.type(key)
            await asyncio.sleep(0.2)
        assert await terminal.wait_end() == 0
        assert terminal.is_restored() == []


@pytest.mark.parametrize(
    "env",
    [
        {"TERM": "unknown"},
        {"TERM": "linux"},
        {"TERM": ""},
        {"LANG": "POSIX", "LC_ALL": "POSIX"},
        {"LANG": "en_US.ISO-8859-1", "PYTHONIOENCODING": "latin-1"},
        {"NO_COLOR": "1"},
        {"COLUMNS": "0", "LINES": "zero"},
    ],
    ids=["unknown", "linux", "no TERM", "POSIX", "latin-1", "no colour", "odd sizes"],
)
async def test_poor_terminals_are_lived_with(tmp_path: Path, env: dict[str, str]) -> None:
    async with chat(tmp_path, **env) as (server, terminal):
        await server.say("grüße 漢字 🙂")
        await terminal.wait("gr")
        terminal.type("\x04")
        assert await terminal.wait_end() == 0
        assert terminal.is_restored() == []


async def test_a_slow_terminal_delays_no_key_and_no_exit(tmp_path: Path) -> None:
    async with chat(tmp_path) as (server, terminal):
        terminal.slow_bytes_s = 3000
        for number in range(20):
            await server.say(f"line {number} " * 20)
        await terminal.enter("hello")
        await server.wait(lambda: any(getattr(c, "content", "") == "hello" for c in server.commands), 20)
        terminal.type("\x04")
        await terminal.wait_end(30)
        terminal.slow_bytes_s = 0


async def test_a_terminal_that_goes_away_ends_the_app(tmp_path: Path) -> None:
    """The window is closed: SIGHUP may come, the descriptor fails; nothing spins or stays behind."""
    async with chat(tmp_path) as (_, terminal):
        os.killpg(terminal.pid, signal.SIGHUP)
        await terminal.wait_end()


async def test_without_a_terminal_a_sentence_says_so(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    process = await asyncio.create_subprocess_exec(
        *TUI, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=env,
        cwd=tmp_path,
    )  # fmt: skip
    async with asyncio.timeout(30):
        out, said = await process.communicate()
    assert (out, process.returncode) == (b"", 2)
    assert b"\x1b" not in said
    assert said.count(b"\n") == 1
