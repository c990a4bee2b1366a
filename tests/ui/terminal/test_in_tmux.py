"""The whole program in a real tmux, started from a shell there: keys, copy, pastes, sizes, suspending, kills."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server.protocol import default_socket_path
from tests.fakes.agents import ScriptedAgent
from tests.fakes.served import served
from tests.fakes.tmux import Tmux, tmux
from tests.ui.conftest import until

ANSWER = 'Take **this** one:\n\n```python\nif x:\n    print("two  spaces")\n```\n\nand `that` one.'
CODE = 'if x:\n    print("two  spaces")'


@pytest.fixture
async def place(home: Path) -> AsyncIterator[tuple[Path, ScriptedAgent, tuple[str, ...]]]:
    agent = ScriptedAgent()
    async with served(home, agent) as server:
        yield home, agent, ("--server", f"unix:{server.address}")


async def answered(pane: Tmux, agent: ScriptedAgent, answer: str, seen: str) -> None:
    await pane.types("go")
    run = await agent.wait_run()
    run.say(answer)
    run.finish()
    await pane.shows(seen)
    await run.ended.wait()


def body(screen: str) -> list[str]:
    """Without the status line, whose latency changes."""
    return [line.rstrip() for line in screen.rstrip().split("\n")][:-1]


async def test_escape_in_mid_stream_with_text_right_after_it_stops_and_keeps_the_text(place: Any) -> None:
    home, agent, server = place
    async with tmux(home) as pane:
        await pane.start(*server)
        await pane.types("go on")
        run = await agent.wait_run()
        run.say("One two three")
        await pane.shows("One two three")
        await pane.bytes(b"\x1bbut why")
        screen = await pane.shows("interrupted by ada", "› but why")
        assert "One two three" in screen
        assert run.cancelled.is_set()
        await pane.keys("Enter")
        assert [said.content for said in (await agent.wait_run()).question.asked] == ["but why"]


@pytest.mark.parametrize("clipboard", ["on", "external"])
async def test_what_is_copied_lands_in_the_paste_buffer_as_it_was_written(place: Any, clipboard: str) -> None:
    """`external` is tmux's own default: it takes nothing from programs, so they must ask tmux itself."""
    home, agent, server = place
    async with tmux(home, set_clipboard=clipboard, allow_passthrough="on") as pane:
        await pane.start(*server)
        await answered(pane, agent, ANSWER, "and that one.")

        async def lands(text: str) -> None:
            async with asyncio.timeout(20):
                while await pane.copied() != text:
                    await asyncio.sleep(0.05)

        await pane.keys("F7")
        await lands(ANSWER)
        await pane.keys("F8")
        await lands(CODE)
        rows = (await pane.screen()).split("\n")
        row = next(number for number, line in enumerate(rows, 1) if "Take this one:" in line)
        last = next(number for number, line in enumerate(rows, 1) if "and that one." in line)
        left = rows[row - 1].index("this") + 1
        right = rows[last - 1].index("that") + len("that")
        await pane.bytes(b"\x1b[<0;%d;%dM" % (left, row))
        await pane.bytes(b"\x1b[<32;%d;%dM\x1b[<32;%d;%dM" % (left, last, right, last))
        await pane.bytes(b"\x1b[<0;%d;%dm" % (right, last))
        await pane.keys("C-c")
        await lands(ANSWER[len("Take ") : -len(" one.")])
        await pane.command("delete-buffer")
        await pane.shows("selection copied, 8 lines")


async def test_a_paste_with_newlines_and_an_escape_is_text_and_sends_nothing(place: Any) -> None:
    home, agent, server = place
    async with tmux(home, set_clipboard="on", allow_passthrough="on") as pane:
        await pane.command("set-buffer", "mine")
        await pane.start(*server)
        title = await pane.tells("#{pane_title}")
        await pane.paste(b"one\ntwo \x1b[31mred\x1b]0;evil\x07\x1b]52;c;ZXZpbA==\x07\nthree")
        screen = await pane.shows("three")
        assert all(words in screen for words in ("› one", "two ", "[31mred", "]0;evil"))
        await pane.keys("Escape")  # not one of the paste's: nothing runs and nothing is lost
        await pane.paste(b"four\x1b[201~\rfive\r")  # what a hostile page would do to break out
        await pane.shows("five")
        assert not agent.runs
        assert (await pane.tells("#{pane_title}"), await pane.copied()) == (title, "mine")
        await asyncio.sleep(0.1)
        await pane.keys("Enter")
        [said] = (await agent.wait_run()).question.asked
        assert said.content.split("\n")[0] == "one"
        assert said.content.split("\n")[2].startswith("three")
        assert "five" in said.content


async def test_after_many_changes_of_size_the_screen_is_as_before(place: Any) -> None:
    home, agent, server = place
    async with tmux(home, width=100, height=30) as pane:
        await pane.start(*server)
        await answered(pane, agent, ANSWER, "and that one.")
        await pane.command("send-keys", "-l", "a draft")
        before = body(await pane.shows("› a draft"))
        for number in range(60):
            await pane.resize(1 + (number * 37) % 140, 1 + (number * 23) % 50)
        for size in ((1, 1), (2, 2), (20, 5), (1, 1)):
            await pane.resize(*size)
        await pane.resize(50, 20)
        await pane.shows("› a draft", "and that one.")
        await pane.resize(100, 30)
        await pane.until(lambda screen: body(screen) == before, "the same screen")
        await pane.keys("C-c")
        await pane.shows("› Ask")
        await pane.keys("C-d")
        await pane.assert_given_back()


async def test_suspended_while_an_answer_streams_it_comes_back_whole(place: Any) -> None:
    home, agent, server = place
    async with tmux(home) as pane:
        await pane.runs("true")
        await pane.start(*server)
        await pane.types("go on")
        run = await agent.wait_run()
        run.say("One two ")
        await pane.shows("One two")
        await pane.command("send-keys", "-l", "kept")
        await pane.shows("› kept")
        await pane.keys("C-z")
        screen = await pane.shell()
        assert "Stopped" in screen
        assert "◆" not in screen
        await pane.assert_given_back()
        run.say("three ")
        run.say("four.")
        run.finish()
        await pane.types("fg")
        await pane.shows("One two three four.", "› kept", "◆ tui-agent", "● live")
        assert await pane.tells("#{alternate_on}") == "1"
        await pane.keys("C-z")
        await pane.shell()
        await pane.resize(90, 26)
        await pane.types("fg")
        await pane.shows("One two three four.", "› kept", "◆ tui-agent", "● live")
        await pane.command("send-keys", "-l", " and on")
        await pane.shows("› kept and on")
        assert b"Traceback" not in pane.raw()


async def test_put_in_the_background_it_waits_there_and_comes_back_whole(place: Any) -> None:
    """A shell's `bg` wakes it without the terminal: it may not draw over the shell, nor spin."""
    home, agent, server = place
    async with tmux(home) as pane:
        await pane.start(*server)
        await pane.types("go on")
        run = await agent.wait_run()
        run.say("One two ")
        await pane.shows("One two")
        app = await pane.app_pid()
        files = open_files(app)
        for _ in range(3):
            await pane.keys("C-z")
            await pane.shell()
            for _ in range(2):
                written = pane.raw().count(b"\x1b[?1049h")
                assert "tui" in await pane.runs("{ bg; sleep 0.3; }")
                before_s = cpu_s(app)
                assert await pane.runs("sleep 0.5; echo still here") == "still here\n"
                assert state(app) == "T"
                assert cpu_s(app) - before_s <= 0.02
                assert pane.raw().count(b"\x1b[?1049h") == written
            await pane.assert_given_back()
            await pane.types("fg")
            await pane.shows("One two", "◆ tui-agent", "● live")
            await pane.command("send-keys", "-l", "+")
            await pane.until(lambda screen: "› +" in screen, "what was typed")
        assert open_files(app) == files
        await pane.shows("› +++")
        run.say("three.")
        run.finish()
        await pane.shows("One two three.", "› +++")
        await pane.keys("C-c")
        await pane.shows("› Ask")
        await pane.keys("C-d")
        await pane.assert_given_back()


async def test_stopped_from_without_and_woken_it_takes_the_terminal_as_one_program(place: Any) -> None:
    """SIGSTOP gives it no chance to give the terminal back, and SIGCONT may come to one that was not stopped."""
    home, _, server = place
    async with tmux(home) as pane:
        await pane.start(*server)
        app = await pane.app_pid()
        threads, files = len(os.listdir(f"/proc/{app}/task")), open_files(app)
        os.kill(app, signal.SIGSTOP)
        await pane.until(lambda _: b"Stopped" in pane.raw(), "the shell's word")
        await pane.types("clear")
        await pane.shell()
        await pane.types("fg")
        await pane.shows("◆ tui-agent", "● live")
        os.kill(app, signal.SIGCONT)
        await pane.command("send-keys", "-l", "typed")
        await pane.shows("› typed", "◆ tui-agent", "● live")
        assert (len(os.listdir(f"/proc/{app}/task")), open_files(app)) == (threads, files)
        await pane.keys("C-c")
        await pane.shows("› Ask")
        await pane.keys("C-d")
        await pane.assert_given_back()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_killed_while_an_answer_streams_it_gives_the_terminal_back(place: Any, number: int) -> None:
    home, agent, server = place
    async with tmux(home) as pane:
        await pane.start(*server)
        await pane.types("go on")
        run = await agent.wait_run()
        run.say("One two ")
        await pane.shows("One two")
        os.kill(await pane.app_pid(), number)
        await pane.shell()
        await pane.assert_given_back()
        assert (await pane.runs("echo x")).strip() == "x"
        assert not run.cancelled.is_set()
        run.say("three.")
        run.finish()
        await pane.start(*server)
        await pane.shows("One two three.")


@pytest.mark.parametrize("is_suspended", [False, True])
async def test_its_pane_killed_while_an_answer_streams_it_ends_and_the_answer_goes_on(
    place: Any, is_suspended: bool
) -> None:
    home, agent, server = place
    async with tmux(home) as pane:
        await pane.start(*server)
        await pane.types("go on")
        run = await agent.wait_run()
        run.say("One two ")
        await pane.shows("One two")
        app = await pane.app_pid()
        if is_suspended:
            await pane.keys("C-z")
            await pane.shell()
        await pane.command("kill-pane")
        await until(lambda: not Path(f"/proc/{app}").exists(), 10)
    assert not run.cancelled.is_set()
    run.say("three.")
    run.finish()
    await run.ended.wait()
    async with tmux(home) as pane:
        await pane.start(*server)
        await pane.shows("go on", "One two three.")
        assert not list(home.rglob("client-crash.log"))


async def test_killed_by_9_or_with_its_session_the_server_lives_and_the_next_client_goes_on(home: Path) -> None:
    """With the server that the chat starts by itself, which must not die with the terminal that it was started in."""
    path = default_socket_path({"XDG_RUNTIME_DIR": str(home)})
    async with tmux(home, width=100, height=30) as pane:
        await pane.start()
        await pane.types("hello there")
        await pane.shows("demo agent")
        pid = server_pid(home)
        os.kill(await pane.app_pid(), signal.SIGKILL)
        await pane.until(lambda _: b"Killed" in pane.raw(), "the shell's word")
        await pane.types("clear")  # the dead one's screen is still there
        await pane.shell()
        await pane.start()
        await pane.shows("hello there")
        await pane.keys("C-d")
        await pane.assert_given_back()
        await pane.start()
        app = await pane.app_pid()
        await pane.command("kill-session")
        await until(lambda: not Path(f"/proc/{app}").exists(), 20)
        assert path.exists()
        assert not list(home.rglob("client-crash.log"))
    async with tmux(home, width=100, height=30) as pane:
        try:
            await pane.start()
            await pane.shows("hello there")
            assert server_pid(home) == pid
        finally:
            os.kill(pid, signal.SIGTERM)
            await until(lambda: not path.exists(), 20)


def server_pid(home: Path) -> int:
    import json

    return int(json.loads(next(home.rglob("server.json")).read_bytes())["pid"])


def state(pid: int) -> str:
    """As /proc has it: T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def cpu_s(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
