"""Tasks under SIGKILL: at named points and at random, on one data folder, with a ledger of what really ran."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException

from tests.fakes.process import ServerProcess
from tests.fakes.wire_client import WireClient
from tests.tasks.crash_server import STEPS

POINTS = (
    "task.submitted:1",  # in the room, not yet in the records
    "task.step.done:1",  # run, not recorded
    "task.step.recorded:1",
    "task.step.done:3",
    "task.step.recorded:4",  # all steps recorded, the end in neither store
    "task.ended:1",  # the end known, not in the room
    "task.completed:1",  # in the room, the records not deleted
    "append.commit:2",
    "append.committed:3",
)
GONE = (OSError, EOFError, TimeoutError, WebSocketException)  # the server died while one spoke to it
EXPECTED = ",".join(map(str, range(STEPS)))


async def kill_tasks(folder: Path, plan: list[str], seed: int = 1) -> Counter[str]:
    """One kill for each entry of `plan` (a point, or "random"), each while a fresh task is open. Returns the kills by
    point. AssertionError where a task, a step or an end is lost or doubled, or a percent falls."""
    chance = random.Random(seed)
    ledger = folder / "ledger"
    counted: Counter[str] = Counter()
    percents: dict[str, int] = {}
    remembered: dict[tuple[str, str], int] = {}  # steps found on disk after a kill -> lines of the ledger then
    acked: dict[str, str] = {}
    server = ServerProcess(folder, env={"LEDGER": str(ledger)}, script=str(Path(__file__).with_name("crash_server.py")))

    def look(client: WireClient) -> None:
        """No percent that anybody saw ever falls."""
        for frame in client.frames:
            told = frame["tasks"] if frame["type"] == "welcome" else [frame] if frame["type"] == "progress" else []
            for task in told:
                assert task["percent"] >= percents.get(task["task"], 0), (task, percents)
                percents[task["task"]] = task["percent"]

    async def submit(client: WireClient, cid: str) -> None:
        before = len([frame for frame in client.frames if frame.get("ref") == cid])
        await client.command("submit_task", prompt=f"work {cid}", cid=cid)
        answers: list[dict[str, Any]] = []

        def is_answered(_frame: dict[str, Any]) -> bool:
            answers[:] = [frame for frame in client.frames if frame.get("ref") == cid]
            return len(answers) > before

        await client.wait(is_answered, from_start=True)
        frame = answers[-1]
        if frame.get("code") == "busy":
            return  # killed so often that nothing ends: there are enough open ones
        assert frame["type"] == "ack", frame
        assert acked.setdefault(cid, frame["task"]) == frame["task"], "a command sent again made a second task"

    for number, point in enumerate(plan):
        server.env["CRASH"] = "" if point == "random" else point
        await server.start()
        with contextlib.suppress(*GONE):
            async with WireClient(server.socket, user="ada") as ada:
                with contextlib.suppress(*GONE):
                    await submit(ada, f"c{number}")
                    if point == "random":
                        await asyncio.sleep(chance.uniform(0.0, 1.5))
                    else:
                        await asyncio.wait_for(ada.closed.wait(), 20)
                look(ada)
        if point == "random" and server.process.returncode is None:
            server.process.kill()
        async with asyncio.timeout(30):
            await server.process.communicate()
        counted[point] += 1
        now = len(ledger.read_text().splitlines()) if ledger.exists() else 0
        for step in on_disk(folder / "data" / "tasks.db"):
            remembered.setdefault(step, now)

    server.env["CRASH"] = ""
    async with server, WireClient(server.socket, user="ada") as ada:
        for number in range(len(plan)):
            cid = f"c{number}"
            async with asyncio.timeout(60):
                await submit(ada, cid)  # who got no ack sends it again
                while cid not in acked:
                    await asyncio.sleep(0.2)
                    await submit(ada, cid)
        events: list[dict[str, Any]] = []
        async with asyncio.timeout(60):
            while True:
                page = await ada.answer_to(await ada.command("history", before=2**31, limit=200))
                events = page["events"]
                if sum(event["type"] == "complete" for event in events) >= len(plan):
                    break
                await asyncio.sleep(0.1)
        look(ada)
    ends = Counter(event["task"] for event in events if event["type"] == "complete")
    begins = Counter(event["task"] for event in events if event["type"] == "task_submitted")
    assert len(begins) == len(plan), "a task was lost or doubled"
    assert ends == begins, "each task has exactly one end"
    assert set(ends.values()) == {1}
    assert {event["result"] for event in events if event["type"] == "complete"} == {EXPECTED}
    lines = ledger.read_text().splitlines()
    check_ledger(lines)
    for (task, step), line in remembered.items():
        assert f"run {task} {step}" not in lines[line:], f"{task} ran step {step} again, which was on disk"
    return counted


def on_disk(path: Path) -> set[tuple[str, str]]:
    """(task, number) of each step that the records hold."""
    if not path.exists():
        return set()
    with contextlib.closing(sqlite3.connect(path)) as db:
        try:
            rows = db.execute("SELECT workflow_uuid, function_name FROM operation_outputs").fetchall()
        except sqlite3.OperationalError:  # killed before there was a table
            return set()
    return {(id.split("/")[-1], name.split()[-1]) for id, name in rows}


def check_ledger(lines: list[str]) -> None:
    """Every step was recorded, and none that was recorded ran again."""
    recorded: set[tuple[str, str]] = set()
    runs: set[tuple[str, str]] = set()
    for line in lines:
        kind, task, step = line.split()
        if kind == "run":
            assert (task, step) not in recorded, f"{task} ran step {step} again"
            runs.add((task, step))
        else:
            recorded.add((task, step))
    assert recorded == runs
