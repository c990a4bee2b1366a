"""What every Link promises (tui_agent/link/base.py). Another implementation joins by its harness in `HARNESSES`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from server import protocol as wire
from tests.fakes.wire_server import WireServer
from tests.link.conftest import FAST
from tui_agent.link.address import parse_address
from tui_agent.link.base import Link, LinkEvent, OutboxFull, PendingChanged, Received, StatusChanged
from tui_agent.link.connection import RoomLink


class Harness(Protocol):
    """The other end of a link, in a test's hand."""

    link: Link

    async def say(self, text: str) -> None:
        """Somebody else writes into the room."""
        ...

    async def answer(self, run: str, *pieces: str) -> None:
        """The agent's answer begins and goes on; it stays open."""
        ...

    def drop(self) -> None:
        """The connection breaks."""
        ...

    async def close_final(self) -> None:
        """The server says never to come again."""
        ...


class RoomLinkHarness:
    def __init__(self, link: RoomLink, server: WireServer) -> None:
        self.link: Link = link
        self.server = server

    async def say(self, text: str) -> None:
        await self.server.say(text)

    async def answer(self, run: str, *pieces: str) -> None:
        if self.server.open_run != run:
            await self.server.begin(run)
        for piece in pieces:
            await self.server.token(piece)

    def drop(self) -> None:
        self.server.cut()

    async def close_final(self) -> None:
        await self.server.close_all(wire.Close.REPLACED)


@contextlib.asynccontextmanager
async def room_link(folder: Path) -> AsyncIterator[Harness]:
    server = WireServer()
    async with server.listen() as url:
        link = RoomLink(parse_address(url), "main", "ada", client="t/1.0.0", state_folder=folder, times=FAST)
        yield RoomLinkHarness(link, server)


HARNESSES = [room_link]


class Seen:
    """Reads a link's events and waits for what they say."""

    def __init__(self, link: Link) -> None:
        self.all: list[LinkEvent] = []
        self._link = link
        self._changed = asyncio.Event()

    async def read(self) -> None:
        async for event in self._link.events():
            self.all.append(event)
            self._changed.set()

    def of(self, kind: Any) -> list[Any]:
        return [event.event for event in self.all if isinstance(event, Received) and isinstance(event.event, kind)]

    @property
    def phases(self) -> list[str]:
        return [event.status.phase for event in self.all if isinstance(event, StatusChanged)]

    async def wait(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def wait_live(self) -> None:
        await self.wait(lambda: self.phases and self.phases[-1] == "live")


@pytest.fixture(params=HARNESSES, ids=lambda make: make.__name__)
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    async with request.param(tmp_path) as harness:
        yield harness


@pytest.fixture
async def seen(harness: Harness) -> AsyncIterator[Seen]:
    """The link runs and is read."""
    seen = Seen(harness.link)
    reading, running = asyncio.create_task(seen.read()), asyncio.create_task(harness.link.run())
    yield seen
    await harness.link.close()
    async with asyncio.timeout(3):
        await asyncio.gather(reading, running)


async def test_it_goes_live_with_a_welcome_first(harness: Harness, seen: Seen) -> None:
    await seen.wait_live()
    await seen.wait(lambda: seen.of(wire.Snapshot))
    assert seen.phases[0] == "connecting"
    assert isinstance(seen.of(object)[0], wire.Welcome)
    assert harness.link.status.phase == "live"


async def test_events_come_once_and_in_order(harness: Harness, seen: Seen) -> None:
    await seen.wait_live()
    for number in range(50):
        await harness.say(str(number))
    await seen.wait(lambda: len(seen.of(wire.UserMessage)) == 50)
    assert [event.id for event in seen.of(wire.UserMessage)] == list(range(1, 51))


async def test_a_message_is_pending_then_acknowledged(harness: Harness, seen: Seen) -> None:
    await seen.wait_live()
    harness.link.send(wire.Message("c1", "hello"))
    assert [pending.cid for pending in harness.link.pending] == ["c1"]
    await seen.wait(lambda: [ack.ref for ack in seen.of(wire.Ack)] == ["c1"] and not harness.link.pending)
    changes = [[p.cid for p in event.pending] for event in seen.all if isinstance(event, PendingChanged)]
    assert changes[-1] == []


async def test_what_is_sent_without_a_connection_goes_once_there_is_one(harness: Harness) -> None:
    harness.link.send(wire.Message("c1", "one"))
    harness.link.send(wire.SubmitTask("c2", "two"))
    harness.link.send(wire.Message("c1", "one"))
    assert [pending.cid for pending in harness.link.pending] == ["c1", "c2"]
    seen = Seen(harness.link)
    async with asyncio.TaskGroup() as group:
        group.create_task(seen.read())
        group.create_task(harness.link.run())
        await seen.wait(lambda: [ack.ref for ack in seen.of(wire.Ack)] == ["c1", "c2"])
        await harness.link.close()


async def test_a_dropped_connection_comes_back_without_lost_or_doubled_words(harness: Harness, seen: Seen) -> None:
    await seen.wait_live()
    await harness.answer("r1", "one ", "two ")
    await seen.wait(lambda: len(seen.of(wire.Token)) == 2)
    harness.drop()
    await seen.wait(lambda: "waiting" in seen.phases)
    await seen.wait_live()
    await harness.answer("r1", "three")
    await seen.wait(lambda: "".join(token.content for token in seen.of(wire.Token)) == "one two three")


async def test_a_forgotten_message_is_gone(harness: Harness) -> None:
    harness.link.send(wire.Message("c1", "one"))
    harness.link.forget("c1")
    harness.link.forget("c1")
    assert not harness.link.pending
    await harness.link.close()


async def test_a_final_refusal_is_final(harness: Harness, seen: Seen) -> None:
    await seen.wait_live()
    await harness.close_final()
    await seen.wait(lambda: seen.phases[-1] == "offline")
    assert harness.link.status.is_final
    assert harness.link.status.sentence
    harness.link.reconnect_now()
    await asyncio.sleep(0)
    assert harness.link.status.phase == "offline"


async def test_a_message_over_the_limit_is_refused_with_a_sentence(harness: Harness, seen: Seen) -> None:
    with pytest.raises(OutboxFull, match="limit"):
        harness.link.send(wire.Message("c1", "ü" * 30_001))
    assert not harness.link.pending


async def test_an_interrupt_of_nothing_does_nothing(harness: Harness, seen: Seen) -> None:
    await seen.wait_live()
    harness.link.interrupt(None)
    await harness.say("still here")
    await seen.wait(lambda: seen.of(wire.UserMessage))


async def test_closing_ends_the_events(harness: Harness) -> None:
    seen = Seen(harness.link)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(seen.read())
        group.create_task(harness.link.run())
        await seen.wait_live()
        await harness.link.close()
    assert harness.link.status.phase == "closed"


async def test_closing_before_it_ran_is_fine(harness: Harness) -> None:
    await harness.link.close()
    assert [event async for event in harness.link.events()]
