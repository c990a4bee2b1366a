"""A limit on silence: how long one step of a stream may take, cheap enough to ask at every token.

`asyncio.timeout` round each event costs 7 us, a quarter of what the SDK needs for a token; one timer for the whole
stream, that looks when the current step began, costs 1 us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")


class Silence(Exception):
    """A step took longer than allowed."""


class Watchdog:
    """`with Watchdog(30) as watchdog: … await watchdog.step(something)`. Time between the steps does not count."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Task[object] | None = None
        self._since_s = 0.0
        self._has_cancelled = False
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Watchdog:
        self._timer = self._loop.call_later(self._limit_s, self._look)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def step(self, awaitable: Awaitable[T]) -> T:
        """Its result. Raises Silence when it takes longer than the limit; then it was cancelled."""
        task = asyncio.current_task()
        assert task is not None
        cancels_before = task.cancelling()
        self._waiting, self._since_s = task, self._loop.time()
        try:
            return await awaitable
        except asyncio.CancelledError:
            # Somebody else's cancel goes before ours, as with asyncio.timeout.
            if self._has_cancelled and task.cancelling() - 1 <= cancels_before:
                raise Silence from None
            raise
        finally:
            self._waiting = None
            if self._has_cancelled:
                self._has_cancelled = False
                task.uncancel()

    def _look(self) -> None:
        now_s = self._loop.time()
        due_s = (self._since_s if self._waiting is not None else now_s) + self._limit_s
        if self._waiting is not None and due_s <= now_s:
            self._timer = None
            self._has_cancelled = True
            self._waiting.cancel()
        else:
            self._timer = self._loop.call_at(due_s, self._look)
