"""A Link whose every event a test writes itself: the screen without sockets, the same each time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from server.protocol import Event
from tui_agent.link.base import LinkEvent, LinkStatus, Pending, Received, StatusChanged


class ScriptedLink:
    """Tells what it is given by `tell` and `tell_status`; keeps what it was sent in `sent`."""

    def __init__(self, room: str = "main") -> None:
        self.room = room
        self.sent: list[Any] = []
        self.interrupts: list[str | None] = []
        self.kicks = 0
        self._status = LinkStatus("connecting")
        self._events: asyncio.Queue[LinkEvent | None] = asyncio.Queue()

    def tell(self, *events: Event) -> None:
        for event in events:
            self._events.put_nowait(Received(event))

    def tell_status(self, status: LinkStatus) -> None:
        self._status = status
        self._events.put_nowait(StatusChanged(status))

    # ---- the seam ----------------------------------------------------------------------------------

    @property
    def status(self) -> LinkStatus:
        return self._status

    @property
    def pending(self) -> Sequence[Pending]:
        return ()

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def events(self) -> AsyncIterator[LinkEvent]:
        while (event := await self._events.get()) is not None:
            yield event

    def send(self, command: Any) -> None:
        self.sent.append(command)

    def interrupt(self, run: str | None) -> None:
        self.interrupts.append(run)

    def resend_stale(self, cid: str) -> None:
        pass

    def forget(self, cid: str) -> None:
        pass

    def reconnect_now(self) -> None:
        self.kicks += 1

    async def close(self) -> None:
        self._events.put_nowait(None)
