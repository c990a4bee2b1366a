"""A running link with its events collected, against the scripted server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from server import protocol as wire
from tests.fakes.wire_server import WireServer
from tui_agent.link.address import parse_address
from tui_agent.link.base import LinkStatus, PendingChanged, Received, StatusChanged
from tui_agent.link.connection import RoomLink, Times

FAST = Times(
    open_timeout_s=2,
    welcome_timeout_s=1,
    ping_every_s=0.1,
    ping_timeout_s=0.3,
    close_timeout_s=0.3,
    sleep_look_s=0.02,
    backoff_scale=0.01,
)


class Watched:
    """A link, and everything it told."""

    def __init__(self, link: RoomLink) -> None:
        self.link = link
        self.events: list[Any] = []
        self.statuses: list[LinkStatus] = []
        self._changed = asyncio.Event()

    async def collect(self) -> None:
        async for event in self.link.events():
            match event:
                case Received():
                    self.events.append(event.event)
                case StatusChanged():
                    self.statuses.append(event.status)
                case PendingChanged():
                    pass
            self._changed.set()

    async def wait(self, condition: Callable[[], object], within_s: float = 20.0) -> None:
        """Until what was told makes the condition true."""
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"never so; statuses {self.statuses[-5:]}, events {self.events[-5:]}") from None

    async def wait_live(self) -> None:
        await self.wait(lambda: self.statuses and self.statuses[-1].phase == "live")

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def text(self) -> str:
        """All pieces put together."""
        return "".join(token.content for token in self.of(wire.Token))


Start = Callable[..., contextlib.AbstractAsyncContextManager[Watched]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """`async with start(url) as watched` runs a link to its end."""

    @contextlib.asynccontextmanager
    async def start(
        url: str, *, times: Times = FAST, folder: Path = tmp_path, **options: Any
    ) -> AsyncIterator[Watched]:
        link = RoomLink(
            parse_address(url), "main", options.pop("user", "ada"),
            client="tui-agent/1.0.0", state_folder=folder, times=times, **options,
        )  # fmt: skip
        watched = Watched(link)
        async with asyncio.TaskGroup() as group:
            group.create_task(watched.collect())
            running = group.create_task(link.run())
            try:
                yield watched
            finally:
                await link.close()
                running.cancel()

    return start


@pytest.fixture
def server() -> WireServer:
    return WireServer()
