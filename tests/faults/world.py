"""The real hub and rooms in a world where a test owns time, the disk, the network and the agent.

Nothing here waits: the loop's clock stands still until `pass_time`, a write is on disk when `HeldStore.release` says
so, and bytes reach a client when the test delivers them. Clients are the real cursor over a fake socket.
"""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final

from websockets.protocol import State

from server import protocol as wire
from server.agents.base import Cost
from server.agents.work import Assignment, Site
from server.core.budget import Budget, Limit, day_of
from server.core.task import Moved, Outcome, percent_of
from server.errors import StoreTrouble
from server.runtime.hub import Hub
from server.runtime.outlet import Outlet
from server.runtime.room_runner import Services
from server.runtime.task_desk import TaskDesk
from server.store.base import Append
from server.store.memory import MemoryEngine
from server.tasks.memory import MemoryRunner, Steps
from tests.fakes.agents import ScriptedAgent
from tests.faults.proxy import Frames
from tui_agent.link.resume import Cursor, Not
from tui_agent.state.chat import Chat

KERNEL_BYTES: Final = 1500  # what the network holds before the server's write buffer begins to fill
ROOM: Final = "main"
STEPS: Final = ("search", "read", "compare")
WALL_S: Final = 1_764_000_000.0

Kept = wire.Message | wire.SubmitTask  # what a client sends until it is acknowledged


class StillLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock the test owns."""

    now_s = 1000.0

    def time(self) -> float:
        return self.now_s

    def step(self) -> None:
        """Run what is ready, once."""
        self.call_soon(self.stop)
        self.run_forever()

    def settle(self) -> None:
        """Run until nothing is ready any more."""
        for _ in range(1000):
            self.step()
            if not self._ready:
                return
        raise AssertionError("the loop never comes to rest")


class HeldStore(MemoryEngine):
    """A store whose disk is in the test's hand: writes wait in order for `release`, `refuse` or a crash."""

    def __init__(self) -> None:
        super().__init__()
        self.held: deque[tuple[asyncio.Future[Any], Callable[[], asyncio.Future[Any]]]] = deque()
        self.is_dead = False

    def append(self, room: str, append: Append) -> asyncio.Future[bytes | None]:
        return self._hold(lambda: MemoryEngine.append(self, room, append))

    def append_piece(self, room: str, run: str, offset: int, text: str) -> asyncio.Future[None]:
        return self._hold(lambda: MemoryEngine.append_piece(self, room, run, offset, text))

    def _hold(self, write: Callable[[], asyncio.Future[Any]]) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self.is_dead:
            self.held.append((future, write))
        return future

    async def release(self) -> None:
        """The oldest write is on disk and reported."""
        future, write = self.held.popleft()
        written = write()
        trouble = written.exception()
        if future.cancelled():
            return
        if trouble is not None:
            future.set_exception(trouble)
        else:
            future.set_result(written.result())

    def refuse(self) -> None:
        """The disk is full for the oldest write."""
        future, _ = self.held.popleft()
        if not future.cancelled():
            future.set_exception(StoreTrouble("storage_full", "The disk is full.", retry_after_s=2.0))

    async def die(self, *, written: int) -> HeldStore:
        """The process ends; the first `written` writes reached the disk but nobody was told. The disk as it is then."""
        for _, write in list(self.held)[:written]:
            write().exception()
        self.is_dead = True
        self.held.clear()
        return self.copy()

    def copy(self, *, is_restored: bool = False) -> HeldStore:
        """The same disk for a new process, under a fresh epoch when it is a restored copy."""
        fresh = HeldStore()
        fresh._rooms = copy.deepcopy(self._rooms)
        fresh._spent = dict(self._spent)
        if not is_restored:
            fresh._epoch = self._epoch
        return fresh

    @property
    def log(self) -> dict[int, bytes]:
        """The room's durable events by id."""
        kept = self._rooms.get(ROOM)
        return {} if kept is None else {event.id: event.payload for event in kept.events}


class StepWorker:
    """Works in three steps with a request each, that wait until the test lets them go."""

    def __init__(self) -> None:
        self._gates: dict[str, asyncio.Semaphore] = {}

    def let(self, steps: int) -> None:
        """Each task may do so many steps more."""
        for gate in self._gates.values():
            for _ in range(steps):
                gate.release()

    async def work(self, assignment: Assignment, site: Site) -> Outcome:
        gate = self._gates[assignment.task] = asyncio.Semaphore(0)
        for number, name in enumerate(STEPS):
            moved = Moved(percent_of(number, len(STEPS)), name, number, STEPS, 10 * number, calls=number)
            site.report(moved, "x" * number)

            async def step(name: str = name) -> str:
                await site.reserve(Cost(100, 0), lambda: Cost(1, 0))
                await gate.acquire()
                return name

            await site.remember(name, step)
        return Outcome("completed", "all of it")


class Wire:
    """The server's end of a connection: what it wrote and the client has not yet been given."""

    def __init__(self) -> None:
        self.waiting = bytearray()

    def write(self, data: bytes) -> None:
        self.waiting += data

    def get_write_buffer_size(self) -> int:
        return max(0, len(self.waiting) - KERNEL_BYTES)


@dataclass(eq=False)
class Client:
    """A member with the real cursor and the real fold. `shown` has what the cursor let through, by id; `texts` the
    pieces by run; `percents` how far each task was seen."""

    user: str
    cursor: Cursor = field(default_factory=Cursor)
    chat: Chat = field(init=False)
    percents: dict[str, int] = field(default_factory=dict)
    sent: dict[str, Kept] = field(default_factory=dict)
    outbox: dict[str, Kept] = field(default_factory=dict)  # by cid, without an ack
    acked: dict[str, int] = field(default_factory=dict)
    shown: dict[int, bytes] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    transport: Wire | None = None
    connection: asyncio.Task[None] | None = None
    commands: asyncio.Queue[wire.Command] = field(default_factory=asyncio.Queue)
    frames: Frames = field(default_factory=Frames)
    was_closed: bool = False

    def __post_init__(self) -> None:
        self.chat = Chat(self.user)

    @property
    def is_connected(self) -> bool:
        return self.transport is not None

    def send(self, command: wire.Command) -> None:
        if self.is_connected and not self.was_closed:
            self.commands.put_nowait(command)

    def keep_sending(self, command: Kept) -> None:
        """Send it, now and after each reconnect until it is acknowledged."""
        self.sent[command.cid] = self.outbox[command.cid] = command
        self.send(command)

    def deliver(self, most: int) -> None:
        """Give the client up to `most` frames. A gap on a connection that was never cut is the server's fault."""
        assert self.transport is not None
        for _ in range(most):
            whole = _first_frame(self.transport.waiting)
            if whole is None:
                return
            event = wire.decode_event(bytes(whole))
            assert event is not None
            taken = self.cursor.take(event)
            assert taken is not Not.GAP, f"{self.user} finds a gap: {event} at {self.cursor.after}"
            is_empty = isinstance(event, wire.Token) and not event.content  # "one token" on a resume, with nothing new
            assert taken is not Not.DUPLICATE or is_empty, f"{self.user} gets twice: {event}"
            if not isinstance(taken, Not):
                self._see_percents(taken)
                self.chat.apply(taken)
                self._show(taken)

    def _see_percents(self, event: wire.Event) -> None:
        told = event.tasks if isinstance(event, wire.Welcome) else [event] if isinstance(event, wire.Progress) else []
        for task in told:
            before = self.percents.get(task.task, 0)
            assert task.percent >= before, f"{self.user} sees {task.task} fall from {before} to {task.percent}"
            self.percents[task.task] = task.percent

    def _show(self, event: wire.Event) -> None:
        match event:
            case wire.Snapshot():
                self.shown = {}
                for old in event.events:
                    self._keep(old)
                if event.open_run is not None:
                    self.texts[event.open_run.run] = str(event.open_run.content)
            case wire.Token():
                before = self.texts.get(event.run, "")
                assert event.offset == len(before), f"{event} after {len(before)}"
                self.texts[event.run] = before + event.content
            case wire.Ack(ref=ref, id=int(id)):
                assert self.acked.setdefault(ref, id) == id, f"{ref} acknowledged as {self.acked[ref]} and {id}"
                self.outbox.pop(ref, None)
            case wire.Error(ref=str(ref)):
                pass  # refused: stays in the outbox, to be sent again
            case _:
                self._keep(event)

    def _keep(self, event: wire.Event) -> None:
        id = getattr(event, "id", None)
        if isinstance(id, int):
            self.shown[id] = wire.encode(event)
            if isinstance(event, wire.UserMessage | wire.TaskSubmitted) and event.user == self.user:
                self.outbox.pop(event.cid, None)
                self.acked.setdefault(event.cid, id)


def _first_frame(buffer: bytearray) -> bytes | None:
    """The payload of the first whole frame, taken out of the buffer."""
    if len(buffer) < 2:
        return None
    size, start = buffer[1] & 0x7F, 2
    if size >= 126:
        start = 4 if size == 126 else 10
        size = int.from_bytes(buffer[2:start], "big")
    payload = bytes(buffer[start : start + size])
    del buffer[: start + size]
    return payload


class World:
    """One server and its clients. Everything is a step that the test takes."""

    def __init__(self, store: HeldStore | None = None) -> None:
        self.loop = StillLoop()
        self.agent = ScriptedAgent()
        self.store = store or self.do(_make(HeldStore))
        self.steps: Steps = {}  # of tasks, as the disk has them
        self.clients: list[Client] = []
        self.broken: list[str] = []  # exceptions that no connection may end with
        self.host: asyncio.Task[None]
        self.hub: Hub
        self._number = 0
        self.begin()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine that must not have to wait."""
        task = self.loop.create_task(work)
        self.loop.step()
        while not task.done():
            self.loop.step()
        return task.result()

    def begin(self) -> None:
        """A server process starts on the present disk."""
        self.budget = Budget(Limit(None, None), self.day, *self.spent)
        self.worker = StepWorker()
        self.desk = TaskDesk(self.store, MemoryRunner(self.steps), self.worker, self.budget, self.wall_s)
        self.hub = Hub(
            Services(self.store, self.agent, self.budget, self.loop.time, self.wall_s, "tui-agent/test", self.desk)
        )
        self.desk.room_of = self.hub.room
        self._end = asyncio.Event()

        async def host() -> None:
            async with self.hub:
                await self._end.wait()

        self.host = self.loop.create_task(host())
        self._restoring = self.loop.create_task(self.desk.restore())
        self.loop.settle()

    def wall_s(self) -> float:
        return WALL_S + self.loop.time()

    @property
    def day(self) -> str:
        return day_of(self.wall_s())

    @property
    def spent(self) -> tuple[int, int]:
        """Tokens and microdollars of the day, as the disk has them."""
        return self.store._spent.get(self.day, (0, 0))

    def client(self, user: str) -> Client:
        client = Client(user)
        self.clients.append(client)
        return client

    def connect(self, client: Client, *, resumes: bool = True) -> None:
        """Join, with what the client has or afresh."""
        if not resumes:
            client.cursor.forget()
        client.transport, client.was_closed = Wire(), False
        client.commands = asyncio.Queue()
        self._number += 1
        peer: Any = SimpleNamespace(transport=client.transport, protocol=SimpleNamespace(state=State.OPEN))

        def close(outlet: Outlet, code: int, reason: str) -> None:
            peer.protocol.state = State.CLOSING
            client.was_closed = True
            task.cancel()

        outlet = Outlet(peer, user=client.user, device=f"d{self._number}", number=self._number, close=close)
        task = client.connection = self.loop.create_task(self._serve(client, outlet, client.commands))
        task.add_done_callback(self._look_at)
        for command in client.outbox.values():
            client.send(command)

    def _look_at(self, connection: asyncio.Task[None]) -> None:
        if not connection.cancelled() and connection.exception() is not None:
            self.broken.append(repr(connection.exception()))

    async def _serve(self, client: Client, outlet: Outlet, commands: asyncio.Queue[wire.Command]) -> None:
        try:
            room = await self.hub.room(ROOM)
        except StoreTrouble:  # the gateway turns the client away with 1013: it comes again
            client.was_closed = True
            return
        room.join(outlet, client.cursor.resume)
        try:
            while True:
                match await commands.get():
                    case wire.Message() | wire.Clear() | wire.SubmitTask() | wire.CancelTask() as command:
                        await room.submit(outlet, command)
                    case wire.Interrupt() as command:
                        await room.interrupt(outlet, command)
        finally:
            room.audience.leave(outlet)

    def cut(self, client: Client) -> None:
        """The connection is gone, with all that was on its way."""
        client.transport = None
        if client.connection is not None:
            client.connection.cancel()
            client.connection = None

    def pass_time(self, seconds: float) -> None:
        self.loop.now_s += seconds
        self.loop.settle()

    def crash(self, *, written: int, onto: HeldStore | None = None) -> None:
        """SIGKILL and a new start, on the disk as it was then or on a restored copy."""
        disk = self.do(self.store.die(written=written))
        self._end_process()
        self.store = onto if onto is not None else disk
        self.begin()

    def _end_process(self) -> None:
        for client in self.clients:
            self.cut(client)
        self._restoring.cancel()
        self.do(self.desk.close())
        self.host.cancel()
        self.loop.settle()

    def close(self) -> None:
        self.store.is_dead = True
        self._end_process()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


async def _make(make: Callable[[], Any]) -> Any:
    """Some things want a running loop when they are made."""
    return make()
