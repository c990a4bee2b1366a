"""All rooms of a server: opened at first need, recovered after a crash, let go when empty.

The hub owns the rooms' asyncio tasks. A room whose task fails is thrown away, its members reconnect (1011) and find
it as it is on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from server import protocol as wire
from server.agents.base import Cost
from server.core import room as rules
from server.core.budget import day_of
from server.core.log import Log
from server.errors import StoreTrouble
from server.protocol import RESUME_BYTES, RESUME_EVENTS, decode_durable, encode
from server.runtime.conversation import Conversation
from server.runtime.room_runner import RoomRunner, Services
from server.runtime.views import new_event
from server.store.base import Append

log = logging.getLogger("server.hub")

SWEEP_S: Final = 0.5
LET_GO_AFTER_SWEEPS: Final = 60  # an empty room stays in memory for half a minute
STOP_S: Final = 5.0
TALK_EVENTS: Final = 10_000  # that a room which is loaded tells its agent of, at most
TALK_BYTES: Final = 4_000_000  # of their JSON: as many tokens as a Conversation keeps, about
STEP_EVENTS: Final = 250  # read in one step of the loop: about a millisecond
VISITS: Final = 10_000  # remembered in memory, so that who comes back costs no write


class Hub:
    """Use as an async context manager; on leaving, all rooms have ended."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._rooms: dict[str, RoomRunner] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._empty_sweeps: dict[str, int] = {}
        self._visits: set[tuple[str, str]] = set()
        self._group = asyncio.TaskGroup()
        self._sweeper: asyncio.Task[None] | None = None
        self._is_stopping = False

    async def __aenter__(self) -> Hub:
        await self._group.__aenter__()
        self._sweeper = self._group.create_task(self._sweep(), name="sweep")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for task in (self._sweeper, *self._tasks.values()):
            if task is not None:
                task.cancel()
        await self._group.__aexit__(None, None, None)

    @property
    def is_busy(self) -> bool:
        """Whether an answer or a task is open or a message is about to be answered."""
        return any(room.is_busy for room in self._rooms.values())

    @property
    def open_runs(self) -> int:
        return sum(room.has_open_run for room in self._rooms.values())

    @property
    def queued_messages(self) -> int:
        return sum(room.queued_messages for room in self._rooms.values())

    def member_count(self, name: str) -> int:
        """How many people are in a room now."""
        room = self._rooms.get(name)
        return room.audience.member_count if room is not None else 0

    async def room(self, name: str) -> RoomRunner:
        """The room, loaded from the store at first need. Raises StoreTrouble."""
        while (room := self._rooms.get(name)) is None:
            lock = self._opening.setdefault(name, asyncio.Lock())
            async with lock:
                if name in self._rooms or self._opening.get(name) is not lock:
                    continue  # somebody else has opened it, or has tried
                try:
                    await self._open(name)
                finally:
                    del self._opening[name]
        return room

    async def _open(self, name: str) -> None:
        room = await self._load(name)
        if self._is_stopping:
            raise StoreTrouble("internal", "The server restarts; connect again.")
        self._rooms[name] = room
        self._tasks[name] = self._group.create_task(self._run(room), name=f"room {name}")

    async def _load(self, name: str) -> RoomRunner:
        store = self.services.store
        stored = await store.load(name, tail_events=RESUME_EVENTS, tail_bytes=RESUME_BYTES)
        state = rules.decode_state(stored.state)
        log_ = Log(stored.head - len(stored.tail))
        for event in stored.tail:
            log_.append(event.id, event.payload)
        talk = Conversation()
        earlier, _ = await store.read_before(name, stored.head + 1, limit=TALK_EVENTS, max_bytes=TALK_BYTES)
        for place, event in enumerate(earlier):
            if place % STEP_EVENTS == 0:
                await asyncio.sleep(0)  # the other rooms go on
            if event.id > state.cleared_at:
                talk.apply(decode_durable(event.payload))
        if state.open_run is not None:
            # The server died in this answer. It is never asked again unbidden; its reservation stays spent, and where
            # it had none (no limit is set) the question and the text that came count.
            services, open_run = self.services, state.open_run
            day, cost = day_of(services.wall_s()), Cost(0, 0)
            if not open_run.day:
                cost = services.agent.partial_cost(talk.question(name, open_run), stored.pieces)
            plan = rules.interrupt(
                state,
                run=state.open_run.run,
                by=None,
                reason="server_restart",
                content=stored.pieces,
                now_s=self.services.wall_s(),
            )
            assert plan is not None
            payloads = [encode(event) for event in plan.events]
            append = Append(
                events=tuple(map(new_event, plan.events, payloads)),
                state=rules.encode_state(plan.state),
                ended_run=plan.ends,
                day=day,
                spent_tokens=cost.tokens,
                spent_microdollars=cost.microdollars,
                open_tasks=len(plan.state.tasks),
            )
            # Counted before: a joiner who leaves cancels this wait, but not the write.
            services.budget.settle(day, cost.tokens, cost.microdollars)
            try:
                await store.append(name, append)
            except StoreTrouble:
                services.budget.settle(day, -cost.tokens, -cost.microdollars)
                raise
            state = plan.state
            for ended, payload in zip(plan.events, payloads, strict=True):
                log_.append(log_.head + 1, payload)
                talk.apply(ended)
        return RoomRunner(name, self.services, state, log_, talk)

    async def _run(self, room: RoomRunner) -> None:
        try:
            await room.run()
        except Exception:
            log.exception("room %s failed; its members will reconnect", room.name)
            for outlet in room.audience.outlets:
                outlet.close(outlet, 1011, "the room failed")
            if self.services.desk is not None and room.open_tasks:
                self._group.create_task(self.services.desk.rebind(room.name), name=f"tasks of {room.name}")
        finally:
            if self._rooms.get(room.name) is room:  # not one that was opened since
                del self._rooms[room.name]
                self._tasks.pop(room.name, None)

    async def _sweep(self) -> None:
        """Twice a second: catch up who drained, close who is stuck, let go of empty rooms."""
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = self.services.monotonic_s()
            for room in list(self._rooms.values()):
                room.catch_up()
                for outlet in room.audience.outlets:
                    if outlet.is_stuck(now_s):
                        outlet.close(outlet, wire.Close.SLOW_CONSUMER, "no progress")
                if not room.audience.is_empty or room.is_busy:
                    self._empty_sweeps.pop(room.name, None)
                    continue
                sweeps = self._empty_sweeps[room.name] = self._empty_sweeps.get(room.name, 0) + 1
                if sweeps >= LET_GO_AFTER_SWEEPS:
                    del self._empty_sweeps[room.name], self._rooms[room.name]
                    self._tasks.pop(room.name).cancel()

    async def stop(self) -> None:
        """Close open answers as interrupted by the restart, on disk; at most STOP_S. No room opens from now on."""
        self._is_stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await asyncio.gather(*(room.stop() for room in list(self._rooms.values())))

    # ---- what needs no order ------------------------------------------------------------------------

    async def page(self, room: str, command: wire.History) -> bytes:
        """A page of history as JSON. Raises StoreTrouble."""
        limit = max(1, min(command.limit, wire.PAGE_EVENTS))
        before = max(1, min(command.before, 2**62))
        events, more = await self.services.store.read_before(room, before, limit=limit, max_bytes=wire.PAGE_BYTES)
        head = encode({"type": "page", "ref": command.cid, "more": more})
        return head[:-1] + b',"events":[' + b",".join(event.payload for event in events) + b"]}"

    async def rooms(self, user: str, allowed: frozenset[str] | None, cid: str) -> wire.RoomList:
        """The rooms `user` has joined before and may join. Raises StoreTrouble."""
        rows = []
        for info in await self.services.store.rooms_of(user):
            if allowed is None or info.room in allowed:
                last = wire.LastLine(info.last_time, info.last_user, info.last_text) if info.last_time else None
                rows.append(wire.RoomInfo(info.room, info.head, self.member_count(info.room), last))
        return wire.RoomList(cid, rows)

    async def visit(self, user: str, room: str) -> None:
        """Remember that `user` was in `room`; a disk that refuses is no reason to turn anybody away."""
        if (user, room) in self._visits:
            return
        with contextlib.suppress(StoreTrouble):
            await self.services.store.visit(user, room)
            if len(self._visits) >= VISITS:
                self._visits.clear()
            self._visits.add((user, room))
