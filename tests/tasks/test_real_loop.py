"""The whole way with the real SDK: a server, DBOS, and the fake Messages API that checks every request."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from server.agents.claude import ClaudeAgent
from server.agents.claude_worker import ClaudeWorker, Limits
from server.agents.model import ClaudeConfig
from tests.fakes.messages_api import FakeMessagesAPI
from tests.fakes.messages_replies import Hang, Sleep, plan, start, status, stream, text, tool
from tests.fakes.served import served
from tests.fakes.wire_client import WireClient
from tests.tasks.test_tasks_over_the_wire import submit, until

STEPS = ("Searching for relevant sources", "Analyzing 12 documents")


def claude(api: FakeMessagesAPI, **changes) -> tuple[ClaudeAgent, ClaudeWorker]:
    given = {"base_url": api.url, "api_key": "sk-x", "first_pause_s": 0.01, "can_start_tasks": True}
    agent = ClaudeAgent(ClaudeConfig(**(given | changes)))
    return agent, ClaudeWorker(agent.provider, Limits())


async def test_a_task_of_the_model_in_the_room_and_what_the_agent_knows_of_it_later(tmp_path: Path) -> None:
    async with FakeMessagesAPI() as api:
        agent, worker = claude(api)
        async with served(tmp_path, agent, worker=worker) as server, WireClient(server.address) as ada:
            # The task's first request comes after DBOS has started: behind the agent's second one.
            api.will(tool("start_task", {"title": "Quantum", "prompt": "Research it"}), text("It runs."))
            api.will(plan(*STEPS), text("Six sources."), text("They agree."), text("It began in 1980."))
            ack = await ada.say("please research quantum computing")
            begun = await ada.wait("task_submitted", 30)
            assert (begun["user"], begun["title"], begun["run"]) == ("ada", "Quantum", ack["run"])
            await ada.wait("done", 20)
            done = await ada.wait("complete", 40)
            assert (done["status"], done["result"], done["title"]) == ("completed", "It began in 1980.", "Quantum")
            messages = [f["message"] for f in ada.of("progress")]
            assert set(messages) <= {"Making a plan…", *(f"{step}…" for step in STEPS), "Synthesizing…"}
            api.will(text("1980, as the task found."))
            await ada.say("when did it begin?")
            await ada.wait("done", 20)
            words = str(api.requests[-1].messages)
            assert 'status="completed">It began in 1980.</task>' in words
            assert 'status="submitted"/>' in words


@pytest.mark.parametrize("where", ["waiting for the head", "in the middle of a step", "in a pause between tries"])
async def test_a_cancel_closes_the_upstream_request_within_a_second(tmp_path: Path, where: str) -> None:
    async with FakeMessagesAPI() as api:
        agent, worker = claude(api, first_pause_s=60.0 if "pause" in where else 0.01)
        async with served(tmp_path, agent, worker=worker) as server:
            async with WireClient(server.address, user="ada") as ada, WireClient(server.address, user="ben") as ben:
                slow = {
                    "waiting for the head": stream(Sleep(60)),
                    "in the middle of a step": stream(start(), Hang()),
                    "in a pause between tries": status(529, "overloaded_error"),
                }[where]
                api.will(plan(*STEPS), text("Six sources."), slow)
                task = (await submit(ada, "research"))["task"]
                await api.wait_requests(3, 40)
                if "pause" in where:
                    await ben.wait(lambda f: f["type"] == "progress" and "trying again in 60 s" in f["message"], 10)
                began_s = time.monotonic()
                await ben.command("cancel_task", task=task)
                done = await ada.wait("complete")
                await until(lambda: "pause" in where or api.requests[2].closed.is_set(), 2)
                assert time.monotonic() - began_s < 1
                assert (done["status"], done["by"]) == ("canceled", "ben")
                assert done["result"] == "## Searching for relevant sources\n\nSix sources."
                assert len(api.requests) == 3


async def test_what_a_task_costs_counts_for_the_day_and_the_day_ends_it(tmp_path: Path) -> None:
    async with FakeMessagesAPI() as api:
        agent, worker = claude(api, max_tokens=1000, context_window=8000)
        async with served(tmp_path, agent, worker=worker, budget_tokens_per_day=9_000) as server:
            async with WireClient(server.address) as ada:
                api.will(plan(*STEPS), text("Six sources.", input_tokens=7000))
                await submit(ada, "research")
                done = await ada.wait("complete", 40)
                assert (done["status"], done["code"]) == ("failed", "budget_exceeded")
                assert done["result"].endswith("Six sources.")
                assert len(api.requests) == 2
                await submit(ada, "research more")
                assert (await ada.wait("complete", 20))["code"] == "budget_exceeded"
                assert len(api.requests) == 2
