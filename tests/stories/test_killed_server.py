"""The server is killed in the middle of an answer; whoever comes back finds everything, once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.fakes.process import ServerProcess
from tests.fakes.wire_client import WireClient


async def test_a_killed_server_loses_no_word(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path, "--agent", "demo", env={"TUI_AGENT_DEMO_TOKENS_PER_S": "50"}) as server:
        async with WireClient(server.socket, user="ada") as ada, WireClient(server.socket, user="ben") as ben:
            ack = await ada.say("show me a long answer", "cid-1")
            while len(ben.text_of(ack["run"])) < 100:
                await ben.wait("token")
            waiting = await ben.say("and mine", "cid-2")
            assert waiting["run"] == "r2"
            await server.kill()
            await asyncio.wait_for(ada.closed.wait(), 5)
            await asyncio.wait_for(ben.closed.wait(), 5)
        shown = {"ada": ada.text_of("r1"), "ben": ben.text_of("r1")}
        epoch = ada.of("welcome")[0]["epoch"]
        await server.start()
        resume = {"epoch": epoch, "after": ada.durable[-1]["id"], "run": "r1", "offset": len(shown["ada"])}
        async with WireClient(server.socket, user="ada", resume=resume) as ada2:
            welcome = await ada2.wait("welcome")
            assert (welcome["recovered"], welcome["epoch"]) == (True, epoch)
            cut = await ada2.wait("interrupted")
            assert (cut["run"], cut["reason"], cut["by"]) == ("r1", "server_restart", None)
            for name, text in shown.items():
                assert cut["content"].startswith(text), f"{name} saw more than was kept"
            again = await ada2.say("show me a long answer", "cid-1")
            assert (again["duplicate"], again["id"], again["run"]) == (True, ack["id"], "r1")
            done = await ada2.wait("done", 20)
            assert (done["run"], done["asked"]) == ("r2", [waiting["id"]])
            async with WireClient(server.socket, user="chen") as chen:
                snapshot = await chen.wait("snapshot")
        events = snapshot["events"]
        assert [event["id"] for event in events] == [1, 2, 3, 4]
        assert [event["type"] for event in events] == ["user_message", "user_message", "interrupted", "done"]


@pytest.mark.timeout(240)
async def test_twenty_kills_at_random_lose_and_double_nothing(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path, "--agent", "demo", env={"TUI_AGENT_DEMO_TOKENS_PER_S": "400"}) as server:
        acked: dict[str, int] = {}
        seen: dict[int, dict] = {}
        for turn in range(20):
            async with WireClient(server.socket, user="ada") as ada:
                cids = [f"cid-{turn}-{number}" for number in range(3)]
                for cid in cids:
                    await ada.command("message", cid=cid, content=f"hello {cid}")
                if turn % 4:
                    frame = await ada.answer_to(cids[0])
                    assert frame["type"] == "ack"
                await asyncio.sleep((turn * 7 % 20) / 1000)
                await server.kill()
                await asyncio.wait_for(ada.closed.wait(), 5)
                for frame in ada.of("ack"):
                    acked[frame["ref"]] = frame["id"]
                for event in ada.durable:
                    assert seen.setdefault(event["id"], event) == event, "one order, never changed"
            await server.start()
            async with WireClient(server.socket, user="ada") as ada:
                for cid in cids:
                    frame = await ada.say(f"hello {cid}", cid)
                    if frame["type"] == "ack":
                        assert acked.setdefault(cid, frame["id"]) == frame["id"]
        async with WireClient(server.socket, user="ada") as ada:
            head = (await ada.wait("welcome"))["head"]
            events = []
            while not events or events[0]["id"] > 1:
                before = events[0]["id"] if events else head + 1
                page = await ada.answer_to(await ada.command("history", before=before, limit=200))
                events = page["events"] + events
        assert [event["id"] for event in events] == list(range(1, head + 1))
        stored = [event["cid"] for event in events if event["type"] == "user_message"]
        assert len(stored) == len(set(stored)), "doubled"
        assert acked == {event["cid"]: event["id"] for event in events if event["type"] == "user_message"}
        for event in events:
            assert seen.get(event["id"], event) == event
