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
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec
from msgspec import UNSET

from server import protocol as wire
from server.agents.base import Agent, Cost, Finished, Note, Question, Said, Text
from server.core import room as rules
from server.core import turn as turns
from server.core.budget import Budget, day_of
from server.core.log import Log
from server.core.presence import Presence
from server.core.turn import Turn
from server.errors import StoreTrouble, Trouble
from server.protocol import Close, encode
from server.runtime.conversation import Conversation
from server.runtime.outlet import Outlet, fan_out, fan_out_token, frame
from server.store.base import Append, Key, NewEvent, RoomEngine

log = logging.getLogger("server.room")

INBOX_COMMANDS: Final = 256  # then a connection's reader waits, and with it its peer
RETRY_ENDING_S: Final = 1.0
NOTHING: Final = Cost(0, 0)


@dataclass(frozen=True, slots=True)
class Services:
    """What all rooms share. Clocks are arguments, so that tests own them."""

    store: RoomEngine
    agent: Agent
    budget: Budget
    monotonic_s: Callable[[], float]
    wall_s: Callable[[], float]
    server_name: str


@dataclass(frozen=True, slots=True)
class _Command:
    outlet: Outlet
    command: wire.Message | wire.Clear


@dataclass(frozen=True, slots=True)
class _Ended:
    turn: Turn


class _StartQueued: ...


class RoomRunner:
    """Owns the room's state, its open answer and its timers. `run` is its asyncio task, owned by the hub."""

    def __init__(self, name: str, services: Services, state: rules.RoomState, log_: Log, talk: Conversation) -> None:
        self.name = name
        self._services = services
        self._state = state
        self._log = log_
        self._conversation = talk
        self._presence = Presence()
        self._outlets: dict[Outlet, None] = {}
        self._inbox: asyncio.Queue[_Command | _Ended | _StartQueued] = asyncio.Queue()
        self._inbox_space = asyncio.Semaphore(INBOX_COMMANDS)  # the rest is bounded: one ending a run, one start a join
        self._turn: Turn | None = None
        self._shown = 0  # code points of the open answer that are stored and shown
        self._answering: asyncio.Task[None] | None = None
        self._interrupts: list[tuple[Outlet, str]] = []  # (outlet, cid) waiting for the end of the run to be on disk
        self._flush_timer: asyncio.Handle | None = None
        self._presence_timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._retry_timer: asyncio.TimerHandle | None = None
        self._no_turn = asyncio.Event()
        self._no_turn.set()
        self._is_stopping = False
        self._group: asyncio.TaskGroup | None = None

    # ---- what others may ask -----------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether an answer is open, or a message waits for one with somebody there."""
        return self._turn is not None or not self._inbox.empty() or bool(self._state.queue and self._outlets)

    @property
    def has_open_run(self) -> bool:
        return self._turn is not None

    @property
    def queued_messages(self) -> int:
        return len(self._state.queue)

    @property
    def is_empty(self) -> bool:
        """Whether nobody is here, also not within the grace."""
        return not self._outlets and not len(self._presence)

    @property
    def member_count(self) -> int:
        return len(self._presence)

    @property
    def outlets(self) -> list[Outlet]:
        return list(self._outlets)

    # ---- joining and leaving (no await in here) -------------------------------------------------

    def join(self, outlet: Outlet, resume: wire.Resume | None) -> None:
        """Welcome, replay or snapshot, and registered for what comes: one step."""
        for other in self._outlets:
            if other.device == outlet.device and other.user == outlet.user:
                other.close(other, Close.REPLACED, "the same device joined again")
        missed = None
        if resume is not None and resume.epoch == self._services.store.epoch and resume.after >= 0:
            missed = self._log.since(resume.after)
        self._presence.join(outlet.user, wall_s=self._services.wall_s())
        frames = [self._welcome(outlet, recovered=missed is not None)]
        if missed is None:
            frames.append(self._snapshot())
        else:
            frames.extend(frame(payload) for payload in missed)
            if self._turn is not None:
                assert resume is not None
                known = resume.offset if resume.run == self._turn.run else 0
                frames.append(self._token_since(min(max(known, 0), self._shown)))
        outlet.replay(b"".join(frames))
        self._tell_presence()
        self._outlets[outlet] = None
        if self._state.queue and self._state.open_run is None:
            self._inbox.put_nowait(_StartQueued())

    def leave(self, outlet: Outlet) -> None:
        """The connection is gone."""
        del self._outlets[outlet]
        self._presence.leave(outlet.user, now_s=self._services.monotonic_s())
        self._tell_presence()

    def _welcome(self, outlet: Outlet, *, recovered: bool) -> bytes:
        state, services = self._state, self._services
        return frame(
            encode(
                wire.Welcome(
                    server=services.server_name,
                    room=self.name,
                    user=outlet.user,
                    connection=f"c{outlet.number}",
                    epoch=services.store.epoch,
                    head=self._log.head,
                    recovered=recovered,
                    members=self._presence.listed(),
                    count=len(self._presence),
                    open_run=self._open_run(with_content=False),
                    queue=list(state.queue),
                    tasks=[],
                    agent=wire.AgentInfo(services.agent.name, services.agent.model),
                    limits=wire.Limits(),
                )
            )
        )

    def _snapshot(self) -> bytes:
        events, more = self._log.newest()
        head = encode({"type": "snapshot", "epoch": self._services.store.epoch, "head": self._log.head, "more": more})
        open_run = encode(self._open_run(with_content=True))
        return frame(head[:-1] + b',"events":[' + b",".join(events) + b'],"open_run":' + open_run + b"}")

    def _open_run(self, *, with_content: bool) -> wire.OpenRun | None:
        turn = self._turn
        if turn is None:
            return None
        info = turn.info
        content = turn.taken[: self._shown] if with_content else UNSET
        return wire.OpenRun(info.run, turn.status, list(info.asked), list(info.users), content)

    def _tell_presence(self) -> None:
        now_s = self._services.monotonic_s()
        for event in self._presence.tell(now_s):
            self._broadcast(event)
        if self._presence_timer is not None:
            self._presence_timer.cancel()
            self._presence_timer = None
        due_s = self._presence.due_in_s(now_s)
        if due_s is not None:
            self._presence_timer = self._loop.call_later(due_s, self._tell_presence)

    # ---- commands ---------------------------------------------------------------------------------

    async def submit(self, outlet: Outlet, command: wire.Message | wire.Clear) -> None:
        """Into the inbox; waits while it is full. Once the server stops, commands are dropped: they come again."""
        await self._inbox_space.acquire()
        if not self._is_stopping:
            self._inbox.put_nowait(_Command(outlet, command))

    async def interrupt(self, outlet: Outlet, command: wire.Interrupt) -> None:
        """The open run stops now; its event, and then the ack, follow through the inbox."""
        turn = self._turn
        if turn is not None and turn.run == command.run:
            if turn.ending is None:
                self._stop(turn, turns.Stopped(outlet.user, "user"))
            self._interrupts.append((outlet, command.cid))
            return
        earlier = await self._services.store.find_ack(self.name, outlet.user, command.cid)
        self._send(outlet, _again(earlier) if earlier is not None else wire.Ack(ref=command.cid))

    def typing(self, outlet: Outlet, active: bool) -> None:
        """Shown to the others, never stored."""
        data = frame(encode(wire.UserTyping(outlet.user, active)))
        fan_out([other for other in self._outlets if other.user != outlet.user], data)

    # ---- the asyncio task -------------------------------------------------------------------------

    async def run(self) -> None:
        """Take what comes until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._group:
                while True:
                    match await self._inbox.get():
                        case _Command() as item:
                            self._inbox_space.release()
                            await self._obey(item.outlet, item.command)
                        case _Ended() as item:
                            await self._commit_ending(item.turn)
                        case _StartQueued():
                            await self._start_queued()
        finally:
            for timer in (self._flush_timer, self._presence_timer, self._retry_timer):
                if timer is not None:
                    timer.cancel()

    async def stop(self) -> None:
        """Before the server ends: the open answer is closed as interrupted by it, with its text."""
        self._is_stopping = True
        if self._turn is not None and self._turn.ending is None:
            self._stop(self._turn, turns.Stopped(None, "server_restart"))
        await self._no_turn.wait()

    async def _obey(self, outlet: Outlet, command: wire.Message | wire.Clear) -> None:
        now_s = self._services.wall_s()
        try:
            match command:
                case wire.Message():
                    plan = rules.post(
                        self._state, user=outlet.user, cid=command.cid, content=command.content, now_s=now_s
                    )
                case wire.Clear():
                    plan = await self._plan_clear(outlet, command, now_s)
            if isinstance(plan, rules.Refusal):
                # A message that took effect before may find the queue full when it comes again.
                earlier = await self._services.store.find_ack(self.name, outlet.user, command.cid)
                if earlier is not None:
                    self._send(outlet, _again(earlier))
                else:
                    self._refuse(outlet, command.cid, plan.code, plan.message, plan.retry_after_s)
                return
            await self._commit(plan, outlet)
        except StoreTrouble as trouble:
            self._refuse(outlet, command.cid, trouble.code, trouble.message, trouble.retry_after_s)

    async def _plan_clear(self, outlet: Outlet, command: wire.Clear, now_s: float) -> rules.Plan:
        """A clear that comes again must not stop the run that is open now, so look first. Raises StoreTrouble."""
        if await self._services.store.find_ack(self.name, outlet.user, command.cid) is None:
            turn = self._turn
            if turn is not None:
                if turn.ending is not None:
                    await self._commit_ending(turn)
                else:
                    self._stop(turn, turns.Stopped(outlet.user, "clear"))
        content = self._turn.content if self._turn is not None else ""
        return rules.clear(self._state, user=outlet.user, cid=command.cid, content=content, now_s=now_s)

    async def _start_queued(self) -> None:
        plan = rules.start_queued(self._state)
        if plan is not None:
            try:
                await self._commit(plan, None)
            except StoreTrouble:
                log.warning("room %s: queued messages could not be started", self.name)

    # ---- from plan to fact ------------------------------------------------------------------------

    async def _commit(
        self, plan: rules.Plan, asker: Outlet | None, interrupter: tuple[Outlet, str] | None = None
    ) -> None:
        """Put a plan on disk, then make it so. Raises StoreTrouble with nothing changed."""
        services = self._services
        day = day_of(services.wall_s())
        plan, reserved, has_budget = self._reserve(plan, day)
        settled = self._settlement(plan, day)
        ack = plan.ack if asker is not None else None
        key = None if asker is None or ack is None else Key(asker.user, ack.ref, encode(ack))
        if interrupter is not None:
            key = Key(interrupter[0].user, interrupter[1], encode(wire.Ack(ref=interrupter[1])))
        payloads = [encode(event) for event in plan.events]
        written = False
        try:
            earlier = await services.store.append(
                self.name,
                Append(
                    events=tuple(map(new_event, plan.events, payloads)),
                    state=rules.encode_state(plan.state),
                    key=key,
                    ended_run=plan.ends,
                    day=day,
                    spent_tokens=reserved.tokens + settled.tokens,
                    spent_microdollars=reserved.microdollars + settled.microdollars,
                ),
            )
            written = earlier is None
        finally:
            if not written:
                services.budget.settle(day, -reserved.tokens, -reserved.microdollars)
        if earlier is None:
            services.budget.settle(day, settled.tokens, settled.microdollars)
            self._apply(plan, payloads, asker, has_budget=has_budget)
        elif asker is not None:
            self._send(asker, _again(earlier))
        else:  # an interrupt under a cid that was used before: the run ends all the same
            await self._commit(plan, None)

    def _reserve(self, plan: rules.Plan, day: str) -> tuple[rules.Plan, Cost, bool]:
        """The plan with its started run's part of the budget, that part, and whether there was enough."""
        services = self._services
        if plan.starts is None or not services.budget.is_limited:
            return plan, NOTHING, True
        new = tuple(Said(event.user, event.content) for event in plan.events if isinstance(event, wire.UserMessage))
        question = self._question(plan.starts)
        most = services.agent.most(msgspec.structs.replace(question, asked=question.asked + new))
        if not services.budget.reserve(day, most.tokens, most.microdollars):
            return plan, NOTHING, False
        return rules.reserve(plan, day=day, tokens=most.tokens, microdollars=most.microdollars), most, True

    def _settlement(self, plan: rules.Plan, day: str) -> Cost:
        """What the ended run cost beyond what it had reserved (less than 0: given back)."""
        turn, info = self._turn, self._state.open_run
        if plan.ends is None or turn is None or info is None or turn.run != plan.ends or turn.started_at_s is None:
            return NOTHING
        agent = self._services.agent
        if isinstance(turn.ending, turns.Finished) and turn.ending.usage.total_tokens:
            cost = agent.cost(turn.ending.usage)
        else:
            cost = agent.partial_cost(self._question(turn.info), turn.content)
        tokens, microdollars = cost.tokens - info.reserved_tokens, cost.microdollars - info.reserved_microdollars
        if info.day and info.day != day:  # over midnight: what was reserved stays on the day of the start
            tokens, microdollars = max(0, tokens), max(0, microdollars)
        return Cost(tokens, microdollars)

    def _apply(self, plan: rules.Plan, payloads: list[bytes], asker: Outlet | None, *, has_budget: bool) -> None:
        """The plan is on disk: ack, fan-out, start. No await in here."""
        self._state = plan.state
        if asker is not None and plan.ack is not None:
            self._send(asker, plan.ack)
        if plan.ends is not None:
            self._close_turn()
        for event, payload in zip(plan.events, payloads, strict=True):
            self._log.append(self._log.head + 1, payload)
            self._conversation.apply(event)
            fan_out(self._outlets, frame(payload))
        if plan.drops is not None:
            self._broadcast(wire.Status(plan.drops, "idle", [], []))
        if plan.starts is not None:
            self._open_turn(plan.starts, has_budget=has_budget)
        elif plan.state.queue and plan.ends is None:
            queue = plan.state.queue
            users = list(dict.fromkeys(message.user for message in queue))
            self._broadcast(wire.Status(plan.state.queued_run, "queued", [m.id for m in queue], users))

    # ---- the open answer --------------------------------------------------------------------------

    def _question(self, info: rules.RunInfo) -> Question:
        talk = self._conversation
        return Question(self.name, info.run, talk.history, talk.asked(info.asked))

    def _open_turn(self, info: rules.RunInfo, *, has_budget: bool) -> None:
        turn = self._turn = Turn(info)
        self._no_turn.clear()
        self._shown = 0
        for outlet in self._outlets:
            outlet.is_behind = False
        self._broadcast(wire.Status(info.run, "thinking", list(info.asked), list(info.users)))
        if not has_budget:
            self._end(turn, turns.Failed("budget_exceeded", "Today's budget of this server is used up; try tomorrow."))
            return
        assert self._group is not None
        turn.started_at_s = self._services.monotonic_s()
        self._answering = self._group.create_task(self._answer(turn), name=f"answer {self.name} {info.run}")

    def _close_turn(self) -> None:
        """The terminal event is on disk."""
        if self._answering is not None:
            self._answering.cancel()
            self._answering = None
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        self._turn = None
        self._no_turn.set()
        interrupts, self._interrupts = self._interrupts, []
        for outlet, cid in interrupts:
            self._send(outlet, wire.Ack(ref=cid))

    async def _answer(self, turn: Turn) -> None:
        """The asyncio task of one run: what the agent yields, until it ends or is cancelled."""
        ending: turns.Ending = turns.Failed(
            "model_error", "The model's answer broke off without an end; what came is kept. Ask again to go on."
        )
        try:
            async with aclosing(self._services.agent.answer(self._question(turn.info))) as items:
                async for item in items:
                    match item:
                        case Text():
                            if not turn.add(item.content):
                                ending = turns.Finished("size_limit", wire.Usage())
                                break
                            self._schedule_flush(turn)
                        case Note():
                            self._tell_status(turn, item.content)
                        case Finished():
                            ending = turns.Finished(item.stop_reason, item.usage)
                            break
        except Trouble as trouble:
            ending = turns.Failed(trouble.code, trouble.message)
        except Exception:
            log.exception("room %s: the agent failed in run %s", self.name, turn.run)
            ending = turns.Failed(
                "internal", "The agent failed inside the server; its log says why. Ask again to retry."
            )
        self._end(turn, ending)

    def _stop(self, turn: Turn, ending: turns.Stopped) -> None:
        """End the answer from outside: the provider's stream is closed at the next step of the loop."""
        self._end(turn, ending)
        if self._answering is not None:
            self._answering.cancel()

    def _end(self, turn: Turn, ending: turns.Ending) -> None:
        if turn.end(ending):
            self._put_ended(turn)

    def _put_ended(self, turn: Turn) -> None:
        if self._turn is turn:
            self._inbox.put_nowait(_Ended(turn))

    async def _commit_ending(self, turn: Turn) -> None:
        """Put the terminal event on disk; while the disk refuses, try again each second."""
        if self._turn is not turn:
            return
        plan = _plan_of_ending(self._state, turn, self._services.wall_s())
        if plan is None:
            self._close_turn()
            return
        try:
            await self._commit(plan, None, self._interrupts[0] if self._interrupts else None)
        except StoreTrouble as trouble:
            interrupts, self._interrupts = self._interrupts, []
            for outlet, cid in interrupts:
                self._refuse(outlet, cid, trouble.code, trouble.message, trouble.retry_after_s)
            self._retry_timer = self._loop.call_later(RETRY_ENDING_S, self._put_ended, turn)

    # ---- text on its way out ----------------------------------------------------------------------

    def _schedule_flush(self, turn: Turn) -> None:
        if self._flush_timer is not None:
            return
        due_s = turn.due_in_s(self._services.monotonic_s())
        if due_s is None:
            return
        # "At once" is the end of this step of the loop: an answer that is already whole needs no pieces.
        if due_s == 0:
            self._flush_timer = self._loop.call_soon(self._flush, turn)
        else:
            self._flush_timer = self._loop.call_later(due_s, self._flush, turn)

    def _flush(self, turn: Turn) -> None:
        self._flush_timer = None
        if turn.ending is not None or self._turn is not turn:
            return
        if turn.offset == 0:
            self._tell_status(turn, None)
        offset, text = turn.take(self._services.monotonic_s())
        piece = self._services.store.append_piece(self.name, turn.run, offset, text)
        piece.add_done_callback(partial(self._show, turn, offset, text))

    def _show(self, turn: Turn, offset: int, text: str, stored: asyncio.Future[None]) -> None:
        """A piece is stored: everybody sees it."""
        if stored.cancelled():
            return
        trouble = stored.exception()
        if trouble is not None:
            message = trouble.message if isinstance(trouble, Trouble) else "The server could not store the answer."
            code: wire.Code = trouble.code if isinstance(trouble, Trouble) else "internal"
            self._end(turn, turns.Failed(code, message))
            if self._answering is not None:
                self._answering.cancel()
            return
        if self._turn is turn:
            self._shown = offset + len(text)
            data = frame(encode(wire.Token(turn.run, offset, text)))
            fan_out_token(self._outlets, data, offset, self._token_since)

    def _token_since(self, offset: int) -> bytes:
        assert self._turn is not None
        return frame(encode(wire.Token(self._turn.run, offset, self._turn.taken[offset : self._shown])))

    def catch_up(self) -> None:
        """Whoever was behind and has drained gets what it missed, also while the agent is silent."""
        if self._turn is not None and any(outlet.is_behind for outlet in self._outlets):
            behind = [outlet for outlet in self._outlets if outlet.is_behind]
            fan_out_token(behind, b"", self._shown, self._token_since)

    def _tell_status(self, turn: Turn, note: str | None) -> None:
        info = turn.info
        status = wire.Status(info.run, turn.status, list(info.asked), list(info.users))
        if note is not None:
            status.note = note
        self._broadcast(status)

    # ---- out --------------------------------------------------------------------------------------

    def _broadcast(self, event: wire.LiveEvent) -> None:
        fan_out(self._outlets, frame(encode(event)))

    def _send(self, outlet: Outlet, event: wire.Ack | wire.Error) -> None:
        outlet.send(frame(encode(event)))

    def _refuse(
        self, outlet: Outlet, cid: str, code: wire.Code, message: str, retry_after_s: float | None = None
    ) -> None:
        self._send(outlet, refusal(cid, code, message, retry_after_s))


def refusal(ref: str | None, code: wire.Code, message: str, retry_after_s: float | None = None) -> wire.Error:
    """The answer to a command that has no effect."""
    error = wire.Error(code=code, message=message, ref=ref, retryable=code in wire.RETRYABLE)
    if retry_after_s is not None:
        error.retry_after = round(retry_after_s, 3)
    return error


def _again(stored_ack: bytes) -> wire.Ack:
    ack = msgspec.json.decode(stored_ack, type=wire.Ack)
    ack.duplicate = True
    return ack


def new_event(event: wire.DurableEvent, payload: bytes) -> NewEvent:
    """An event as the store takes it."""
    assert event.id is not UNSET
    assert event.time is not UNSET
    user = event.user if isinstance(event, wire.UserMessage) else ""
    return NewEvent(event.id, payload, user, rules.words_of(event), event.time)


def _plan_of_ending(state: rules.RoomState, turn: Turn, now_s: float) -> rules.Plan | None:
    match turn.ending:
        case turns.Finished(stop_reason, usage):
            return rules.finish(
                state, run=turn.run, content=turn.content, stop_reason=stop_reason, usage=usage, now_s=now_s
            )
        case turns.Failed(code, message):
            return rules.fail(state, run=turn.run, code=code, message=message, content=turn.content, now_s=now_s)
        case turns.Stopped(by, reason):
            return rules.interrupt(state, run=turn.run, by=by, reason=reason, content=turn.content, now_s=now_s)
        case None:
            raise AssertionError("the run has not ended")
