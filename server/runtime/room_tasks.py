"""A room's tasks at work: commands, news and ends become plans; what is on disk is told to the members and the desk.

Called by the room's own asyncio task, one after the other (its inbox is the order), and at once where nothing is
stored: places in the queue, and the news of a worker until they are due.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from msgspec import UNSET
from msgspec.structs import replace

from server import protocol as wire
from server.agents.base import Cost, StartTask
from server.core import room_tasks
from server.core.budget import day_of
from server.core.room import Plan, Refusal, RoomState
from server.core.task import Moved, OpenTask, Outcome, grown, move
from server.errors import StoreTrouble
from server.protocol import encode
from server.runtime import task_board
from server.runtime.audience import Audience
from server.runtime.outlet import Outlet
from server.runtime.task_board import TaskBoard
from server.runtime.task_desk import Hold, TaskDesk
from server.store.base import Key

log = logging.getLogger("server.room")

RETRY_S: Final = 1.0
ENDED: Final = "The answer had ended before the task could start."


class Room(Protocol):
    """What the tasks need of their room."""

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> RoomState: ...

    @property
    def open_tasks(self) -> tuple[OpenTask, ...]: ...

    def task_placed(self, task: str) -> None: ...
    def task_moved(self, task: str, moved: Moved) -> None: ...
    def task_holds(self, hold: Hold) -> None: ...
    def task_ended(self, task: str, outcome: Outcome) -> None: ...

    @property
    def audience(self) -> Audience: ...

    async def commit(
        self, plan: Plan, key: Key | None = None, asker: Outlet | None = None, spent: Cost = ...
    ) -> bool: ...


class News:
    """(Inbox) A task has news that are due."""

    __slots__ = ("task",)

    def __init__(self, task: str) -> None:
        self.task = task


class Ended:
    """(Inbox) A task's program is through."""

    __slots__ = ("outcome", "task")

    def __init__(self, task: str, outcome: Outcome) -> None:
        self.task = task
        self.outcome = outcome


class Wanted:
    """(Inbox) The agent wants to start a task in its answer `run`, for `user`."""

    __slots__ = ("cid", "run", "start", "user")

    def __init__(self, run: str, user: str, cid: str, start: StartTask) -> None:
        self.run = run
        self.user = user
        self.cid = cid
        self.start = start


class RoomTasks:
    """Owns the room's board; `put` gives an item to the room's inbox."""

    def __init__(
        self,
        room: Room,
        desk: TaskDesk | None,
        monotonic_s: Callable[[], float],
        wall_s: Callable[[], float],
        put: Callable[[News | Hold | Ended | Wanted], None],
    ) -> None:
        self._room = room
        self._desk = desk
        self._wall_s = wall_s
        self._put = put
        self._board = TaskBoard(monotonic_s, lambda task: put(News(task)))
        self._timers: set[asyncio.TimerHandle] = set()

    def infos(self) -> list[wire.TaskInfo]:
        """The open tasks as they are, for `welcome`."""
        return [task_board.info(task, self._place(task.task)) for task in self._room.open_tasks]

    def _place(self, task: str) -> int | None:
        return self._desk.place(self._room.name, task) if self._desk is not None else None

    # ---- at once --------------------------------------------------------------------------------------------

    def moved(self, task: str, moved: Moved) -> None:
        """A worker has news."""
        self._board.moved(task, moved)

    def placed(self, task: str) -> None:
        """The place in the queue has changed, or it starts."""
        found = room_tasks.find(self._room.state, task)
        if found is None:
            return
        place = self._place(task)
        if place is None and found.status == "queued":
            self._board.moved(task, Moved(0, ""))  # it starts: that is written down, and told
        else:
            self._room.audience.broadcast(self._board.progress(found, place))

    def close(self) -> None:
        """No more timers."""
        self._board.close()
        for timer in self._timers:
            timer.cancel()

    # ---- one after the other ----------------------------------------------------------------------------------

    async def submit(self, outlet: Outlet, command: wire.SubmitTask) -> Refusal | None:
        """Log it, acknowledge it, give it to the desk. Raises StoreTrouble with nothing changed."""
        title = "" if command.title is UNSET else command.title
        plan = room_tasks.submit(
            self._room.state,
            user=outlet.user,
            cid=command.cid,
            prompt=command.prompt,
            title=title,
            now_s=self._wall_s(),
        )
        if isinstance(plan, Refusal):
            return plan
        if await self._room.commit(plan, Key(outlet.user, command.cid, encode(plan.ack)), outlet):
            self._give(plan)
        return None

    async def start(self, wanted: Wanted) -> None:
        """The agent's own task; the agent gets a sentence in any case."""
        start = wanted.start
        if start.done.done():  # the answer was stopped meanwhile
            return
        if self._room.state.open_run is None or self._room.state.open_run.run != wanted.run:
            start.done.set_result(ENDED)
            return
        plan = room_tasks.submit(
            self._room.state,
            user=wanted.user,
            cid=wanted.cid,
            prompt=start.prompt,
            title=start.title,
            now_s=self._wall_s(),
            run=wanted.run,
        )
        try:
            if isinstance(plan, Refusal):
                answer = f"The task was not started. {plan.message}"
            else:
                await self._room.commit(plan)
                self._give(plan)
                answer = f"Started as {plan.state.tasks[-1].task}. It runs in the background; its result comes later."
        except StoreTrouble as trouble:
            answer = f"The task was not started. {trouble.message}"
        if not start.done.done():
            start.done.set_result(answer)

    def _give(self, plan: Plan) -> None:
        if self._desk is not None:
            self._desk.submitted(self._room, plan.state.tasks[-1])

    async def cancel(self, outlet: Outlet, command: wire.CancelTask) -> bool:
        """End it as canceled by this person; False when it has ended, or never was. Raises StoreTrouble."""
        found = self._desk.found(self._room.name, command.task) if self._desk is not None else ""
        ack = wire.Ack(ref=command.cid)
        plan = room_tasks.complete(
            self._room.state,
            task=command.task,
            outcome=Outcome("canceled", found),
            now_s=self._wall_s(),
            by=outlet.user,
            ack=ack,
        )
        if plan is None:
            return False
        key = Key(outlet.user, command.cid, encode(ack))
        if await self._room.commit(plan, key, outlet, self._last_costs(command.task)):
            self._over(command.task)
        return True

    async def tell(self, news: News) -> None:
        """Write down where a task is, then show it."""
        moved = self._board.take(news.task)
        old = room_tasks.find(self._room.state, news.task)
        if moved is None or old is None:
            return
        was_written = self._board.take_written(news.task)
        plan = room_tasks.progress(self._room.state, task=news.task, moved=moved, now_s=self._wall_s())
        if plan is None:
            if was_written:
                self._room.audience.broadcast(self._board.progress(old, self._place(news.task)))
            return
        new = room_tasks.find(plan.state, news.task)
        assert new is not None
        try:
            await self._room.commit(plan, spent=self._cost(old, new))
        except StoreTrouble:
            self._board.moved(news.task, moved)  # the same again, unless newer ones come
            return
        self._room.audience.broadcast(self._board.progress(new, self._place(news.task)))

    async def hold(self, hold: Hold) -> None:
        """Write down what a request may cost, then let it go out; while the disk refuses, try again each second."""
        if hold.done.done():  # the task was canceled meanwhile
            return
        old, moved = room_tasks.find(self._room.state, hold.task), self._board.latest(hold.task)
        plan = room_tasks.hold(self._room.state, task=hold.task, moved=moved, bill=hold.bill, now_s=self._wall_s())
        if plan is None or old is None:
            return  # it has ended, and its worker with it
        new = room_tasks.find(plan.state, hold.task)
        assert new is not None
        try:
            await self._room.commit(plan, spent=self._cost(old, new))
        except StoreTrouble:
            self._later(hold)
            return
        self._board.written(hold.task)
        if not hold.done.done():
            hold.done.set_result(None)

    def _cost(self, old: OpenTask, new: OpenTask) -> Cost:
        return Cost(*grown(old, new, day_of(self._wall_s())))

    def _last_costs(self, task: str) -> Cost:
        """What its end adds to the spending: news that were not written down, and what is no request's result."""
        old = room_tasks.find(self._room.state, task)
        if old is None or self._desk is None:
            return Cost(0, 0)
        moved = self._board.latest(task)
        new = old if moved is None else move(old, moved, "")
        return self._cost(old, replace(new, bill=self._desk.final_bill(self._room.name, task)))

    async def end(self, ended: Ended) -> None:
        """Write down its one end; while the disk refuses, try again each second."""
        await self.tell(News(ended.task))
        plan = room_tasks.complete(self._room.state, task=ended.task, outcome=ended.outcome, now_s=self._wall_s())
        try:
            if plan is not None:
                key = Key("", f"complete {ended.task}", b"{}")
                await self._room.commit(plan, key, spent=self._last_costs(ended.task))
        except StoreTrouble as trouble:
            log.warning("room %s: the end of task %s waits: %s", self._room.name, ended.task, trouble.code)
            self._later(ended)
            return
        self._over(ended.task)

    def _later(self, item: Hold | Ended) -> None:
        def again() -> None:
            self._timers.discard(timer)
            self._put(item)

        timer = asyncio.get_running_loop().call_later(RETRY_S, again)
        self._timers.add(timer)

    def _over(self, task: str) -> None:
        self._board.drop(task)
        if self._desk is not None:
            self._desk.ended(self._room.name, task)
