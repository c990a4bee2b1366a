"""The asyncio tasks in which programs run; what the runners share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from server.core.task import Outcome, Program, Remember
from server.errors import Trouble

log = logging.getLogger("server.tasks")

BROKEN = "The task failed inside the server; its log says why. Submit it again to retry."


class Programs:
    """Owns one asyncio task for each program."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, id: str) -> bool:
        return id in self._running

    def start(self, id: str, program: Program, remember: Remember, on_end: Callable[[Outcome], None]) -> None:
        """Run it until it ends; see base.TaskRunner.start."""
        running = asyncio.create_task(self._run(id, program, remember, on_end), name=f"task {id}")
        self._running[id] = running
        running.add_done_callback(lambda done: self._ended(id, done))

    def cancel(self, id: str) -> None:
        """Stop it; `on_end` will not be called."""
        running = self._running.pop(id, None)
        if running is not None:
            running.cancel()

    async def close(self) -> None:
        """Stop them all and wait until they have."""
        running, self._running = list(self._running.values()), {}
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _ended(self, id: str, done: asyncio.Task[None]) -> None:
        if self._running.get(id) is done:
            del self._running[id]

    @staticmethod
    async def _run(id: str, program: Program, remember: Remember, on_end: Callable[[Outcome], None]) -> None:
        try:
            outcome = await program(remember)
        except Trouble as trouble:
            outcome = Outcome("failed", "", trouble.code, trouble.message)
        except Exception:
            log.exception("the program of task %s failed", id)
            outcome = Outcome("failed", "", "internal", BROKEN)
        on_end(outcome)
