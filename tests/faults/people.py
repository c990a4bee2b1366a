"""People who go on talking whatever happens to the server: two on the real link, one on a client of another make."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
from websockets.exceptions import WebSocketException

from server import protocol as wire
from tests.fakes.wire_client import Frame, WireClient
from tui_agent.link.address import local_address, parse_address
from tui_agent.link.base import OutboxFull, PendingChanged, Received, StatusChanged
from tui_agent.link.connection import RoomLink, Times

QUICK = Times(
    open_timeout_s=5,
    welcome_timeout_s=5,
    ping_every_s=1,
    ping_timeout_s=2,
    close_timeout_s=0.5,
    backoff_scale=0.002,
    sleep_look_s=0.2,
)


class Person(ABC):
    """What every client is asked by the oracle: what it was promised, and what it was shown, in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent: dict[str, str] = {}  # cid -> content: given to the client and kept by it
        self.acked: dict[str, int] = {}  # cid -> id
        self.deliveries: list[list[Frame]] = [[]]  # durable events as shown; a snapshot begins a new list
        self.texts: dict[str, str] = {}  # run -> text as shown piece by piece
        self.faults: list[str] = []
        self.changed = asyncio.Event()

    @abstractmethod
    def say(self, content: str) -> None: ...

    @property
    def is_settled(self) -> bool:
        """Whether everything sent has been acknowledged."""
        return self.sent.keys() <= self.acked.keys()

    def _show(self, event: Frame) -> None:
        """One event as the person's screen gets it."""
        match event["type"]:
            case "snapshot":
                self.deliveries.append(list(event["events"]))
                run = event.get("open_run")
                if run is not None:
                    self.texts[run["run"]] = run["content"]
                for old in event["events"]:
                    self._note_own(old)
            case "token":
                shown = self.texts.get(event["run"], "")
                if event["offset"] != len(shown):
                    self.faults.append(f"{event['run']}: a piece at {event['offset']} after {len(shown)}")
                self.texts[event["run"]] = shown + event["content"]
            case "ack":
                if "id" in event:
                    known = self.acked.setdefault(event["ref"], event["id"])
                    if known != event["id"]:
                        self.faults.append(f"{event['ref']} acknowledged as {known} and {event['id']}")
            case _ if "id" in event and "time" in event:
                self.deliveries[-1].append(event)
                self._note_own(event)
        self.changed.set()

    def _note_own(self, event: Frame) -> None:
        if event["type"] == "user_message" and event["user"] == self.name and event["cid"] in self.sent:
            self.acked.setdefault(event["cid"], event["id"])

    async def wait(self, condition: Callable[[], object], within_s: float = 30) -> None:
        async with asyncio.timeout(within_s):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class LinkPerson(Person):
    """On the real link, with its outbox on disk."""

    def __init__(
        self, name: str, address: Path | str, folder: Path, *, room: str = "main", times: Times = QUICK
    ) -> None:
        super().__init__(name)
        where = local_address(address) if isinstance(address, Path) else parse_address(address)
        self.asleep_s = 0.0  # that the clock on the wall has gone on while nothing ran
        self.link = RoomLink(
            where, room, name, client="tui-agent/1.0", state_folder=folder, times=times,
            wall_s=lambda: time.time() + self.asleep_s,
        )  # fmt: skip
        self.refusals: list[str] = []

    def say(self, content: str) -> None:
        cid = str(uuid.uuid4())
        with contextlib.suppress(OutboxFull):
            self.link.send(wire.Message(cid, content))
            self.sent[cid] = content

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._collect())
            group.create_task(self._stay())

    async def _stay(self) -> None:
        await self.link.run()

    async def _collect(self) -> None:
        async for item in self.link.events():
            match item:
                case Received(event=event):
                    self._take(msgspec.json.decode(wire.encode(event)))
                case StatusChanged(status=status):
                    if status.phase in ("waiting", "offline") and not status.is_final:
                        self.link.reconnect_now()
                    self.changed.set()
                case PendingChanged():
                    self.changed.set()

    def _take(self, event: Frame) -> None:
        if event["type"] == "error" and event.get("ref") in self.sent and "run" not in event:
            del self.sent[event["ref"]]  # refused: nothing was promised
            self.refusals.append(event["code"])
        self._show(event)

    @property
    def is_settled(self) -> bool:
        return not self.link.pending and super().is_settled

    async def close(self) -> None:
        await self.link.close()


class ForeignPerson(Person):
    """A small client that nobody of ours wrote: it resumes from its last id and sends again what has no ack."""

    def __init__(self, name: str, address: Path | str, *, room: str = "main") -> None:
        super().__init__(name)
        self.address, self.room = address, room
        self.epoch: str | None = None
        self.after = 0
        self.open_run: str | None = None
        self._news = asyncio.Event()
        self._is_closing = False
        self._connection: WireClient | None = None

    def say(self, content: str) -> None:
        self.sent[str(uuid.uuid4())] = content
        self._news.set()

    async def close(self) -> None:
        self._is_closing = True
        self._news.set()
        if self._connection is not None:
            self._connection.cut()

    async def run(self) -> None:
        while not self._is_closing:
            with contextlib.suppress(OSError, EOFError, ConnectionError, TimeoutError, WebSocketException):
                await self._live()
            await asyncio.sleep(0.02)

    async def _live(self) -> None:
        resume = None
        if self.epoch is not None:
            resume = {"epoch": self.epoch, "after": self.after}
            if self.open_run is not None:
                resume |= {"run": self.open_run, "offset": len(self.texts.get(self.open_run, ""))}
        async with WireClient(self.address, self.room, self.name, resume=resume, device="chen-1") as client:
            self._connection = client
            place = 0
            in_flight: str | None = None
            while not client.closed.is_set() and not self._is_closing:
                while place < len(client.frames):
                    frame = client.frames[place]
                    place += 1
                    if frame.get("ref") == in_flight:
                        in_flight = None
                    self._take(frame)
                waiting = [cid for cid in self.sent if cid not in self.acked]
                if waiting and in_flight is None and place:
                    in_flight = waiting[0]
                    await client.command("message", content=self.sent[in_flight], cid=in_flight)
                self._news.clear()
                await self._something(client, place)

    async def _something(self, client: WireClient, place: int) -> None:
        async def frames() -> None:
            async with client._news:
                await client._news.wait_for(lambda: len(client.frames) > place or client.closed.is_set())

        waits = [asyncio.ensure_future(frames()), asyncio.ensure_future(self._news.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED, timeout=5)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def _take(self, frame: Frame) -> None:
        match frame["type"]:
            case "welcome":
                if not frame["recovered"]:
                    self.epoch = frame["epoch"]
            case "snapshot":
                self.epoch, self.after = frame["epoch"], frame["head"]
            case "status" if frame["status"] in ("thinking", "streaming"):
                self.open_run = frame["run"]
            case "token":
                self.open_run = frame["run"]
            case "error" if frame.get("ref") in self.sent and "run" not in frame:
                del self.sent[frame["ref"]]
        if "id" in frame and "time" in frame:
            if frame["id"] != self.after + 1:
                self.faults.append(f"event {frame['id']} after {self.after}")
            self.after = frame["id"]
            if frame.get("run") == self.open_run and frame["type"] != "user_message":
                self.open_run = None
        self._show(frame)


@contextlib.asynccontextmanager
async def talking(*people: Any) -> AsyncIterator[None]:
    """Everybody's asyncio tasks, until the block ends."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(person.run()) for person in people]
        try:
            yield
        finally:
            for person in people:
                await person.close()
            for task in tasks:
                task.cancel()
