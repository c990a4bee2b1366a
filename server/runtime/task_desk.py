"""The tasks of the whole server: who may start, what runs, and the way of its progress and its end into the rooms.

A task is open in its room (on disk) before it comes here, and its `complete` is on disk in the room before its records
are forgotten. So whatever the moment of a crash, `restore` finds every open task again and its program goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

from msgspec.structs import replace

from server.agents.base import Cost
from server.agents.work import Assignment, Line, Worker
from server.core.budget import Budget, day_of
from server.core.slots import PER_PERSON, PER_SERVER, Slots
from server.core.task import Bill, Moved, OpenTask, Outcome, Remember, grown, move
from server.errors import StoreTrouble
from server.protocol import PAGE_BYTES, Done, Error, Interrupted, TaskSubmitted, UserMessage, decode_durable
from server.store.base import RoomEngine
from server.tasks.base import TaskRunner

log = logging.getLogger("server.tasks")

RETRY_S: Final = 1.0
NOTHING: Final = Cost(0, 0)


class Room(Protocol):
    """What the desk tells a room; none of it waits."""

    @property
    def name(self) -> str: ...

    @property
    def open_tasks(self) -> tuple[OpenTask, ...]: ...

    def task_placed(self, task: str) -> None: ...
    def task_moved(self, task: str, moved: Moved) -> None: ...
    def task_holds(self, hold: Hold) -> None: ...
    def task_ended(self, task: str, outcome: Outcome) -> None: ...


class Hold:
    """(Inbox of the room) A request of the task goes out once its bill is on disk: then `done` is set."""

    __slots__ = ("bill", "done", "task")

    def __init__(self, task: str, bill: Bill) -> None:
        self.task = task
        self.bill = bill
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


@dataclass(slots=True)
class _Job:
    """A task while it is open. It is the `Site` of its worker (agents.work) while it runs."""

    desk: TaskDesk
    room: Room
    task: OpenTask
    money: OpenTask  # the task as the budget has it: the room writes it down later
    place: int | None = None
    found: str = ""
    so_far: Callable[[], Cost] | None = None  # of the request under way
    hold: Hold | None = None  # on its way to the disk
    outcome: Outcome | None = None
    remember: Remember = field(init=False)

    def report(self, moved: Moved, partial: str) -> None:
        self.found = partial
        self.desk.count(self, moved)
        self.room.task_moved(self.task.task, moved)

    async def transcript(self, before: int, limit: int) -> list[Line]:
        return await self.desk.transcript(self.room.name, before, limit)

    async def reserve(self, most: Cost, so_far: Callable[[], Cost]) -> bool:
        return await self.desk.reserve(self, most, so_far)

    def lost(self) -> None:
        self.desk.lost(self)


class TaskDesk:
    """`room_of` loads a room; it must be set before anything else is called."""

    def __init__(
        self,
        store: RoomEngine,
        runner: TaskRunner,
        worker: Worker,
        budget: Budget,
        wall_s: Callable[[], float],
        *,
        per_server: int = PER_SERVER,
        per_person: int = PER_PERSON,
        on_point: Callable[[str], None] | None = None,
    ) -> None:
        self.room_of: Callable[[str], Awaitable[Room]]
        self._store = store
        self._runner = runner
        self._worker = worker
        self._budget = budget
        self._wall_s = wall_s
        self._slots = Slots(per_server, per_person)
        self._jobs: dict[str, _Job] = {}
        self._on_point = on_point
        self._is_closed = False

    @property
    def open_count(self) -> int:
        """Tasks that are queued or running."""
        return len(self._jobs)

    def _id(self, room: str, task: str) -> str:
        # With the epoch: a log that was reset or restored numbers its tasks anew.
        return f"{self._store.epoch}/{room}/{task}"

    # ---- from the rooms -----------------------------------------------------------------------------------

    def submitted(self, room: Room, task: OpenTask) -> None:
        """It is on disk: it starts when it may."""
        self._point("task.submitted")
        id = self._id(room.name, task.task)
        if id not in self._jobs and not self._is_closed:
            self._jobs[id] = _Job(self, room, task, task)
            self._slots.add(id, task.user)
            self._start()

    def ended(self, room: str, task: str) -> None:
        """Its `complete` is on disk, whoever ended it."""
        self._point("task.completed")
        id = self._id(room, task)
        if id in self._jobs:
            self._count(self._jobs[id], replace(self._jobs[id].money, bill=self.final_bill(room, task)))
            del self._jobs[id]
        self._slots.remove(id)
        self._runner.forget(id)
        self._start()

    def place(self, room: str, task: str) -> int | None:
        """Its place among those that wait, from 1; None when it runs."""
        job = self._jobs.get(self._id(room, task))
        return job.place if job is not None else None

    def found(self, room: str, task: str) -> str:
        """What its worker has found so far."""
        job = self._jobs.get(self._id(room, task))
        return job.found if job is not None else ""

    def final_bill(self, room: str, task: str) -> Bill:
        """What its requests without a result have cost, the one under way too, if it ended now."""
        job = self._jobs.get(self._id(room, task))
        if job is None:
            return Bill()
        if job.money.bill is job.task.bill:  # as it was found: it has not come to the request in which a process died
            return job.money.bill.died()
        cost = job.so_far() if job.so_far is not None else NOTHING
        return job.money.bill.with_lost(cost.tokens, cost.microdollars).let_go()

    # ---- the whole server -----------------------------------------------------------------------------------

    async def restore(self) -> None:
        """After a start: every task that is open on disk goes on. Those that ran before a crash come first."""
        rooms = await self._reading(self._store.rooms_with_tasks)
        open_tasks: list[tuple[bool, str, Room, OpenTask]] = []
        for name in rooms:
            room = await self._reading(partial(self.room_of, name))
            open_tasks += [(task.status == "queued", task.submitted, room, task) for task in room.open_tasks]
        for _, _, room, task in sorted(open_tasks, key=lambda entry: entry[:2]):
            self.submitted(room, task)
        if open_tasks:
            log.info("%d tasks go on", len(open_tasks))

    async def close(self) -> None:
        """The programs stop where they are; the next start of the server goes on with them."""
        self._is_closed = True
        await self._runner.close()

    def _start(self) -> None:
        if self._is_closed:
            return
        for id in self._slots.start():
            job = self._jobs[id]
            self._runner.start(id, partial(self._work, job), partial(self._ended, id))
        places = self._slots.places()
        for id, job in self._jobs.items():
            place = places.get(id)
            if place != job.place:
                job.place = place
                job.room.task_placed(job.task.task)

    async def _work(self, job: _Job, remember: Remember) -> Outcome:
        job.remember = remember
        task, room = job.task, job.room.name

        async def read() -> str:
            (event,) = await self._store.read_after(room, task.id - 1, limit=1, max_bytes=PAGE_BYTES)
            submitted = decode_durable(event.payload)
            assert isinstance(submitted, TaskSubmitted)
            return submitted.prompt

        prompt = await self._reading(read)
        return await self._worker.work(Assignment(room, task.task, task.id, task.user, task.title, prompt), job)

    def _ended(self, id: str, outcome: Outcome) -> None:
        """Its program is through; the room writes it down, then calls `ended`."""
        job = self._jobs.get(id)
        if job is not None and not self._is_closed:
            self._point("task.ended")
            if not outcome.result and outcome.status != "completed":
                outcome = Outcome(outcome.status, job.found, outcome.code, outcome.message)
            job.outcome = outcome
            job.room.task_ended(job.task.task, outcome)

    async def rebind(self, name: str) -> None:
        """A room failed and is loaded anew: its tasks report to the new one."""
        room = await self._reading(partial(self.room_of, name))
        for job in list(self._jobs.values()):
            if job.room.name == name:
                job.room = room
                if job.hold is not None:
                    room.task_holds(job.hold)
                if job.outcome is not None:
                    room.task_ended(job.task.task, job.outcome)

    async def _reading(self, read: Callable[[], Awaitable[Any]]) -> Any:
        """A read that must not fail: while the disk does not give it, again each second."""
        while True:
            try:
                return await read()
            except StoreTrouble as trouble:
                log.warning("a task waits for the database: %s", trouble.code)
            await asyncio.sleep(RETRY_S)

    # ---- what workers use -------------------------------------------------------------------------------------

    async def reserve(self, job: _Job, most: Cost, so_far: Callable[[], Cost]) -> bool:
        """See agents.work.Site. What is still held was so by a process that died in a request of this step."""
        bill = job.money.bill.died()
        day = day_of(self._wall_s())
        if not self._budget.reserve(day, most.tokens, most.microdollars):
            job.money = replace(job.money, bill=bill)
            return False
        job.money = replace(job.money, bill=bill.holding(most.tokens, most.microdollars, day))
        hold = job.hold = Hold(job.task.task, job.money.bill)
        job.room.task_holds(hold)
        try:
            await hold.done
        finally:
            job.hold = None
        self._point("task.reserved")
        job.so_far = so_far
        return True

    def lost(self, job: _Job) -> None:
        """See agents.work.Site."""
        so_far, job.so_far = job.so_far, None
        if so_far is not None:
            cost = so_far()
            bill = job.money.bill.with_lost(cost.tokens, cost.microdollars).let_go()
            self._count(job, replace(job.money, bill=bill))

    def count(self, job: _Job, moved: Moved) -> None:
        """What it has cost more than before counts at once; the room writes it down with the progress."""
        if moved.calls > job.money.calls:
            job.so_far = None  # it has its result
        self._count(job, move(job.money, moved, ""))

    def _count(self, job: _Job, money: OpenTask) -> None:
        day = day_of(self._wall_s())
        self._budget.settle(day, *grown(job.money, money, day))
        job.money = money

    async def transcript(self, room: str, before: int, limit: int) -> list[Line]:
        """See agents.work.Site."""
        read = partial(self._store.read_before, room, before, limit=limit, max_bytes=PAGE_BYTES)
        events, _ = await self._reading(read)
        lines = []
        for stored in events:
            match event := decode_durable(stored.payload):
                case UserMessage():
                    lines.append(Line(event.id, event.time, event.user, event.content))
                case Done() | Interrupted():
                    lines.append(Line(event.id, event.time, "", event.content))
                case Error() if isinstance(event.content, str) and event.content:
                    lines.append(Line(stored.id, str(event.time), "", event.content))
                case _:
                    pass
        return lines

    def _point(self, name: str) -> None:
        if self._on_point is not None:
            self._on_point(name)
