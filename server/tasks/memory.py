"""A TaskRunner that remembers in memory: for tests, and the second voice of the contract kit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from server.core.task import Outcome, Program
from server.tasks.programs import Programs

Steps = dict[str, list[bytes]]


class MemoryRunner:
    """See base.TaskRunner. `steps` given to the next runner stand for what a disk would hold."""

    def __init__(self, steps: Steps | None = None) -> None:
        self.steps: Steps = {} if steps is None else steps
        self._programs = Programs()

    def start(self, id: str, program: Program, on_end: Callable[[Outcome], None]) -> None:
        if id in self._programs:
            return
        kept = self.steps.setdefault(id, [])
        done = 0

        async def remember(name: str, step: Callable[[], Awaitable[Any]]) -> Any:
            nonlocal done
            if done == len(kept):
                kept.append(msgspec.json.encode(await step()))
            done += 1
            return msgspec.json.decode(kept[done - 1])

        self._programs.start(id, program, remember, on_end)

    def cancel(self, id: str) -> None:
        self._programs.cancel(id)

    def forget(self, id: str) -> None:
        self._programs.cancel(id)
        self.steps.pop(id, None)

    async def close(self) -> None:
        await self._programs.close()
