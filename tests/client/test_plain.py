"""`tui-agent --plain` as a process: in a pipe, and at a terminal of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path

import pytest

from server import protocol as wire
from tests.client.conftest import Command, close_stdout
from tests.fakes.agents import InstantAgent
from tests.fakes.served import served
from tests.fakes.terminal import Terminal, terminal
from tests.fakes.wire_server import TIME, WireServer, free_port
from tui_agent.plain.entering import CtrlC


def at_terminal(command: Command, *arguments: str, term: str) -> contextlib.AbstractAsyncContextManager[Terminal]:
    argv = [sys.executable, "-P", "-m", "tui_agent.cli", "--plain", *arguments]
    return terminal(argv, env=command.environ | {"TERM": term}, cwd=command.folder)


# ---- in a pipe ---------------------------------------------------------------------------------------------


async def test_piped_lines_are_answered_one_after_the_other(command: Command, server: WireServer, url: str) -> None:
    status, out, err = await command.run("--plain", "--server", url, piped=b"three\nfour\\\nand five\n")
    assert out == "ada: three\nfake: One two and three.\nada: four\nand five\nfake: One two and four\nand five.\n"
    assert status == 0
    assert err.startswith("You are in #main as ada.")


async def test_the_same_commands_work_from_a_pipe(command: Command, server: WireServer, url: str) -> None:
    piped = b"hello\n/export json room.json\n/exprt\n//slash\n/rooms\n/voice\n/who\n/room Ops!\n/quit\nnever\n"
    status, out, err = await command.run("--plain", "--server", url, piped=piped)
    assert status == 1, "some failed"
    assert "ada: /slash\n" in out
    assert "never" not in out + err
    assert "Did you mean /export?" in err
    assert "/voice" in err
    assert "A room's name is made of" in err
    assert [event["type"] for event in json.loads((command.folder / "room.json").read_text())["events"]] == [
        "user_message", "done",
    ]  # fmt: skip


async def test_rooms_clear_and_switching_on_a_real_server(command: Command, tmp_path: Path) -> None:
    async with served(tmp_path, InstantAgent("Yes."), tcp=False) as real:
        piped = b"one\n/room ops\ntwo\n/clear\n/rooms\n/export md ops.md\n"
        status, out, err = await command.run("--plain", "--server", f"unix:{real.address}", piped=piped)
    assert (status, out) == (0, "ada: one\ninstant: Yes.\nada: two\ninstant: Yes.\n")
    assert "You are in #ops as ada." in err
    assert "ada cleared the conversation" in err
    assert "#main, " in err
    text = (command.folder / "ops.md").read_text()
    assert "> two" in text
    assert "> one" not in text


async def test_a_failed_answer_is_1_and_no_server_is_3(command: Command, server: WireServer, url: str) -> None:
    server.refusals = [wire.Error("busy", "Eight messages wait already.", retryable=True)]
    status, _, err = await command.run("--plain", "--server", url, piped=b"x\n")
    assert status == 1
    assert "Not sent: Eight messages wait already." in err
    server.refuse = lambda request: (401, {})
    status, _, err = await command.run("--plain", "--server", url, piped=b"x\n")
    assert status == 3
    assert "--token-file" in err


async def test_ctrl_c_on_a_piped_one_interrupts_and_ends(command: Command, server: WireServer, url: str) -> None:
    server.answer = None
    process = await command.start("--plain", "--server", url, stdin=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"x\n")
    await server.wait(lambda: bool(server.acks), 20)
    await server.begin("r1")
    await server.token("Part of a line\nand")
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ada: x\n"
    assert await process.stdout.readline() == b"fake: Part of a line\n"
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(10):
        await process.wait()
    assert process.returncode == 130
    assert any(isinstance(event, wire.Interrupted) for event in server.events)


async def test_a_reader_that_leaves_is_quiet(command: Command, server: WireServer, url: str) -> None:
    process = await command.start("--plain", "--server", url, stdin=asyncio.subprocess.PIPE)
    close_stdout(process)
    out, err = await process.communicate(b"x\ny\n")
    assert b"Traceback" not in err
    assert b"BrokenPipe" not in err
    assert process.returncode is not None


async def test_the_line_mode_imports_neither_screen_nor_voice_nor_model(command: Command) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c",
        "import sys, tui_agent.plain.entering\n"
        "print(sorted({'textual', 'rich', 'anthropic', 'sounddevice', 'numpy', 'sqlite3'} & set(sys.modules)))",
        stdout=asyncio.subprocess.PIPE, cwd=command.folder, env=command.environ,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert out == b"[]\n"


# ---- at a terminal -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("term", ["dumb", "xterm-256color"])
async def test_a_terminal_gets_lines_and_no_escape_of_ours(
    command: Command, server: WireServer, url: str, term: str
) -> None:
    server.events = [wire.UserMessage(1, TIME, "ben", "c0", "what \x1b]52;c;x\x07 was said", "r0")]
    async with at_terminal(command, "--server", url, term=term) as shown:
        await shown.wait_written("ben: what ␛]52;c;x␇ was said")
        shown.type("hello\n")
        await shown.wait_written("fake: One two and hello.")
        await server.say("a word between")
        await shown.wait_written("ben: a word between")
        await server.show(wire.UserJoined(["chen"], 2))
        await shown.wait_written("chen joined.")
        shown.type("/quit\n")
        await asyncio.wait_for(shown.process.wait(), 10)
    assert shown.process.returncode == 0
    own = shown.text.replace("\x1b[?2004h", "").replace("\x1b[?2004l", "")  # readline's bracketed paste
    assert "\x1b" not in own
    assert term != "dumb" or "\x1b" not in shown.text


async def test_a_dumb_terminal_gets_lines_unasked_and_is_told_why(
    command: Command, server: WireServer, url: str
) -> None:
    argv = [sys.executable, "-P", "-m", "tui_agent.cli", "--server", url]
    async with terminal(argv, env=command.environ | {"TERM": "dumb"}, cwd=command.folder) as shown:
        await shown.wait_written("(TERM=dumb) can show no screen")
        await shown.wait_written("You are in #main")
        shown.type("hello\n")
        await shown.wait_written("fake: One two and hello.")
        shown.type("/quit\n")
        await asyncio.wait_for(shown.process.wait(), 10)
    assert shown.process.returncode == 0
    assert "\x1b" not in shown.text


def test_ctrl_c_while_the_last_one_is_obeyed_is_raised_after_it() -> None:
    ctrl_c = CtrlC()
    with pytest.raises(KeyboardInterrupt):
        ctrl_c.pressed(signal.SIGINT, None)
    ctrl_c.pressed(signal.SIGINT, None)  # the first is being obeyed
    with pytest.raises(KeyboardInterrupt):
        ctrl_c.taken()
    ctrl_c.taken()
    with pytest.raises(KeyboardInterrupt):
        ctrl_c.pressed(signal.SIGINT, None)


async def test_ctrl_c_stops_the_answer_and_twice_quits(command: Command, server: WireServer, url: str) -> None:
    server.answer = None
    async with at_terminal(command, "--server", url, term="dumb") as shown:
        await shown.wait_written("You are in #main")
        shown.type("hello\n")
        await server.wait(lambda: bool(server.acks), 20)
        await server.begin("r1")
        await server.token("Half of it\n")
        await shown.wait_written("fake: Half of it")
        shown.type("\x03")
        await shown.wait_written("The answer was interrupted by ada.")
        shown.type("\x03")
        await shown.wait_written("Ctrl+C again quits.")
        shown.type("\x03")
        await asyncio.wait_for(shown.process.wait(), 10)
    assert shown.process.returncode == 130
    assert "Traceback" not in shown.text


async def test_a_lost_connection_and_its_return_are_said_and_what_is_typed_meanwhile_goes_out_once(
    command: Command, server: WireServer
) -> None:
    port = free_port()
    async with contextlib.AsyncExitStack() as first:
        url = await first.enter_async_context(server.listen(port=port))
        async with at_terminal(command, "--server", url, term="dumb") as shown:
            await shown.wait_written("You are in #main")
            await first.aclose()
            await shown.wait_written("Connection lost; trying again…")
            shown.type("typed meanwhile\n")
            await shown.wait_written("Kept; it is sent when the connection is back.")
            async with server.listen(port=port):
                shown.type("/reconnect\n")
                await shown.wait_written("Connected again.")
                await shown.wait_written("fake: One two and typed meanwhile.")
                shown.type("\x04")
                await asyncio.wait_for(shown.process.wait(), 10)
    assert [event.content for event in server.events if isinstance(event, wire.UserMessage)] == ["typed meanwhile"]


async def test_sigterm_leaves_with_143_and_the_earlier_inputs_come_back(
    command: Command, server: WireServer, url: str
) -> None:
    async with at_terminal(command, "--server", url, term="xterm-256color") as shown:
        await shown.wait_written("You are in #main")
        shown.type("an earlier input\n")
        await shown.wait_written("fake: One two and an earlier input.")
        shown.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(shown.process.wait(), 10)
    assert shown.process.returncode == 143
    async with at_terminal(command, "--server", url, term="xterm-256color") as shown:
        await shown.wait_written("Now:")
        await shown.wait(lambda: shown.text.endswith("> "))
        shown.type("\x1b[A")
        await shown.wait_written("> an earlier input")
        shown.type("\n")
        await server.wait(lambda: len([e for e in server.events if isinstance(e, wire.UserMessage)]) == 2, 10)
