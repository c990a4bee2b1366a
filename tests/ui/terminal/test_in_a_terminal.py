"""The whole program on a pseudo terminal: bytes in, screen out, and the terminal given back however it ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.ui.terminal.program import CODE, ROOT, Terminal, terminal


async def test_escape_in_mid_stream_stops_and_text_typed_right_after_it_is_kept(place: Any) -> None:
    with terminal(place) as screen:
        await screen.shows("live")
        await screen.types("go on")
        run = await place[1].wait_run()
        run.say("One two three")
        await screen.shows("One two three")
        screen.send(b"\x1bbut why")
        await screen.shows("interrupted by ada")
        await screen.shows("› but why")
        assert run.cancelled.is_set()


async def test_alt_enter_and_shift_enter_make_lines_and_a_burst_with_newlines_does_not_send(place: Any) -> None:
    with terminal(place) as screen:
        await screen.shows("live")
        for sent in (b"one\x1b\r", b"two\x1b[27;2;13~", b"three\x1b[13;2u"):
            screen.send(sent)
            await asyncio.sleep(0.15)  # a person's pace: each is a key of its own
        screen.send(b"pasted 1\rpasted 2\rclose")
        await screen.shows("close")
        assert not place[1].runs
        assert all(words in screen.text for words in ("one", "two", "three", "pasted 1", "pasted 2"))


async def test_replies_that_come_late_are_no_text(place: Any) -> None:
    with terminal(place) as screen:
        await screen.shows("live")
        screen.send(b"\x1b]11;rgb:1212/1515/1d1d\x1b\\\x1b[?62;22c\x1b[<35;NaN;NaNMafter")
        await screen.shows("› after")


async def test_a_light_terminal_gets_the_light_theme_and_what_was_typed_meanwhile_is_kept(place: Any) -> None:
    with terminal(place, COLORTERM="truecolor") as screen:
        await asyncio.to_thread(_wait_raw, screen, b"\x1b]11;?")
        screen.send(b"early\x1b]11;rgb:ffff/ffff/ffff\x1b\\\x1b[?62c")
        await screen.shows("› early")
        assert {cell.bg for cell in screen.screen.buffer[8].values()} == {"fbfaf7"}


def _wait_raw(screen: Terminal, wanted: bytes) -> None:
    end_s = time.monotonic() + 10
    while wanted not in screen.raw and time.monotonic() < end_s:
        screen.read(0.1)
    assert wanted in screen.raw


async def test_three_hundred_changes_of_size_down_to_one_cell_leave_it_alive(place: Any) -> None:
    with terminal(place) as screen:
        await screen.shows("live")
        for number in range(300):
            width, height = 1 + (number * 37) % 140, 1 + (number * 23) % 50
            screen.resize(width, height)
            os.kill(screen.pid, signal.SIGWINCH)
            if number % 10 == 0:
                await asyncio.to_thread(screen.read, 0.02)
        screen.resize(1, 1)
        await asyncio.to_thread(screen.read, 0.3)
        screen.resize(80, 24)
        screen.screen.reset()
        screen.send(b"alive")
        await screen.shows("alive")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_a_signal_ends_it_and_the_terminal_is_given_back(place: Any, number: int) -> None:
    with terminal(place) as screen:
        await screen.shows("live")
        os.kill(screen.pid, number)
        assert await screen.ends() == 128 + number
        screen.assert_given_back()


async def test_quitting_gives_the_terminal_back(place: Any) -> None:
    with terminal(place) as screen:
        await screen.shows("live")
        screen.send(b"\x04")
        assert await screen.ends() == 0
        screen.assert_given_back()
        assert b"\x1b[23;0t" in screen.raw


async def test_a_crash_says_one_sentence_and_its_log_holds_no_values(place: Any) -> None:
    code = (
        "import sys\nfrom tui_agent.ui.screens.chat import ChatScreen\n"
        "def page(self, direction):\n    secret = 'sk-ant-secret'\n    raise RuntimeError(secret)\n"
        "ChatScreen.page = page\n" + CODE
    )
    with terminal(place, code=code) as screen:
        await screen.shows("live")
        screen.send(b"\x1b[5~")
        assert await screen.ends() == 1
        screen.assert_given_back()
        assert b"Something went wrong inside tui-agent" in screen.raw
        assert b"sk-ant-secret" not in screen.raw
    log = (place[0] / "tui-agent" / "client-crash.log").read_text()
    assert "RuntimeError" in log
    assert "in page" in log
    assert "sk-ant-secret'" not in log.replace("secret = 'sk-ant-secret'", "")


async def test_ctrl_z_suspends_and_coming_back_draws_everything_again(place: Any) -> None:
    with terminal(place) as screen:
        await screen.shows("live")
        screen.send(b"kept\x1a")
        end_s = time.monotonic() + 10
        while (pid := os.waitpid(screen.pid, os.WNOHANG | os.WUNTRACED)) == (0, 0) and time.monotonic() < end_s:
            await asyncio.to_thread(screen.read, 0.05)
        assert os.WIFSTOPPED(pid[1])
        while screen.read(0.1):
            pass
        screen.assert_given_back()
        os.kill(screen.pid, signal.SIGCONT)
        await screen.shows("› kept")
        screen.send(b" and on")
        await screen.shows("kept and on")


async def test_a_terminal_that_does_not_drain_holds_nothing_up_and_is_whole_afterwards(place: Any) -> None:
    with terminal(place) as screen:
        await screen.shows("live")
        await screen.types("go")
        run = await place[1].wait_run()
        for number in range(400):  # nobody reads the terminal meanwhile
            run.say(f"line {number} " + "x" * 60 + "\n\n")
            if number % 20 == 0:
                await asyncio.sleep(0.05)
        run.say("the end of it")
        await asyncio.sleep(1.5)
        screen.send(b"\x1b")  # heard although nothing could be drawn
        async with asyncio.timeout(10):
            await run.cancelled.wait()
        await screen.shows("interrupted by ada")


@pytest.mark.parametrize(
    "env",
    [{"NO_COLOR": "1"}, {"TERM": "xterm-16color"}, {"TERM": "linux"}, {"LANG": "C", "LC_ALL": "POSIX"}],
    ids=["no colour", "16 colours", "linux console", "POSIX locale"],
)
async def test_it_runs_in_plain_surroundings(place: Any, env: dict[str, str]) -> None:
    with terminal(place, **env) as screen:
        await screen.shows("live")
        if "NO_COLOR" in env:
            colours = re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", screen.raw)
            assert all(len(set(colour)) == 1 for colour in colours), "only greys"
        if env.get("TERM") == "linux":
            assert "◆" not in screen.text
            assert b"\x1b]" not in screen.raw
        screen.send(b"\x04")
        assert await screen.ends() == 0


async def test_without_a_terminal_it_says_so_in_one_line(home: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", CODE, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    out, err = await process.communicate()
    assert (process.returncode, out, err.count(b"\n")) == (2, b"", 1)
    assert b"\x1b" not in err


async def test_when_the_terminal_goes_away_the_program_ends(place: Any) -> None:
    with terminal(place) as screen:
        await screen.shows("live")
        spare = os.dup(screen.fd)
        os.close(screen.fd)
        os.close(spare)
        screen.fd = os.open(os.devnull, os.O_RDWR)
        end_s = time.monotonic() + 15
        while (status := os.waitpid(screen.pid, os.WNOHANG)) == (0, 0) and time.monotonic() < end_s:
            await asyncio.sleep(0.05)
        assert status[0] == screen.pid
