"""From a member's frame through the server and the real SDK to a Messages API, and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.agents.claude import ClaudeAgent, ClaudeConfig
from tests.fakes.messages_api import FakeMessagesAPI
from tests.fakes.messages_replies import Endless, opened, status, stream, text
from tests.fakes.process import ServerProcess
from tests.fakes.served import served
from tests.fakes.wire_client import WireClient

KEY = "sk-ant-very-secret"
ENDLESS = stream(opened("Well, "), Endless("and so on ", 0.01))


def agent_on(api: FakeMessagesAPI, **changes: Any) -> ClaudeAgent:
    settings: dict[str, Any] = {"base_url": api.url, "api_key": KEY, "first_pause_s": 0.05, "max_tokens": 1000}
    return ClaudeAgent(ClaudeConfig(**(settings | changes)))


async def test_an_interrupt_in_mid_stream_closes_the_request_and_no_token_follows(tmp_path: Path) -> None:
    async with FakeMessagesAPI(ENDLESS) as api, served(tmp_path, agent_on(api)) as server:
        async with WireClient(server.address, user="ada") as ada, WireClient(server.address, user="ben") as ben:
            run = (await ada.say("tell me everything"))["run"]
            while len(ben.of("token")) < 3:
                await ben.wait("token", 20)
            cid = await ben.command("interrupt", run=run)
            async with asyncio.timeout(20):
                await api.requests[0].closed.wait()
            for client in (ada, ben):
                end = await client.wait("interrupted")
                assert (end["by"], end["reason"]) == ("ben", "user")
                assert end["content"].startswith(client.text_of(run))
            assert (await ben.answer_to(cid))["type"] == "ack"
            api.will(text("Of course."))
            await ada.say("and now shortly")
            await ada.wait("done")
            after = ada.frames[ada.frames.index(ada.of("interrupted")[0]) + 1 :]
            assert not [frame for frame in after if frame.get("run") == run], "nothing of an ended run follows"
            assert "interrupted" in str(api.requests[1].body["messages"]), "the model knows that it was stopped"
    assert len(api.requests) == 2


Reply = Callable[[], Any]


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (lambda: status(401, "authentication_error"), "model_auth", "ANTHROPIC_API_KEY"),
        (lambda: status(404, "not_found_error"), "model_error", "--model"),
        (lambda: stream(opened("Half an "), []), "model_error", "send your message again"),
    ],
)
async def test_a_failed_answer_is_one_plain_sentence_with_the_next_step(
    tmp_path: Path, reply: Reply, code: str, words: str
) -> None:
    async with FakeMessagesAPI(reply()) as api, served(tmp_path, agent_on(api)) as server:
        async with WireClient(server.address) as ada:
            await ada.say("hello")
            error = await ada.wait(lambda frame: frame["type"] == "error" and "run" in frame, 20)
            assert error["code"] == code
            assert words.lower() in error["message"].lower()
            assert KEY not in str(ada.frames)
            assert "SECRET" not in str(ada.frames)
            api.will(text("Now it works."))
            await ada.say("again")
            assert (await ada.wait("done"))["content"] == "Now it works."


async def test_new_tries_are_seen_by_the_room_and_usage_comes_with_the_end(tmp_path: Path) -> None:
    async with FakeMessagesAPI() as api, served(tmp_path, agent_on(api)) as server, WireClient(server.address) as ada:
        api.will(status(529, "overloaded_error"), text("Here I am.", input_tokens=120, output_tokens=30))
        await ada.say("hello")
        noted = await ada.wait(lambda frame: frame["type"] == "status" and "note" in frame, 20)
        assert "overloaded" in noted["note"]
        done = await ada.wait("done")
        assert (done["content"], done["stop_reason"]) == ("Here I am.", "end_turn")
        usage = done["usage"]
        assert (usage["input_tokens"], usage["output_tokens"]) == (120, 30)
        assert 0 < usage["context_tokens"] < usage["context_window"]


async def test_a_run_that_the_budget_does_not_hold_is_never_asked_upstream(tmp_path: Path) -> None:
    async with FakeMessagesAPI(text("Yes.", input_tokens=900, output_tokens=900)) as api:
        limits = {"budget_tokens_per_day": 4000}
        async with served(tmp_path, agent_on(api), **limits) as server, WireClient(server.address) as ada:
            ends = []
            for number in range(4):
                await ada.say(f"question {number}")
                ends.append(await ada.wait(lambda frame: frame["type"] in ("done", "error") and "run" in frame, 20))
        asked = len(api.requests)
        assert 1 <= asked < 4
        assert [end["type"] for end in ends] == ["done"] * asked + ["error"] * (4 - asked)
        assert ends[-1]["code"] == "budget_exceeded"
        async with served(tmp_path, agent_on(api), **limits) as server, WireClient(server.address) as ada:
            await ada.say("after a restart?")
            error = await ada.wait(lambda frame: frame["type"] == "error" and "run" in frame)
            assert error["code"] == "budget_exceeded", "what was spent is on disk"
        assert len(api.requests) == asked


async def test_what_was_asked_before_a_kill_is_never_asked_again(tmp_path: Path) -> None:
    async with FakeMessagesAPI(ENDLESS) as api:
        env = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": api.url}
        async with ServerProcess(tmp_path, env=env) as server:
            async with WireClient(server.socket) as ada:
                await ada.say("tell me everything", "cid-1")
                await ada.wait("token", 30)
                await server.kill()
                await asyncio.wait_for(ada.closed.wait(), 5)
            await server.start()
            async with WireClient(server.socket) as ada:
                cut = (await ada.wait("snapshot"))["events"][-1]
                assert (cut["type"], cut["reason"]) == ("interrupted", "server_restart")
                assert cut["content"]
                assert (await ada.say("tell me everything", "cid-1"))["duplicate"] is True
                api.will(text("Something else."))
                await ada.say("something else", "cid-2")
                await ada.wait("done", 30)
        logs = "".join(path.read_text() for path in (tmp_path / "log").iterdir())
    assert len(api.requests) == 2
    for secret in (KEY, "tell me everything", "and so on", "Something else"):
        assert secret not in logs
    assert "room main" in logs
