"""Tasks as the people of a room meet them: a real server, a real socket, DBOS on a real file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.agents.demo import DemoAgent
from tests.fakes.served import served
from tests.fakes.wire_client import WireClient
from tests.fakes.workers import HeldWorker


async def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


async def submit(client: WireClient, prompt: str, **fields: Any) -> dict[str, Any]:
    return await client.answer_to(await client.command("submit_task", prompt=prompt, **fields))


def of_task(task: str, kind: str) -> Callable[[dict[str, Any]], bool]:
    return lambda frame: frame["type"] == kind and frame.get("task") == task


async def test_a_task_is_seen_by_everybody_from_its_submission_to_its_result(tmp_path: Path) -> None:
    worker = HeldWorker()
    async with served(tmp_path, worker=worker) as server:
        async with WireClient(server.address, user="ada") as ada, WireClient(server.address, user="ben") as ben:
            await ben.wait("welcome")
            ack = await submit(ada, "read everything", title="Reading", cid="c1")
            assert (ack["task"], ack["duplicate"]) == ("t1", False)
            seen = await ben.wait("task_submitted")
            assert (seen["task"], seen["user"], seen["title"], seen["cid"]) == ("t1", "ada", "Reading", "c1")
            assert (await submit(ada, "another one"))["task"] == "t2"
            for number in range(3):
                await until(lambda number=number: worker.began.get("read") == number)
                worker.let("read")
            done = await ben.wait("complete", 10)
            assert (done["status"], done["result"]) == ("completed", "read is done")
            told = [frame for frame in ben.of("progress") if frame["task"] == "t1"]
            assert [frame["steps"] for frame in told if "steps" in frame] == [["part 0", "part 1", "part 2"]]
            percents = [frame["percent"] for frame in told]
            assert percents == sorted(percents)
            assert "t1" in {frame["task"] for frame in ada.of("complete")}
            repeated = await submit(ada, "read everything", title="Reading", cid="c1")
            assert repeated["ref"] == "c1"


async def test_a_command_sent_again_starts_no_second_task(tmp_path: Path) -> None:
    async with served(tmp_path, worker=HeldWorker()) as server, WireClient(server.address) as ada:
        first = await submit(ada, "once", cid="c1")
        await ada.command("submit_task", prompt="once", cid="c1")
        second = await ada.wait(lambda frame: frame.get("ref") == "c1" and frame.get("duplicate"))
        assert (second["task"], second["id"]) == (first["task"], first["id"])
        assert len(ada.of("task_submitted")) == 1


async def test_who_joins_and_who_comes_back_sees_the_tasks_as_they_are(tmp_path: Path) -> None:
    worker = HeldWorker()
    async with served(tmp_path, worker=worker) as server, WireClient(server.address, user="ada") as ada:
        async with WireClient(server.address, user="ben") as ben:
            epoch = (await ben.wait("welcome"))["epoch"]
            await submit(ben, "read all")
            await until(lambda: worker.began.get("read") == 0)
        worker.let("read")
        await ada.wait(lambda frame: frame["type"] == "progress" and frame.get("step") == 1)
        async with WireClient(server.address, user="ben", resume={"epoch": epoch, "after": 1}) as ben:
            (task,) = (await ben.wait("welcome"))["tasks"]
            assert (task["task"], task["user"], task["status"]) == ("t1", "ben", "running")
            assert (task["percent"], task["message"], task["step"]) == (40, "part 1", 1)
            assert task["steps"] == ["part 0", "part 1", "part 2"]
            assert task["started"] >= task["submitted"]
        async with WireClient(server.address, room="other", user="ben") as elsewhere:
            assert (await elsewhere.wait("welcome"))["tasks"] == []
            cid = await elsewhere.command("cancel_task", task="t1")
            assert (await elsewhere.answer_to(cid))["type"] == "ack", "another room's task is unknown there"
        assert worker.cancelled == set()
        worker.let("read", 2)
        await ada.wait("complete")
    async with served(tmp_path, worker=worker) as server, WireClient(server.address, user="ben") as ben:
        assert (await ben.wait("welcome"))["tasks"] == []


async def test_beyond_the_limits_tasks_wait_with_their_place_and_start_in_order(tmp_path: Path) -> None:
    worker = HeldWorker(steps=1)
    async with served(tmp_path, worker=worker, tasks_at_once=2, tasks_per_person=1) as server:
        async with WireClient(server.address, user="ada") as ada, WireClient(server.address, user="ben") as ben:
            for name in ("a1", "a2", "a3"):
                await submit(ada, name)
            await submit(ben, "b1")
            await until(lambda: set(worker.began) == {"a1", "b1"})
            async with WireClient(server.address, user="chen") as chen:
                tasks = {task["task"]: task for task in (await chen.wait("welcome"))["tasks"]}
            assert [tasks[name]["status"] for name in ("t1", "t2", "t3", "t4")] == [
                "running", "queued", "queued", "running"
            ]  # fmt: skip
            assert (tasks["t2"]["place"], tasks["t3"]["place"]) == (1, 2)
            assert tasks["t2"]["message"] == "waiting, next in the queue"
            cid = await ben.command("cancel_task", task="t2")
            await ben.answer_to(cid)
            moved = await ada.wait(lambda frame: of_task("t3", "progress")(frame) and frame.get("place") == 1)
            assert moved["status"] == "queued"
            worker.let("a1")
            await until(lambda: "a3" in worker.began)
            assert "a2" not in worker.began


async def test_a_cancel_by_another_member_stops_the_work_at_once_and_a_second_is_harmless(tmp_path: Path) -> None:
    worker = HeldWorker()
    async with served(tmp_path, worker=worker) as server:
        async with WireClient(server.address, user="ada") as ada, WireClient(server.address, user="ben") as ben:
            await submit(ada, "read all")
            worker.let("read")
            await until(lambda: worker.began.get("read") == 1)
            began_s = time.monotonic()
            cid = await ben.command("cancel_task", task="t1")
            done = await ada.wait("complete")
            await until(lambda: "read" in worker.cancelled)
            assert time.monotonic() - began_s < 1
            assert (done["status"], done["by"], done["result"]) == ("canceled", "ben", "x")
            assert (await ben.answer_to(cid))["type"] == "ack"
            for task in ("t1", "t99", ""):
                again = await ben.answer_to(await ben.command("cancel_task", task=task))
                assert (again["type"], again["duplicate"]) == ("ack", False)
            assert len(ada.of("complete")) == 1


async def test_the_server_counts_its_tasks_and_does_not_leave_while_one_runs(tmp_path: Path) -> None:
    worker = HeldWorker(steps=1)
    async with served(tmp_path, worker=worker, idle_exit_s=0.2) as server:
        async with WireClient(server.address) as ada:
            await submit(ada, "read")
            await until(lambda: "read" in worker.began)
        await asyncio.sleep(1.0)
        async with WireClient(server.address) as ada:
            assert len((await ada.wait("welcome"))["tasks"]) == 1
            worker.let("read")
            await ada.wait(lambda frame: frame["type"] in ("complete", "snapshot") and "complete" in str(frame))


async def test_a_restart_goes_on_where_it_was_and_the_percent_does_not_fall(tmp_path: Path) -> None:
    first = HeldWorker()
    async with served(tmp_path, worker=first) as server, WireClient(server.address) as ada:
        await submit(ada, "read all")
        first.let("read", 2)
        await until(lambda: first.began.get("read") == 2)
        await ada.wait(lambda frame: frame["type"] == "progress" and frame.get("step") == 2)
        before = ada.of("progress")[-1]["percent"]
    second = HeldWorker()
    async with served(tmp_path, worker=second) as server, WireClient(server.address) as ada:
        (task,) = (await ada.wait("welcome"))["tasks"]
        assert (task["percent"], task["message"]) == (before, "part 2")
        second.let("read")
        done = await ada.wait("complete", 10)
        assert (done["status"], done["result"]) == ("completed", "read is done")
        assert second.began == {"read": 2}, "finished steps do not run again"
        assert all(frame["percent"] >= before for frame in ada.of("progress"))


async def test_the_agent_starts_a_task_and_everybody_sees_for_whom(tmp_path: Path) -> None:
    async with served(tmp_path, DemoAgent(pieces_per_s=0)) as server, WireClient(server.address, user="ben") as ben:
        ack = await ben.say("task: count our words")
        seen = await ben.wait("task_submitted")
        assert (seen["user"], seen["prompt"], seen["run"]) == ("ben", "count our words", ack["run"])
        answer = await ben.wait("done")
        assert answer["content"].startswith("Started as t1.")
        done = await ben.wait("complete", 20)
        assert "demo worker" in done["result"]
        assert "- ben: 1" in done["result"]
