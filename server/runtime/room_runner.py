"""One room at work: its inbox is the order. Rules from core, bytes to the store, events to everybody.

The runner's asyncio task takes one item after the other; while an event is on its way to the disk the next one waits,
so a refusal by the disk needs no undoing. What must not wait happens at once: joins and leaves (no `await` between
choosing a replay and registering for live events), text of the agent, and the stopping of a run on an interrupt, whose
event then goes through the inbox. The store works in order, so a piece that was given to it before a terminal
event is shown before it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from server import protocol as wire
from server.agents.base import Agent, Cost, Question, StartTask
from server.core import room as rules
from server.core import turn as turns
from server.core.budget import Budget, day_of
from server.core.log import Log
from server.core.task import Moved, OpenTask, Outcome
from server.core.turn import Turn
from server.errors import StoreTrouble
from server.protocol import encode
from server.runtime import spending, views
from server.runtime.answer import OpenAnswer
from server.runtime.audience import Audience
from server.runtime.conversation import Conversation
from server.runtime.outlet import Outlet, frame
from server.runtime.room_tasks import Ended, News, RoomTasks, Wanted
from server.runtime.task_desk import Hold, TaskDesk
from server.runtime.views import refusal
from server.store.base import Append, Key, RoomEngine

log = logging.getLogger("server.room")

INBOX_COMMANDS: Final = 256  # then a connection's reader waits, and with it its peer
RETRY_ENDING_S: Final = 1.0
NO_BUDGET: Final = turns.Failed("budget_exceeded", "Today's budget of this server is used up; ask again tomorrow.")


@dataclass(frozen=True, slots=True)
class Services:
    """What all rooms share. Clocks are arguments, so that tests own them."""

    store: RoomEngine
    agent: Agent
    budget: Budget
    monotonic_s: Callable[[], float]
    wall_s: Callable[[], float]
    server_name: str
    desk: TaskDesk | None = None


Ordered = wire.Message | wire.Clear | wire.SubmitTask | wire.CancelTask


@dataclass(frozen=True, slots=True)
class _Command:
    outlet: Outlet
    command: Ordered


class _StartQueued: ...


class _Stop: ...


_Item = _Command | OpenAnswer | _StartQueued | _Stop | News | Hold | Ended | Wanted


class RoomRunner:
    """Owns the room's state, its open answer and its timers. `run` is its asyncio task, owned by the hub."""

    def __init__(self, name: str, services: Services, state: rules.RoomState, log_: Log, talk: Conversation) -> None:
        self.name = name
        self._services = services
        self._state = state
        self._log = log_
        self._conversation = talk
        self.audience = Audience(services.monotonic_s, services.wall_s)
        self._inbox: asyncio.Queue[_Item] = asyncio.Queue()
        # Commands are bounded by this; the rest by itself: one ending a run, one start a join, two items a task.
        self._inbox_space = asyncio.Semaphore(INBOX_COMMANDS)
        self._tasks = RoomTasks(
            self, services.desk, services.monotonic_s, services.wall_s, lambda item: self._inbox.put_nowait(item)
        )
        self._answer: OpenAnswer | None = None
        self._is_working = False  # on an item of the inbox
        self._stopped = asyncio.Event()  # nothing is open or on its way any more, and nothing will be
        self._interrupts: list[tuple[Outlet, str]] = []  # (outlet, cid) waiting for the end of the run to be on disk
        self._retry_timer: asyncio.TimerHandle | None = None
        self._is_stopping = False
        self._loop = asyncio.get_running_loop()
        self._group: asyncio.TaskGroup | None = None

    # ---- what others may ask ----------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether a task or an answer is open, or a message waits for one with somebody there."""
        is_at_work = self._is_working or not self._inbox.empty() or bool(self._state.tasks)
        return is_at_work or self.has_open_run or bool(self._state.queue and self.audience.outlets)

    @property
    def has_open_run(self) -> bool:
        return self._answer is not None

    @property
    def queued_messages(self) -> int:
        return len(self._state.queue)

    @property
    def state(self) -> rules.RoomState:
        """What is on disk."""
        return self._state

    @property
    def open_tasks(self) -> tuple[OpenTask, ...]:
        return self._state.tasks

    # ---- joining (no await in here) ----------------------------------------------------------------

    def join(self, outlet: Outlet, resume: wire.Resume | None) -> None:
        """Welcome, replay or snapshot, and registered for what comes: one step."""
        epoch, answer = self._services.store.epoch, self._answer
        missed = None
        if resume is not None and resume.epoch == epoch and resume.after >= 0:
            missed = self._log.since(resume.after)
        self.audience.expect(outlet)
        welcome = wire.Welcome(
            server=self._services.server_name,
            room=self.name,
            user=outlet.user,
            connection=f"c{outlet.number}",
            epoch=epoch,
            head=self._log.head,
            recovered=missed is not None,
            members=self.audience.listed(),
            count=self.audience.member_count,
            open_run=views.open_run(answer, with_content=False),
            queue=list(self._state.queue),
            tasks=self._tasks.infos(),
            agent=wire.AgentInfo(self._services.agent.name, self._services.agent.model),
            limits=wire.Limits(),
        )
        frames = [frame(encode(welcome))]
        if missed is None:
            frames.append(frame(views.snapshot(epoch, self._log, answer)))
        else:
            frames.extend(frame(payload) for payload in missed)
            if answer is not None and resume is not None:
                known = resume.offset if resume.run == answer.run else 0
                frames.append(self._tokens_since(min(max(known, 0), answer.shown)))
        outlet.replay(b"".join(frames))
        self.audience.admit(outlet)
        if self._state.queue and self._state.open_run is None:
            self._inbox.put_nowait(_StartQueued())

    # ---- commands ---------------------------------------------------------------------------------

    async def submit(self, outlet: Outlet, command: Ordered) -> None:
        """Into the inbox; waits while it is full. Once the server stops, commands are dropped: they come again."""
        await self._inbox_space.acquire()
        if self._is_stopping:
            self._inbox_space.release()  # whoever waits behind goes too
        else:
            self._inbox.put_nowait(_Command(outlet, command))

    async def interrupt(self, outlet: Outlet, command: wire.Interrupt) -> None:
        """The open run stops now; its event, and then the ack, follow through the inbox. Raises StoreTrouble."""
        answer = self._answer
        if answer is not None and answer.run == command.run:
            self._interrupts.append((outlet, command.cid))
            answer.end(turns.Stopped(outlet.user, "user"))
            return
        earlier = await self._services.store.find_ack(self.name, outlet.user, command.cid)
        self._send(outlet, _again(earlier) if earlier is not None else wire.Ack(ref=command.cid))

    # ---- the asyncio task -------------------------------------------------------------------------

    async def run(self) -> None:
        """Take what comes until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._group:
                while True:
                    item = await self._inbox.get()
                    self._is_working = True
                    await self._take(item)
                    self._is_working = False
                    if self._is_stopping and self._answer is None and self._inbox.empty():
                        self._stopped.set()
        finally:
            self._is_stopping = True
            self._inbox_space.release()
            self._stopped.set()
            self._tasks.close()
            self.audience.close()
            if self._retry_timer is not None:
                self._retry_timer.cancel()
            if self._answer is not None:
                self._answer.close()

    async def _take(self, item: _Item) -> None:
        match item:
            case _Command():
                self._inbox_space.release()
                if not self._is_stopping:
                    await self._obey(item.outlet, item.command)
            case OpenAnswer() as answer:
                await self._commit_ending(answer)
            case _StartQueued():
                if not self._is_stopping:
                    await self._start_queued()
            case News() as news:
                await self._tasks.tell(news)
            case Hold() as hold:
                await self._tasks.hold(hold)
            case Ended() as ended:
                await self._tasks.end(ended)
            case Wanted() as wanted:
                await self._tasks.start(wanted)
            case _Stop():
                pass  # it only wakes the room

    async def stop(self) -> None:
        """Before the server ends: the open answer is closed as interrupted by it, with its text, and none begins."""
        self._is_stopping = True
        if self._answer is not None:
            self._answer.end(turns.Stopped(None, "server_restart"))
        self._inbox.put_nowait(_Stop())
        await self._stopped.wait()

    async def _obey(self, outlet: Outlet, command: Ordered) -> None:
        now_s = self._services.wall_s()
        plan: rules.Plan | rules.Refusal | None = None
        try:
            match command:
                case wire.Message():
                    plan = rules.post(
                        self._state, user=outlet.user, cid=command.cid, content=command.content, now_s=now_s
                    )
                case wire.Clear():
                    plan = await self._plan_clear(outlet, command, now_s)
                case wire.SubmitTask():
                    plan = await self._tasks.submit(outlet, command)
                    if plan is None:
                        return
                case wire.CancelTask():
                    if await self._tasks.cancel(outlet, command):
                        return
            if isinstance(plan, rules.Plan):
                await self.commit(plan, Key(outlet.user, command.cid, encode(plan.ack)), outlet)
                return
            # A command that took effect before may find the room full, or the task ended, when it comes again.
            earlier = await self._services.store.find_ack(self.name, outlet.user, command.cid)
            if earlier is not None:
                self._send(outlet, _again(earlier))
            elif plan is not None:
                self._send(outlet, refusal(command.cid, plan.code, plan.message, plan.retry_after_s))
            else:
                self._send(outlet, wire.Ack(ref=command.cid))
        except StoreTrouble as trouble:
            self._send(outlet, refusal(command.cid, trouble.code, trouble.message, trouble.retry_after_s))

    async def _plan_clear(self, outlet: Outlet, command: wire.Clear, now_s: float) -> rules.Plan:
        """A clear that comes again must not stop the run that is open now, so look first. Raises StoreTrouble."""
        answer = self._answer
        if await self._services.store.find_ack(self.name, outlet.user, command.cid) is None and answer is not None:
            if answer.turn.ending is None:
                answer.end(turns.Stopped(outlet.user, "clear"))
            else:
                await self._commit_ending(answer)
        content = self._answer.turn.content if self._answer is not None else ""
        return rules.clear(self._state, user=outlet.user, cid=command.cid, content=content, now_s=now_s)

    async def _start_queued(self) -> None:
        plan = rules.start_queued(self._state)
        if plan is not None:
            try:
                await self.commit(plan)
            except StoreTrouble:
                log.warning("room %s: queued messages could not be started", self.name)

    # ---- from plan to fact ------------------------------------------------------------------------

    async def commit(
        self, plan: rules.Plan, key: Key | None = None, asker: Outlet | None = None, spent: Cost = spending.NOTHING
    ) -> bool:
        """Put a plan on disk, then make it so; False when `key` was known (the asker gets its first ack again).
        `spent` is what a task has cost since it was last written down; the desk has it in the budget already.

        Raises StoreTrouble with nothing changed.
        """
        services = self._services
        day = day_of(services.wall_s())
        reserved, has_budget = spending.NOTHING, True
        if plan.starts is not None and services.budget.is_limited:
            paid = spending.reserve(plan, self._question(plan.starts), services.agent, services.budget, day)
            has_budget = paid is not None
            if paid is not None:
                plan, reserved = paid
        settled = self._settlement(plan, day)
        payloads = [encode(event) for event in plan.events]
        append = Append(
            events=tuple(map(views.new_event, plan.events, payloads)),
            state=rules.encode_state(plan.state),
            key=key,
            ended_run=plan.ends,
            day=day,
            spent_tokens=reserved.tokens + settled.tokens + spent.tokens,
            spent_microdollars=reserved.microdollars + settled.microdollars + spent.microdollars,
            open_tasks=len(plan.state.tasks),
        )
        is_written = False
        try:
            earlier = await services.store.append(self.name, append)
            is_written = earlier is None
        finally:
            if not is_written:
                services.budget.settle(day, -reserved.tokens, -reserved.microdollars)
        if earlier is not None:
            if asker is not None:
                self._send(asker, _again(earlier))
            return False
        services.budget.settle(day, settled.tokens, settled.microdollars)
        self._apply(plan, payloads, asker, has_budget=has_budget)
        return True

    def _apply(self, plan: rules.Plan, payloads: list[bytes], asker: Outlet | None, *, has_budget: bool) -> None:
        """The plan is on disk: ack, fan-out, start. No await in here."""
        self._state = plan.state
        if plan.ends is not None:
            self._close_answer()
        frames: list[bytes] = []
        for event, payload in zip(plan.events, payloads, strict=True):
            self._log.append(self._log.head + 1, payload)
            self._conversation.apply(event)
            frames.append(frame(payload))
        if plan.drops is not None:
            frames.append(frame(encode(wire.Status(plan.drops, "idle", [], []))))
        if plan.starts is not None:
            frames.append(frame(encode(self._open_answer(plan.starts, has_budget=has_budget))))
        elif plan.state.queue and plan.ends is None:
            queue = plan.state.queue
            users = list(dict.fromkeys(message.user for message in queue))
            frames.append(frame(encode(wire.Status(plan.state.queued_run, "queued", [m.id for m in queue], users))))
        ack = frame(encode(plan.ack)) if plan.ack is not None else b""
        self.audience.tell(b"".join(frames), asker, ack)

    def _settlement(self, plan: rules.Plan, day: str) -> Cost:
        answer, info = self._answer, self._state.open_run
        if answer is None or info is None or plan.ends != info.run or not answer.was_asked:
            return spending.NOTHING
        return spending.settlement(info, answer.turn, lambda: self._question(info), self._services.agent, day)

    # ---- the open answer --------------------------------------------------------------------------

    def _question(self, info: rules.RunInfo) -> Question:
        return self._conversation.question(self.name, info)

    def _open_answer(self, info: rules.RunInfo, *, has_budget: bool) -> wire.Status:
        """Begin a run; what everybody is to be told of it."""
        services = self._services
        answer = self._answer = OpenAnswer(self.name, Turn(info), services.store, self, services.monotonic_s)
        self.audience.answer_begins()
        if self._is_stopping:
            answer.end(turns.Stopped(None, "server_restart"))
        elif has_budget:
            assert self._group is not None
            answer.start(services.agent, self._question(info), self._group)
        else:
            answer.end(NO_BUDGET)
        return _status_of(answer)

    def _close_answer(self) -> None:
        """Its terminal event is on disk."""
        if self._answer is not None:
            self._answer.close()
        self._answer = None
        interrupts, self._interrupts = self._interrupts, []
        for outlet, cid in interrupts:
            self._send(outlet, wire.Ack(ref=cid))

    async def _commit_ending(self, answer: OpenAnswer) -> None:
        """Put the terminal event on disk; while the disk refuses, try again each second."""
        if self._answer is not answer:
            return
        plan = views.plan_of_ending(self._state, answer.turn, self._services.wall_s(), open_next=not self._is_stopping)
        key = None
        if self._interrupts:
            outlet, cid = self._interrupts[0]
            key = Key(outlet.user, cid, encode(wire.Ack(ref=cid)))
        try:
            if not await self.commit(plan, key):
                await self.commit(plan)  # an interrupt under a cid that was used before: the run ends all the same
        except StoreTrouble as trouble:
            interrupts, self._interrupts = self._interrupts, []
            for outlet, cid in interrupts:
                self._send(outlet, refusal(cid, trouble.code, trouble.message, trouble.retry_after_s))
            self._retry_timer = self._loop.call_later(RETRY_ENDING_S, self._inbox.put_nowait, answer)

    def answer_ended(self, answer: OpenAnswer) -> None:
        """(Listener) Its terminal event goes through the inbox."""
        self._inbox.put_nowait(answer)

    def answer_wants_task(self, answer: OpenAnswer, start: StartTask, number: int) -> None:
        """(Listener) The agent starts a task for whoever asked last."""
        info = answer.turn.info
        self._inbox.put_nowait(Wanted(info.run, info.users[-1], f"{info.run}.{number}", start))

    def answer_status(self, answer: OpenAnswer, note: str | None) -> None:
        """(Listener) Everybody sees what it does."""
        status = _status_of(answer)
        if note is not None:
            status.note = note
        self.audience.broadcast(status)

    def answer_piece(self, answer: OpenAnswer, offset: int, text: str) -> None:
        """(Listener) A piece is stored: everybody sees it."""
        if self._answer is answer:
            data = frame(encode(wire.Token(answer.run, offset, text)))
            self.audience.show(data, offset, self._tokens_since)

    def _tokens_since(self, offset: int) -> bytes:
        assert self._answer is not None
        return frame(encode(wire.Token(self._answer.run, offset, self._answer.shown_text(offset))))

    def catch_up(self) -> None:
        """Whoever was behind and has drained gets what it missed, also while the agent is silent."""
        if self._answer is not None:
            self.audience.catch_up(self._answer.shown, self._tokens_since)

    # ---- tasks (task_desk.Room) -------------------------------------------------------------------

    def task_placed(self, task: str) -> None:
        self._tasks.placed(task)

    def task_moved(self, task: str, moved: Moved) -> None:
        self._tasks.moved(task, moved)

    def task_holds(self, hold: Hold) -> None:
        self._inbox.put_nowait(hold)

    def task_ended(self, task: str, outcome: Outcome) -> None:
        self._inbox.put_nowait(Ended(task, outcome))

    # ---- out --------------------------------------------------------------------------------------

    def _send(self, outlet: Outlet, event: wire.Ack | wire.Error) -> None:
        outlet.send(frame(encode(event)))


def _status_of(answer: OpenAnswer) -> wire.Status:
    info = answer.turn.info
    return wire.Status(info.run, answer.turn.status, list(info.asked), list(info.users))


def _again(stored_ack: bytes) -> wire.Ack:
    ack = msgspec.json.decode(stored_ack, type=wire.Ack)
    ack.duplicate = True
    return ack
