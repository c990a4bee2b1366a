"""Tasks under SIGKILL: at named points, at random, and again while they go on; a ledger says what really ran.

Each kill comes while a long task is at work, so each cuts at least one: a kill that cuts none fails the campaign. What
the disks hold after it is looked at before the next start, so a named point is one that was really met.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from websockets.exceptions import WebSocketException

from server.core.room import decode_state
from tests.fakes.process import ServerProcess
from tests.fakes.wire_client import Frame, WireClient
from tests.tasks.crash_server import MOST_A_STEP, STEPS, TOKENS_A_STEP

LONG_STEPS, LONG_PAUSE_S = 16, 0.04
RANDOM_S = 0.3  # of the 0.64 s and more that a long task takes
POINTS = (
    "task.submitted:1",  # in the room, not yet in the records
    "task.reserved:1",  # money held, the step not run
    "task.step.done:1",  # run, not recorded
    "task.step.recorded:1",
    "task.step.done:3",
    "task.step.recorded:4",
    "task.ended:1",  # all steps recorded, the end not in the room
    "task.completed:1",  # the end in the room, the records not deleted
    "append.commit:2",
    "append.committed:3",
)
RANDOM, GOING_ON = "random", "random while it goes on"
KINDS = (*POINTS, RANDOM, GOING_ON)
GONE = (OSError, EOFError, WebSocketException)  # the server died while one spoke to it
SCRIPT = str(Path(__file__).with_name("crash_server.py"))


async def killed_tasks(folder: Path, seed: int, kills: int) -> dict[str, int]:
    """`kills` SIGKILLs, every kind in turn; returns counts. AssertionError where a kill cuts nothing, a task, a step or
    an end is lost or doubled, a percent falls, or a finished step is billed again."""
    campaign = Campaign(folder, random.Random(seed))
    for number in range(kills):
        await campaign.kill(number, KINDS[number % len(KINDS)])
    return await campaign.end()


@dataclass
class Disk:
    """What a killed server left."""

    submitted: set[str]
    ended: set[str]
    recorded: set[tuple[str, str]]  # (task, step)
    with_records: set[str]
    ran: set[tuple[str, str]]
    told: set[tuple[str, str]]  # steps whose result the program got
    steps: dict[str, int]
    held: set[tuple[str, int, int]]  # (task, step, what it had lost before): money of a request under way

    @property
    def dead(self) -> set[tuple[str, int, int]]:
        """What is held for a request whose result will never be known."""
        return {hold for hold in self.held if (hold[0], str(hold[1])) not in self.recorded}

    @property
    def cut(self) -> set[str]:
        """Tasks that had begun and had not ended."""
        return {task for task, _ in self.ran} - self.ended

    def is_at(self, point: str) -> bool:
        """Whether the disks look as they must at this point."""
        match point.partition(":")[0]:
            case "task.submitted":
                return bool(self.submitted - self.with_records - self.ended)
            case "task.reserved":
                return any((task, str(step)) not in self.ran for task, step, _ in self.held)
            case "task.step.done":
                return bool(self.ran - self.recorded)
            case "task.step.recorded":
                return bool(self.recorded - self.told)
            case "task.ended":
                done = Counter(task for task, _ in self.recorded)
                return any(done[task] == self.steps[task] for task in self.submitted - self.ended)
            case "task.completed":
                return bool(self.ended & self.with_records)
        return True


@dataclass
class Campaign:
    """One data folder over all kills."""

    folder: Path
    chance: random.Random
    counted: Counter[str] = field(default_factory=Counter)
    percents: dict[str, int] = field(default_factory=dict)
    acked: dict[str, str] = field(default_factory=dict)  # cid -> task
    sent: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    remembered: dict[tuple[str, str], int] = field(default_factory=dict)  # on disk after a kill -> ledger's lines then
    dead: set[tuple[str, int, int]] = field(default_factory=set)
    cut: int = 0
    looked: int = 0  # frames of the present connection

    def __post_init__(self) -> None:
        self.ledger = self.folder / "ledger"
        self.server = ServerProcess(self.folder, env={"LEDGER": str(self.ledger)}, script=SCRIPT)

    # ---- one kill ---------------------------------------------------------------------------------------

    async def kill(self, number: int, kind: str) -> None:
        self.server.env["CRASH"] = kind if kind in POINTS else ""
        await self.server.start()
        async with WireClient(self.server.socket, user="ada") as ada:
            await self._send_again(ada)
            if kind != GOING_ON:
                await self._all_ended(ada)
            long = await self._submit(ada, f"l{number}", f"work steps={LONG_STEPS} pause={LONG_PAUSE_S}")
            async with asyncio.timeout(30):
                while f"run {long} 0" not in self._lines():
                    await asyncio.sleep(0.005)
            if kind in POINTS:
                self.server.process.send_signal(signal.SIGUSR1)  # from now on it counts
                with contextlib.suppress(*GONE):
                    await ada.command("submit_task", prompt="work", cid=self._note(f"s{number}"))
                async with asyncio.timeout(30):
                    await ada.closed.wait()
            else:
                await asyncio.sleep(self.chance.uniform(0.0, RANDOM_S))
                self.server.process.kill()
            self._look(ada)
        async with asyncio.timeout(30):
            await self.server.process.communicate()
        assert self.server.process.returncode == -signal.SIGKILL
        disk = self._disk()
        assert disk.cut, f"the kill {kind} cut nothing"
        assert disk.is_at(kind), f"the disks do not look as they must at {kind}: {disk}"
        self.cut += len(disk.cut)
        self.dead |= disk.dead
        self.counted[kind] += 1
        lines = len(self._lines())
        for step in disk.recorded:
            self.remembered.setdefault(step, lines)

    def _note(self, cid: str) -> str:
        if cid not in self.sent:
            self.sent.append(cid)
        return cid

    async def _submit(self, client: WireClient, cid: str, prompt: str) -> str:
        """The task that it is; the same whenever it is sent."""
        frame = await client.answer_to(await client.command("submit_task", prompt=prompt, cid=self._note(cid)))
        assert frame["type"] == "ack", frame
        assert self.acked.setdefault(cid, frame["task"]) == frame["task"], "a command sent again made a second task"
        return str(frame["task"])

    async def _send_again(self, client: WireClient) -> None:
        """As a client does: what has no ack. One of the others too, now and then."""
        self.looked = 0
        await client.wait("welcome")
        known = [cid for cid in self.sent if cid in self.acked]
        again = [cid for cid in self.sent if cid not in self.acked] + known[-1:]
        for cid in again:
            words = f"work steps={LONG_STEPS} pause={LONG_PAUSE_S}" if cid[0] == "l" else "work"
            await self._submit(client, cid, words)

    async def _all_ended(self, client: WireClient) -> None:
        def is_so(_frame: Frame) -> bool:
            self._look(client)
            return self.ended >= set(self.acked.values())

        await client.wait(is_so, 60, from_start=True)

    def _look(self, client: WireClient) -> None:
        """No percent that anybody saw ever falls; who has ended, ended."""
        news, self.looked = client.frames[self.looked :], len(client.frames)
        for frame in news:
            told = frame["tasks"] if frame["type"] == "welcome" else [frame] if frame["type"] == "progress" else []
            for task in told:
                assert task["percent"] >= self.percents.get(task["task"], 0), (task, self.percents)
                self.percents[task["task"]] = task["percent"]
            events = frame["events"] if frame["type"] == "snapshot" else [frame]
            self.ended |= {event["task"] for event in events if event["type"] == "complete"}

    def _lines(self) -> list[str]:
        return self.ledger.read_text().splitlines() if self.ledger.exists() else []

    def _disk(self) -> Disk:
        events = in_room(self.folder / "data" / "rooms.db")
        lines = [line.split() for line in self._lines()]
        submitted = {event["task"]: event["prompt"] for event in events if event["type"] == "task_submitted"}
        return Disk(
            set(submitted),
            {event["task"] for event in events if event["type"] == "complete"},
            on_disk(self.folder / "data" / "tasks.db"),
            with_records(self.folder / "data" / "tasks.db"),
            {(task, step) for kind, task, step in lines if kind == "run"},
            {(task, step) for kind, task, step in lines if kind == "recorded"},
            {task: LONG_STEPS if "steps=" in prompt else STEPS for task, prompt in submitted.items()},
            held(self.folder / "data" / "rooms.db"),
        )

    # ---- the reckoning ------------------------------------------------------------------------------------

    async def end(self) -> dict[str, int]:
        """All go on to their end; then everything is counted."""
        self.server.env["CRASH"] = ""
        async with self.server, WireClient(self.server.socket, user="ada") as ada:
            await self._send_again(ada)
            await self._all_ended(ada)
            events = await _history(ada)
        begins = {event["task"]: event for event in events if event["type"] == "task_submitted"}
        ends = Counter(event["task"] for event in events if event["type"] == "complete")
        assert len(begins) == len(self.sent), "a task was lost or doubled"
        assert sorted(event["cid"] for event in begins.values()) == sorted(self.sent)
        assert ends == Counter(list(begins)), "each task has exactly one end"
        steps = {task: LONG_STEPS if "steps=" in event["prompt"] else STEPS for task, event in begins.items()}
        for event in events:
            if event["type"] == "complete":
                assert event["result"] == expected(steps[event["task"]]), event
        lines = self._lines()
        check_ledger(lines)
        for (task, step), line in self.remembered.items():
            assert f"run {task} {step}" not in lines[line:], f"{task} ran step {step} again, which was on disk"
        runs = Counter(line for line in lines if line.startswith("run "))
        assert len(runs) == sum(steps.values()), "a step was lost"
        billed = spent_tokens(self.folder / "data" / "rooms.db")
        assert billed == TOKENS_A_STEP * sum(steps.values()) + MOST_A_STEP * len(self.dead), (
            "each finished step is billed once, and each request that died with the server at its reservation"
        )
        return {
            "kills": self.counted.total(),
            **{f"at {kind}": self.counted[kind] for kind in KINDS},
            "tasks": len(begins),
            "tasks cut in mid-work": self.cut,
            "steps": sum(steps.values()),
            "requests that died, billed at their reservation": len(self.dead),
            "unrecorded steps run again": sum(count - 1 for count in runs.values()),
            "lost": 0,
            "doubled": 0,
        }


async def _history(client: WireClient) -> list[Frame]:
    """The whole log, page by page."""
    events: list[Frame] = []
    before, is_more = 2**31, True
    while is_more:
        page = await client.answer_to(await client.command("history", before=before, limit=200))
        events = page["events"] + events
        before, is_more = page["events"][0]["id"], page["more"]
    return events


def expected(steps: int = STEPS) -> str:
    """The result of a task of so many steps."""
    return ",".join(map(str, range(steps)))


EXPECTED = expected()


def in_room(path: Path) -> list[Frame]:
    """The log of the room."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        return [msgspec.json.decode(row[0]) for row in db.execute("SELECT payload FROM events ORDER BY id")]


def held(path: Path) -> set[tuple[str, int, int]]:
    """(task, step, lost tokens) of each request that the room has money held for."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        state = decode_state(db.execute("SELECT state FROM rooms").fetchone()[0])
    return {(task.task, task.calls, task.bill.lost_tokens) for task in state.tasks if task.bill.held_tokens}


def spent_tokens(path: Path) -> int:
    """All that was ever billed."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT coalesce(sum(tokens), 0) FROM spending").fetchone()[0])


def on_disk(path: Path) -> set[tuple[str, str]]:
    """(task, number) of each step that the records hold."""
    rows = _read(path, "SELECT workflow_uuid, function_name FROM operation_outputs")
    return {(id.split("/")[-1], name.split()[-1]) for id, name in rows}


def with_records(path: Path) -> set[str]:
    """The tasks that the records know."""
    return {id.split("/")[-1] for (id,) in _read(path, "SELECT workflow_uuid FROM workflow_status")}


def _read(path: Path, query: str) -> list[tuple[str, ...]]:
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(path)) as db:
        try:
            return db.execute(query).fetchall()
        except sqlite3.OperationalError:  # killed before there was a table
            return []


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
