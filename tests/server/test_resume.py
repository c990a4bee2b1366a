"""Coming back: replay or snapshot, resume inside a half-streamed answer, restart, crash."""

from __future__ import annotations

import asyncio
from pathlib import Path

from server.protocol import RESUME_EVENTS
from tests.fakes.agents import InstantAgent, ScriptedAgent
from tests.fakes.served import served
from tests.fakes.wire_client import WireClient


async def test_missed_events_are_replayed_in_order(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        async with WireClient(server.address) as ada:
            for number in range(5):
                await ada.say(str(number))
                await ada.wait("done")
            epoch = (await ada.wait("welcome", from_start=True))["epoch"]
        async with WireClient(server.address, resume={"epoch": epoch, "after": 4}) as ada:
            welcome = await ada.wait("welcome")
            assert (welcome["recovered"], welcome["head"]) == (True, 10)
            await ada.wait(lambda frame: frame.get("id") == 10)
            assert [event["id"] for event in ada.durable] == [5, 6, 7, 8, 9, 10]
            assert ada.of("snapshot") == []


async def test_resume_inside_a_half_streamed_answer(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with served(tmp_path, agent) as server:
        async with WireClient(server.address) as ada:
            await ada.say("a long one")
            run = await agent.wait_run()
            run.say("héllo ")
            token = await ada.wait("token")
            epoch = (await ada.wait("welcome", from_start=True))["epoch"]
            ada.cut()
        run.say("wörld")
        await asyncio.sleep(0.1)
        known = {"epoch": epoch, "after": 1, "run": "r1", "offset": len(token["content"])}
        async with WireClient(server.address, resume=known) as ada:
            assert (await ada.wait("welcome"))["open_run"]["status"] == "streaming"
            token = await ada.wait("token")
            assert (token["offset"], token["content"]) == (6, "wörld")
            run.say("!")
            assert (await ada.wait("token"))["offset"] == 11
        async with WireClient(server.address, resume={**known, "run": "r0", "offset": 99}) as other:
            token = await other.wait("token")
            assert (token["offset"], token["content"]) == (0, "héllo wörld!")
        async with WireClient(server.address) as fresh:
            snapshot = await fresh.wait("snapshot")
            assert snapshot["open_run"]["content"] == "héllo wörld!"
            run.say("…")
            assert (await fresh.wait("token"))["offset"] == 12
            run.finish()
            await fresh.wait("done")


async def test_what_cannot_be_replayed_whole_is_a_snapshot(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        async with WireClient(server.address) as ada:
            for number in range(RESUME_EVENTS // 2 + 30):
                await ada.say(str(number))
                await ada.wait("done")
            welcome = ada.of("welcome")[0]
        head = RESUME_EVENTS + 60
        for resume, recovered in (
            ({"epoch": "other", "after": head}, False),
            ({"epoch": welcome["epoch"], "after": head + 1}, False),
            ({"epoch": welcome["epoch"], "after": -1}, False),
            ({"epoch": welcome["epoch"], "after": head - RESUME_EVENTS - 1}, False),
            ({"epoch": welcome["epoch"], "after": head - RESUME_EVENTS}, True),
            ({"epoch": welcome["epoch"], "after": head}, True),
        ):
            async with WireClient(server.address, resume=resume) as client:
                assert (await client.wait("welcome"))["recovered"] is recovered
                if not recovered:
                    snapshot = await client.wait("snapshot")
                    assert [event["id"] for event in snapshot["events"]] == list(range(head - 49, head + 1))
                    assert snapshot["more"] is True
                elif resume["after"] < head:
                    await client.wait(lambda frame: frame.get("id") == head)
                    assert [e["id"] for e in client.durable] == list(range(resume["after"] + 1, head + 1))


async def test_a_graceful_restart_labels_the_open_answer_and_keeps_the_epoch(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with served(tmp_path, agent) as server:
        ada = await WireClient(server.address).__aenter__()
        await ada.say("question")
        run = await agent.wait_run()
        run.say("half of it")
        await ada.wait("token")
        await ada.say("and another")
    event = await ada.wait("interrupted")
    assert (event["reason"], event["by"], event["content"]) == ("server_restart", None, "half of it")
    await asyncio.wait_for(ada.closed.wait(), 5)
    assert ada.ws.close_code == 1012
    await ada.__aexit__()
    again = ScriptedAgent()
    async with served(tmp_path, again) as server:
        resume = {"epoch": ada.of("welcome")[0]["epoch"], "after": event["id"]}
        async with WireClient(server.address, resume=resume) as back:
            welcome = await back.wait("welcome")
            assert (welcome["recovered"], welcome["head"]) == (True, event["id"])
            run = await again.wait_run()
            assert [said.content for said in run.question.asked] == ["and another"], "the queue starts with a member"
            assert run.question.history[0].ending == "interrupted"
            run.finish()
            assert (await back.wait("done"))["run"] == "r2"


async def test_nothing_starts_while_nobody_is_there(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with served(tmp_path, agent) as server:
        async with WireClient(server.address) as ada:
            await ada.say("one")
            await agent.wait_run()
            await ada.say("two")
    again = ScriptedAgent()
    async with served(tmp_path, again):
        await asyncio.sleep(0.3)
        assert again.runs == []


async def test_an_instant_agent_answers_a_long_talk(tmp_path: Path) -> None:
    async with served(tmp_path, InstantAgent("pong")) as server, WireClient(server.address) as ada:
        for number in range(60):
            await ada.say(f"ping {number}")
            await ada.wait("done")
        assert [event["id"] for event in ada.durable] == list(range(1, 121))
