"""A room as its clients see it: join, message, stream, queue, interrupt, clear, presence."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

from server.errors import AgentTrouble
from tests.fakes.agents import InstantAgent, ScriptedAgent
from tests.fakes.served import served
from tests.fakes.wire_client import WireClient


async def test_a_first_visit_gets_welcome_and_an_empty_snapshot(tmp_path: Path) -> None:
    async with served(tmp_path) as server, WireClient(server.address, "ops", "ada") as ada:
        welcome = await ada.wait("welcome")
        snapshot = await ada.wait("snapshot")
    assert (welcome["room"], welcome["user"], welcome["head"], welcome["recovered"]) == ("ops", "ada", 0, False)
    assert welcome["members"][0]["user"] == "ada"
    assert welcome["limits"] == {"message_bytes": 60000, "queue": 8}
    assert welcome["heartbeat"] == 15
    assert snapshot["epoch"] == welcome["epoch"]
    assert (snapshot["events"], snapshot["more"], snapshot["open_run"]) == ([], False, None)


async def test_two_members_see_the_same_stream(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with (
        served(tmp_path, agent) as server,
        WireClient(server.address, user="ada") as ada,
        WireClient(server.address, user="ben") as ben,
    ):
        await ben.wait("welcome")
        ack = await ada.say("hello")
        assert (ack["type"], ack["id"], ack["run"], ack["duplicate"]) == ("ack", 1, "r1", False)
        run = await agent.wait_run()
        assert [said.user for said in run.question.asked] == ["ada"]
        for word in ("one ", "two ", "three"):
            run.say(word)
            await ben.wait("token")
        run.finish()
        for client in (ada, ben):
            done = await client.wait("done")
            assert (done["content"], done["asked"], done["users"]) == ("one two three", [1], ["ada"])
            assert client.text_of("r1") == "one two three"
            assert [event["type"] for event in client.durable] == ["user_message", "done"]
        statuses = [frame["status"] for frame in ben.of("status")]
        assert statuses == ["thinking", "streaming"]


async def test_an_interrupt_stops_the_answer_for_everybody(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with (
        served(tmp_path, agent) as server,
        WireClient(server.address, user="ada") as ada,
        WireClient(server.address, user="ben") as ben,
    ):
        await ben.wait("welcome")
        await ada.say("tell me all")
        run = await agent.wait_run()
        run.say("a part")
        await ben.wait("token")
        cid = await ben.command("interrupt", run="r1")
        await run.cancelled.wait()
        run.say("too late")
        for client in (ada, ben):
            event = await client.wait("interrupted")
            assert (event["by"], event["reason"], event["content"]) == ("ben", "user", "a part")
        assert (await ben.answer_to(cid))["type"] == "ack"
        again = await ben.answer_to(await ben.command("interrupt", run="r1", cid=cid + "x"))
        assert again["duplicate"] is False
        repeated = await ben.command("interrupt", run="r1", cid=cid)
        await ben.wait(lambda frame: frame.get("ref") == repeated and frame["duplicate"])
        after = ada.frames[ada.frames.index(ada.of("interrupted")[0]) + 1 :]
        assert [frame for frame in after if frame.get("run") == "r1"] == []


async def test_messages_meanwhile_share_the_next_run_in_order(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with served(tmp_path, agent) as server, WireClient(server.address) as ada:
        await ada.say("first")
        first = await agent.wait_run()
        acks = [await ada.say(f"more {number}") for number in range(8)]
        assert {ack["run"] for ack in acks} == {"r2"}
        busy = await ada.say("one too many")
        assert (busy["type"], busy["code"], busy["retryable"]) == ("error", "busy", True)
        async with WireClient(server.address, user="ben") as ben:
            welcome = await ben.wait("welcome")
            assert [item["id"] for item in welcome["queue"]] == [ack["id"] for ack in acks]
            assert welcome["open_run"] == {"run": "r1", "status": "thinking", "asked": [1], "users": ["ada"]}
        first.finish()
        second = await agent.wait_run()
        assert [said.content for said in second.question.asked] == [f"more {number}" for number in range(8)]
        assert second.question.history[0].asked[0].content == "first"
        second.finish()
        done = await ada.wait(lambda frame: frame["type"] == "done" and frame["run"] == "r2")
        assert done["asked"] == [ack["id"] for ack in acks]


async def test_the_queue_goes_on_after_an_interrupted_and_after_a_failed_run(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with served(tmp_path, agent) as server, WireClient(server.address) as ada:
        await ada.say("one")
        await agent.wait_run()
        await ada.say("two")
        await ada.command("interrupt", run="r1")
        second = await agent.wait_run()
        second.say("half")
        await ada.say("three")
        second.fail(AgentTrouble("model_overloaded", "The model is overloaded; ask again in a minute."))
        error = await ada.wait("error")
        assert (error["run"], error["code"], error["content"], error["id"]) == ("r2", "model_overloaded", "half", 5)
        third = await agent.wait_run()
        assert [exchange.ending for exchange in third.question.history] == ["interrupted", "error"]
        third.finish()
        await ada.wait("done")


async def test_a_message_sent_again_takes_effect_once(tmp_path: Path) -> None:
    agent = InstantAgent()
    cid = str(uuid.uuid4())
    async with served(tmp_path, agent) as server, WireClient(server.address) as ada:
        first = await ada.say("once", cid)
        await ada.wait("done")
        await ada.send({"type": "message", "cid": cid, "content": "once"})
        again = await ada.wait(lambda frame: frame.get("ref") == cid and frame["duplicate"])
        assert (again["id"], again["run"]) == (first["id"], first["run"])
        assert agent.questions == 1
    async with served(tmp_path, agent) as server, WireClient(server.address) as ada:
        again = await ada.say("once", cid)
        assert (again["duplicate"], again["id"], again["run"]) == (True, first["id"], first["run"])
        async with WireClient(server.address, user="ben") as ben:
            assert (await ben.say("mine", cid))["duplicate"] is False, "a cid belongs to its user"


async def test_a_resent_message_is_a_duplicate_also_when_the_queue_is_full(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with served(tmp_path, agent) as server, WireClient(server.address) as ada:
        first = await ada.say("first", "cid-1")
        await agent.wait_run()
        for number in range(8):
            await ada.say(f"more {number}")
        await ada.send({"type": "message", "cid": "cid-1", "content": "first"})
        again = await ada.wait(lambda frame: frame.get("ref") == "cid-1" and frame["duplicate"])
        assert again["id"] == first["id"]


async def test_clear_interrupts_empties_the_queue_and_the_agent_forgets(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with served(tmp_path, agent) as server, WireClient(server.address) as ada:
        await ada.say("one")
        run = await agent.wait_run()
        run.say("text")
        await ada.wait("token")
        await ada.say("waits")
        cid = await ada.command("clear")
        await run.cancelled.wait()
        event = await ada.wait("interrupted")
        assert (event["reason"], event["by"], event["content"]) == ("clear", "ada", "text")
        cleared = await ada.wait("cleared")
        assert (await ada.answer_to(cid))["id"] == cleared["id"] == event["id"] + 1
        idle = await ada.wait("status")
        assert (idle["run"], idle["status"]) == ("r2", "idle")
        await ada.say("fresh")
        fresh = await agent.wait_run()
        assert fresh.question.history == ()
        assert [said.content for said in fresh.question.asked] == ["fresh"]
        fresh.say("x")
        await ada.wait("token")
        await ada.send({"type": "clear", "cid": cid})
        await ada.wait(lambda frame: frame.get("ref") == cid and frame["duplicate"])
        assert not fresh.cancelled.is_set(), "a clear that comes again must not stop the new answer"


async def test_presence_tells_joins_and_leaves(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("server.core.presence.LEAVE_GRACE_S", 0.2)
    async with served(tmp_path) as server, WireClient(server.address, user="ada") as ada:
        await ada.wait("welcome")
        async with WireClient(server.address, user="ben"), WireClient(server.address, user="ben"):
            joined = await ada.wait(lambda f: f["type"] == "user_joined" and "ben" in f["users"])
            assert (joined["count"], joined["active_users"]) == (2, ["ada", "ben"])
        left = await ada.wait("user_left")
        assert (left["users"], left["count"]) == (["ben"], 1)
        assert len([f for f in ada.of("user_joined") if "ben" in f["users"]]) == 1


async def test_typing_is_shown_to_the_others_only(tmp_path: Path) -> None:
    async with (
        served(tmp_path) as server,
        WireClient(server.address, user="ada") as ada,
        WireClient(server.address, user="ben") as ben,
    ):
        await ben.wait("welcome")
        await ada.send({"type": "typing", "active": True})
        typing = await ben.wait("typing")
        assert typing == {"type": "typing", "user": "ada", "active": True}
        await ada.say("done typing")
        assert ada.of("typing") == []


async def test_history_pages_go_back_to_the_first_event(tmp_path: Path) -> None:
    async with served(tmp_path) as server, WireClient(server.address) as ada:
        for number in range(40):
            await ada.say(f"message {number}")
            await ada.wait("done")
        ids: list[int] = []
        before = 81
        while before > 1:
            page = await ada.answer_to(await ada.command("history", before=before, limit=30))
            ids = [event["id"] for event in page["events"]] + ids
            assert page["more"] is (ids[0] > 1)
            before = ids[0]
        assert ids == list(range(1, 81))


async def test_rooms_lists_what_one_has_joined(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        async with WireClient(server.address, "ops", "ada") as ada:
            await ada.say("last words in ops")
            await ada.wait("done")
        async with WireClient(server.address, "secret", "ben") as ben:
            await ben.say("x")
        async with WireClient(server.address, "main", "ada") as ada:
            await ada.wait("snapshot")
            answer = await ada.answer_to(await ada.command("rooms"))
    rooms = {room["room"]: room for room in answer["rooms"]}
    assert set(rooms) == {"ops", "main"}
    assert rooms["ops"]["head"] == 2
    assert rooms["main"]["count"] == 1
    assert rooms["main"]["last"] is None
    assert rooms["ops"]["last"]["content"] == "Yes."


async def test_a_run_goes_on_when_its_asker_leaves(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with served(tmp_path, agent) as server:
        async with WireClient(server.address) as ada:
            await ada.say("long one")
            run = await agent.wait_run()
        run.say("while you were away")
        run.finish()
        await asyncio.wait_for(run.ended.wait(), 5)
        async with WireClient(server.address) as ada:
            await ada.wait(lambda f: f["type"] == "done" or (f["type"] == "snapshot" and f["head"] == 2))
            assert ada.durable[-1]["content"] == "while you were away"


async def test_an_answer_over_the_limit_ends_as_size_limit(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with served(tmp_path, agent) as server, WireClient(server.address) as ada:
        await ada.say("for ever")
        run = await agent.wait_run()
        for _ in range(9):
            run.say('"' * 32_768)  # each is two bytes in JSON
        done = await ada.wait("done")
        assert done["stop_reason"] == "size_limit"
        assert len(done["content"]) == 262_144
        await run.cancelled.wait()


async def test_a_stream_without_an_end_is_an_error(tmp_path: Path) -> None:
    class Breaks(InstantAgent):
        async def answer(self, question):
            async for item in super().answer(question):
                if item.__class__.__name__ == "Text":
                    yield item

    async with served(tmp_path, Breaks()) as server, WireClient(server.address) as ada:
        await ada.say("?")
        error = await ada.wait("error")
        assert (error["code"], error["content"]) == ("model_error", "Yes.")


async def test_an_agent_that_crashes_is_told_in_a_plain_sentence(tmp_path: Path) -> None:
    class Crashes(InstantAgent):
        async def answer(self, question):
            yield (await super().answer(question).__anext__())
            raise ZeroDivisionError("secret detail")

    async with served(tmp_path, Crashes()) as server, WireClient(server.address) as ada:
        await ada.say("?")
        error = await ada.wait("error")
        assert error["code"] == "internal"
        assert "secret" not in error["message"]
        assert (await ada.say("still there?"))["type"] == "ack"
