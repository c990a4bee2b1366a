"""A way through for one at a time, so that a crowd's work never fills a whole step of the event loop.

One goes through in every second step: what it sets going (a check, a replay) is done in the step after, which then has
no newcomer of its own. Four seconds of storms had 8 steps of over 1 ms, and with
requests read as they came some 60.

A loop runs all that is ready before it looks at its sockets again: what a hundred newcomers want at once, a quarter of
a millisecond each, would hold up everybody's tokens for as long as it all takes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Turnstile:
    """Lets one through in every second step of the loop, in the order they came. Nobody is turned away here: who may
    come at all is decided elsewhere, and that bounds the queue."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()
        self._turning: asyncio.Handle | None = None

    def call(self, callback: Callable[[], object]) -> None:
        """Call `callback` in a step of the loop of its own. It must not raise."""
        self._waiting.append(callback)
        if self._turning is None:
            self._turning = asyncio.get_running_loop().call_soon(self._turn)

    async def wait_turn(self) -> None:
        """Return in a step of the loop that nobody else is let through in."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.call(lambda: _let(turn))
        await turn

    def _turn(self) -> None:
        callback = self._waiting.popleft()
        self._turning = asyncio.get_running_loop().call_soon(self._pause)
        callback()

    def _pause(self) -> None:
        self._turning = asyncio.get_running_loop().call_soon(self._turn) if self._waiting else None


def _let(turn: asyncio.Future[None]) -> None:
    if not turn.done():  # it is when its waiter was cancelled
        turn.set_result(None)
