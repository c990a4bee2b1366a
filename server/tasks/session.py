"""One program seen from both sides: the steps it asked for (on the server's loop) and their recording (recorder's)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

log = logging.getLogger("server.tasks")


class Request:
    """One step. `value` and `trouble` are set on the server's loop; once there is a value it is never run again."""

    def __init__(self, name: str, step: Callable[[], Awaitable[Any]]) -> None:
        self.name = name
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Any] = self.loop.create_future()
        self.has_value = False
        self.value: Any = None
        self.trouble: Exception | None = None
        self._step = step
        self._running: asyncio.Task[Any] | None = None

    async def run(self) -> None:
        """(Server's loop) Do it; what it raises is kept and not raised. A second recording waits for the first."""
        if self._running is not None:
            await asyncio.wait([self._running])
            if self.has_value or self.trouble is not None:
                return
        self._running = asyncio.current_task()
        try:
            self.value = await self._step()
            self.has_value = True
        except Exception as trouble:
            self.trouble = trouble

    def cancel(self) -> None:
        """(Server's loop) Nobody waits for it any more."""
        if self._running is not None:
            self._running.cancel()

    def settle(self, value: Any) -> None:
        """(Any thread) It is remembered, or has failed: its program goes on."""
        self.loop.call_soon_threadsafe(self._settle, value)

    def _settle(self, value: Any) -> None:
        if self.done.done():
            return
        if self.trouble is not None:
            self.done.set_exception(self.trouble)
        else:
            self.done.set_result(value)


class Session:
    """The requests of a program, in order. Kept whole, so that a recording that broke off can begin again."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.requests: list[Request] = []
        self.is_closed = False
        self._changed: asyncio.Event | None = None  # of the recorder's loop

    def poke(self) -> None:
        """(Recorder's loop) There is a new request, or the end."""
        if self._changed is not None:
            self._changed.set()

    async def wait(self, index: int) -> Request | None:
        """(Recorder's loop) The request with this index; None when the session is closed."""
        self._changed = changed = asyncio.Event()
        while not self.is_closed:
            if index < len(self.requests):
                return self.requests[index]
            await changed.wait()
            changed.clear()
        return None
