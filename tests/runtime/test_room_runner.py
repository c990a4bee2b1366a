"""A room while its store takes time: stopping, failing, letting go."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.protocol import State

from server import protocol as wire
from server.core import room as rules
from server.core.budget import Budget, Limit, day_of
from server.runtime import outlet as outlets
from server.runtime import room_runner
from server.runtime.conversation import Conversation
from server.runtime.hub import Hub
from server.runtime.outlet import Outlet
from server.runtime.room_runner import RoomRunner, Services
from server.store.base import Append, NewEvent, StoredRoom
from server.store.memory import MemoryEngine
from tests.fakes.agents import ScriptedAgent

NOW_S = 1_800_000_000.0


class SlowStore(MemoryEngine):
    """Works at once while `is_open`; else appends wait until `let_go`. `loads` counts, and may be made to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = True
        self.loads = 0
        self.load_gate: asyncio.Future[None] | None = None
        self._waiting: list[tuple[str, Append, asyncio.Future[bytes | None]]] = []

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def append(self, room: str, append: Append) -> asyncio.Future[bytes | None]:
        if self.is_open:
            return super().append(room, append)
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((room, append, future))
        return future

    def let_go(self) -> None:
        self.is_open = True
        for room, append, future in self._waiting:
            earlier = super().append(room, append).result()
            if not future.cancelled():
                future.set_result(earlier)
        self._waiting.clear()

    async def load(self, room: str, *, tail_events: int, tail_bytes: int) -> StoredRoom:
        self.loads += 1
        if self.load_gate is not None:
            await self.load_gate
        return await super().load(room, tail_events=tail_events, tail_bytes=tail_bytes)


class Wire:
    """The socket of a member: what was written to it, decoded."""

    def __init__(self) -> None:
        self.transport = self.protocol = self
        self.state = State.OPEN
        self.frames: list[dict[str, Any]] = []
        self.buffered = 0

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def write(self, data: bytes) -> None:
        while data:
            size, start = data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            self.frames.append(json.loads(data[start : start + size]))
            data = data[start + size :]

    def of(self, type: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == type]


def outlet_on(socket: Any, user: str = "ada") -> Outlet:
    return Outlet(socket, user=user, device=user, number=1, close=lambda *_: None)


def member(room: RoomRunner, user: str = "ada") -> tuple[Outlet, Wire]:
    socket = Wire()
    outlet = outlet_on(socket, user)
    room.join(outlet, None)
    return outlet, socket


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def opened(store: SlowStore, agent: ScriptedAgent) -> AsyncIterator[Hub]:
    budget = Budget(Limit(None, None), day_of(NOW_S), 0, 0)
    loop = asyncio.get_running_loop()
    async with Hub(Services(store, agent, budget, loop.time, lambda: NOW_S, "tui-agent/1.0")) as hub:
        yield hub


async def state_of(store: SlowStore) -> rules.RoomState:
    return rules.decode_state((await store.load("main", tail_events=9, tail_bytes=9999)).state)


async def test_no_queued_message_is_asked_once_the_server_stops() -> None:
    store, agent = SlowStore(), ScriptedAgent()
    async with opened(store, agent) as hub:
        room = await hub.room("main")
        outlet, socket = member(room)
        for cid in ("c1", "c2"):
            await room.submit(outlet, wire.Message(cid, f"message {cid}"))
        run = await agent.wait_run()
        await until(lambda: len(socket.of("ack")) == 2)
        store.is_open = False
        run.finish()
        await until(lambda: store.waiting)
        stopping = asyncio.create_task(hub.stop())
        await asyncio.sleep(0)
        store.let_go()
        await stopping
    assert len(agent.runs) == 1, "nothing new is asked"
    assert [event["run"] for event in socket.of("done") + socket.of("interrupted")] in (["r1"], ["r1", "r2"])
    state = await state_of(store)
    assert state.open_run is None
    assert len(state.queue) + len(socket.of("interrupted")) == 1, "it waits, or is labelled"


async def test_a_message_on_its_way_to_the_disk_when_the_server_stops_is_not_asked() -> None:
    store, agent = SlowStore(), ScriptedAgent()
    async with opened(store, agent) as hub:
        room = await hub.room("main")
        outlet, socket = member(room)
        store.is_open = False
        await room.submit(outlet, wire.Message("c1", "hello"))
        await until(lambda: store.waiting)
        await room.submit(outlet, wire.Message("c2", "too late: it comes again"))
        stopping = asyncio.create_task(hub.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        store.let_go()
        await stopping
    assert agent.runs == []
    assert [ack["ref"] for ack in socket.of("ack")] == ["c1"]
    assert [event["reason"] for event in socket.of("interrupted")] == ["server_restart"]
    state = await state_of(store)
    assert (state.open_run, state.queue) == (None, ())


async def test_who_waits_for_space_in_the_inbox_is_let_go_when_the_room_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_runner, "INBOX_COMMANDS", 1)
    store, agent = SlowStore(), ScriptedAgent()
    async with opened(store, agent) as hub:
        room = await hub.room("main")
        outlet, _ = member(room)
        store.is_open = False
        await room.submit(outlet, wire.Message("c0", "hello"))
        await until(lambda: store.waiting)
        waiting = [
            asyncio.create_task(room.submit(outlet, wire.Message(cid, "hello"))) for cid in ("c1", "c2", "c3", "c4")
        ]
        await until(lambda: waiting[0].done())
        await asyncio.sleep(0)
        assert not waiting[1].done()
        hub._tasks["main"].cancel()
        async with asyncio.timeout(2):
            await asyncio.gather(*waiting)


async def test_a_room_with_an_append_under_way_is_busy() -> None:
    store = SlowStore()
    async with opened(store, ScriptedAgent()) as hub:
        room = await hub.room("main")
        outlet, _ = member(room)
        store.is_open = False
        await room.submit(outlet, wire.Clear("c1"))
        await until(lambda: store.waiting)
        room.audience.leave(outlet)
        assert room.is_busy
        store.let_go()
        await until(lambda: not room.is_busy)


async def test_a_room_that_ends_late_does_not_take_its_successor_along() -> None:
    store = SlowStore()
    async with opened(store, ScriptedAgent()) as hub:
        first = await hub.room("main")
        await asyncio.sleep(0)
        old = hub._tasks.pop("main")
        del hub._rooms["main"]
        second = await hub.room("main")
        assert second is not first
        old.cancel()
        await asyncio.wait([old])
        assert await hub.room("main") is second


async def test_a_room_is_loaded_once_however_many_ask_and_again_after_a_failure() -> None:
    store = SlowStore()
    async with opened(store, ScriptedAgent()) as hub:
        store.load_gate = asyncio.get_running_loop().create_future()
        asking = [asyncio.create_task(hub.room("main")) for _ in range(3)]
        await until(lambda: store.loads)
        gate, store.load_gate = store.load_gate, None
        gate.set_exception(OSError("gone"))
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(found[0], OSError)
        rooms = [room for room in found if isinstance(room, RoomRunner)]
        rooms.append(await hub.room("main"))
        assert len(set(map(id, rooms))) == 1
        assert store.loads == 2


async def test_others_go_on_while_a_room_with_a_long_history_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    store, read, apply = SlowStore(), [0], Conversation.apply  # `read`: events, in each step of the others
    for id in range(1, 2001):
        message = wire.UserMessage(id=id, time="t", user="ada", cid=f"c{id}", content="hello", run="r1")
        await store.append(
            "main", Append((NewEvent(id, wire.encode(message)),), rules.encode_state(rules.RoomState(id)))
        )

    def counted(talk: Conversation, event: wire.DurableEvent) -> None:
        read[-1] += 1
        apply(talk, event)

    async def others() -> None:
        while True:
            read.append(0)
            await asyncio.sleep(0)

    monkeypatch.setattr(Conversation, "apply", counted)
    other = asyncio.create_task(others())
    async with opened(store, ScriptedAgent()) as hub:
        await hub.room("main")
    other.cancel()
    assert sum(read) == 2000
    assert max(read) <= 250


async def test_no_room_is_opened_once_the_server_stops() -> None:
    async with opened(SlowStore(), ScriptedAgent()) as hub:
        await hub.stop()
        with pytest.raises(room_runner.StoreTrouble, match="restarts"):
            await hub.room("main")


def test_a_peer_is_given_its_time_from_the_first_look_on() -> None:
    socket = Wire()
    outlet = outlet_on(socket)
    socket.buffered = outlet.written = 500
    assert not outlet.is_stuck(1000.0)
    assert not outlet.is_stuck(1000.0 + outlets.STUCK_S)
    assert outlet.is_stuck(1000.1 + outlets.STUCK_S)
    socket.buffered = 499
    assert not outlet.is_stuck(1000.2 + outlets.STUCK_S)


async def test_what_a_killed_answer_cost_counts_although_the_joiner_leaves_while_it_is_written() -> None:
    store, agent = SlowStore(), ScriptedAgent()
    async with opened(store, agent) as hub:
        room = await hub.room("main")
        outlet, _ = member(room)
        await room.submit(outlet, wire.Message("c1", "hello"))
        await agent.wait_run()
    assert (await state_of(store)).open_run is not None, "killed in its answer"
    async with opened(store, ScriptedAgent()) as hub:
        store.is_open = False
        joining = asyncio.create_task(hub.room("main"))
        await until(lambda: store.waiting)
        joining.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await joining
        store.let_go()
        budget = hub.services.budget
        assert (budget.tokens, budget.microdollars) == await store.spent(budget.day) == (1, 1)
