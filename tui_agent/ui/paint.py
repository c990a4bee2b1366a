"""When to draw: at once after a quiet time, at most 20 times a second in a busy one, never while nothing changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from textual.message_pump import MessagePump

PAINT_S = 0.05
KEY_S = 0.03  # a letter is on the screen after so long; what streams is drawn after it
LATEST_S = 0.15  # but who types without a pause still sees the stream


class Painter:
    """Calls `paint` in `node`'s context some time after `soon`."""

    def __init__(self, node: MessagePump, paint: Callable[[], None]) -> None:
        self._node = node
        self._paint = paint
        self._last_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def soon(self) -> None:
        """Something changed."""
        if self._timer is None:
            wait_s = max(0.0, self._last_s + PAINT_S - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._due)

    def now(self) -> None:
        """Something changed that a person waits for: drawn at once. Only for what is rare."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(0, self._due)

    def make_way(self) -> None:
        """A key was pressed: its letter goes first, what waits to be drawn a little later."""
        now_s = time.monotonic()
        if self._timer is not None and now_s - self._last_s < LATEST_S:
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(KEY_S, self._due)

    def stop(self) -> None:
        """No more."""
        if self._timer is not None:
            self._timer.cancel()

    def _due(self) -> None:
        self._node.call_later(self._go)

    def _go(self) -> None:
        self._timer = None
        self._last_s = time.monotonic()
        self._paint()
