"""`tui-agent ask` as a process: what is on stdout, what on stderr, and the exit status."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import sys
import time
from pathlib import Path

import pytest

from server import protocol as wire
from server.auth import Tokens
from tests.client.conftest import Command, close_stdout
from tests.fakes.agents import InstantAgent
from tests.fakes.served import served
from tests.fakes.wire_server import TIME, WireServer, free_port


async def test_the_answer_goes_to_stdout_and_nothing_else(command: Command, server: WireServer, url: str) -> None:
    await server.say("somebody else's words")
    assert await command.run("ask", "three", "--server", url) == (0, "One two and three.\n", "")


async def test_piped_text_is_added_to_the_question(command: Command, server: WireServer, url: str) -> None:
    await command.run("ask", "--server", url, "what", "is this?", piped=b"a file\n")
    assert [m.content for m in server.commands if isinstance(m, wire.Message)] == ["what is this?\n\na file"]


async def test_a_question_may_be_piped_alone(command: Command, server: WireServer, url: str) -> None:
    assert await command.run("ask", "--server", url, piped=b"four") == (0, "One two and four.\n", "")


async def test_no_question_is_a_usage_error(command: Command) -> None:
    status, out, err = await command.run("ask")
    assert (status, out) == (2, "")
    assert "no question" in err


async def test_too_long_a_question_is_said_before_sending(command: Command, server: WireServer, url: str) -> None:
    status, _, err = await command.run("ask", "--server", url, piped=b"x" * 70_000)
    assert status == 2
    assert "60,000" in err
    assert not server.commands


async def test_json_prints_the_events_one_a_line(command: Command, server: WireServer, url: str) -> None:
    status, out, _ = await command.run("ask", "x", "--json", "--server", url)
    events = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [event["type"] for event in events if event["type"] != "status"] == [
        "user_message", "ack", "token", "token", "token", "done",
    ]  # fmt: skip


async def test_no_server_is_3(command: Command) -> None:
    status, out, err = await command.run("ask", "x", "--server", f"ws://127.0.0.1:{free_port()}")
    assert (status, out) == (3, "")
    assert "tui-agent-server" in err
    assert not list((command.home / ".local/state/tui-agent").rglob("*.jsonl"))


async def test_a_wrong_token_is_3_and_a_sentence(command: Command, server: WireServer, url: str) -> None:
    server.refuse = lambda request: (401, {})
    status, _, err = await command.run("ask", "x", "--server", url)
    assert status == 3
    assert "--token-file" in err
    assert "evil" not in err


async def test_a_failed_answer_is_1_with_what_came_before(command: Command, server: WireServer, url: str) -> None:
    server.answer = None
    asking = asyncio.create_task(command.run("ask", "x", "--server", url))
    await server.wait(lambda: bool(server.acks), 20)
    await server.begin("r1")
    await server.token("Half an ans")
    await server.end(
        wire.Error(
            "model_error", "The model \x1b[31mfailed.", id=2, time=TIME, run="r1", asked=[1], users=["ada"],
            content="Half an ans",
        )
    )  # fmt: skip
    status, out, err = await asking
    assert (status, out) == (1, "Half an ans\n")
    assert "failed" in err
    assert "\x1b" not in err


async def test_a_refused_question_is_1(command: Command, server: WireServer, url: str) -> None:
    server.refusals = [wire.Error("busy", "Eight messages wait already.", retryable=True)]
    assert await command.run("ask", "x", "--server", url) == (1, "", "Eight messages wait already.\n")


async def test_a_cut_in_mid_answer_loses_and_doubles_nothing(command: Command, server: WireServer, url: str) -> None:
    server.answer = None
    asking = asyncio.create_task(command.run("ask", "x", "--server", url))
    await server.wait(lambda: bool(server.acks), 20)
    await server.begin("r1")
    await server.token("before, ")
    await asyncio.sleep(0.2)
    server.cut()
    server.text += "while away, "
    await server.wait(lambda: len(server.hellos) == 2, 20)
    await server.token("after")
    await server.end(server.done("r1", "before, while away, after"))
    status, out, err = await asking
    assert (status, out) == (0, "before, while away, after\n")
    assert "nothing is lost" in err


async def test_a_swallowed_ack_asks_once(command: Command, server: WireServer, url: str) -> None:
    server.swallow_acks = 1
    status, out, _ = await command.run("ask", "x", "--server", url)
    assert (status, out) == (0, "One two and x.\n")
    assert len([event for event in server.events if isinstance(event, wire.UserMessage)]) == 1


async def test_lost_history_in_mid_answer_still_ends(command: Command, server: WireServer, url: str) -> None:
    server.answer = None
    asking = asyncio.create_task(command.run("ask", "x", "--server", url))
    await server.wait(lambda: bool(server.acks), 20)
    await server.begin("r1")
    await server.token("before, ")
    await asyncio.sleep(0.2)
    server.lose_log = True
    server.cut()
    await server.end(server.done("r1", "before, after"))
    assert (await asking)[:2] == (0, "before, after\n")


async def test_ctrl_c_interrupts_and_is_130(command: Command, server: WireServer, url: str) -> None:
    server.answer = None
    process = await command.start("ask", "x", "--server", url)
    await server.wait(lambda: bool(server.acks), 20)
    await server.begin("r1")
    await server.token("Part")
    assert process.stdout is not None
    assert await process.stdout.readexactly(4) == b"Part"
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert (process.returncode, out) == (130, b"\n")
    assert b"Interrupted by ada" in err
    assert any(isinstance(event, wire.Interrupted) for event in server.events)


async def test_ctrl_c_ends_also_when_the_server_is_stuck(command: Command, server: WireServer, url: str) -> None:
    server.answer = None
    process = await command.start("ask", "x", "--server", url)
    await server.wait(lambda: bool(server.acks), 20)
    server.freeze()
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(20):
        await process.communicate()
    assert process.returncode == 130


async def test_a_reader_that_leaves_is_quiet_and_stops_the_answer(
    command: Command, server: WireServer, url: str
) -> None:
    server.answer, server.piece_wait_s = (lambda _: ["line\n"] * 200), 0.02
    process = await command.start("ask", "x", "--server", url)
    assert process.stdout is not None
    await process.stdout.readexactly(5)
    close_stdout(process)
    assert process.stderr is not None
    err = await process.stderr.read()
    await process.wait()
    assert err == b""
    assert len(server.text) < 1000
    await server.wait(lambda: any(isinstance(event, wire.Interrupted) for event in server.events))


async def test_a_terminal_gets_no_control_characters(command: Command, server: WireServer, url: str) -> None:
    server.answer = lambda _: ["a\x1b]52;c;", "ZXZpbA==\x07b\n"]
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-P", "-m", "tui_agent.cli"],
        *["ask", "x", "--server", url],
        stdin=asyncio.subprocess.DEVNULL, stdout=theirs, stderr=asyncio.subprocess.PIPE,
        cwd=command.folder, env=command.environ,
    )  # fmt: skip
    os.close(theirs)
    _, err = await process.communicate()
    shown = os.read(ours, 4096)
    os.close(ours)
    assert (process.returncode, err) == (0, b"")
    assert b"\x1b" not in shown
    assert b"\x07" not in shown
    assert b"ZXZpbA==" in shown


async def test_what_a_killed_ask_left_is_sent_once_by_the_next(command: Command, server: WireServer) -> None:
    port = free_port()
    server.stay_silent = True
    async with server.listen(port=port) as url:
        process = await command.start("ask", "first", "--server", url)
        await server.wait(lambda: bool(server.hellos), 20)
        process.send_signal(signal.SIGKILL)
        await process.communicate()
    server.stay_silent = False
    async with server.listen(port=port) as url:
        assert (await command.run("ask", "second", "--server", url))[:2] == (0, "One two and second.\n")
        assert (await command.run("ask", "third", "--server", url))[:2] == (0, "One two and third.\n")
    asked = [event.content for event in server.events if isinstance(event, wire.UserMessage)]
    assert asked == ["first", "second", "third"]


async def test_a_token_lets_one_into_a_real_server_and_fixes_the_name(command: Command, tmp_path: Path) -> None:
    async with served(tmp_path, InstantAgent("Yes."), tcp=True) as real:
        token = Tokens(real.data_dir).issue("grace", now_s=time.time())
        (command.folder / "token").write_text(token + "\n")
        to = ["--server", real.address]
        assert (await command.run("ask", "x", *to))[0] == 3
        assert await command.run("ask", "x", *to, "--token-file", "token", "--user", "ada") == (0, "Yes.\n", "")
        _, out, err = await command.run("ask", "x", *to, "--token-file", "token", "--json")
        (asked,) = [event for event in map(json.loads, out.splitlines()) if event["type"] == "user_message"]
        assert asked["user"] == "grace"
        assert token not in out + err


@pytest.mark.parametrize("variable", ["http_proxy", "ALL_PROXY"])
async def test_a_proxy_in_the_environment_does_not_matter(
    command: Command, server: WireServer, url: str, variable: str
) -> None:
    command.environ[variable] = f"http://127.0.0.1:{free_port()}"
    assert (await command.run("ask", "x", "--server", url))[0] == 0
