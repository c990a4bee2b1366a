"""The seam of background work: programs whose steps are remembered over a crash.

Implementations (`dbos_runner`, and `memory` for tests) pass one kit, tests/contracts/test_task_runner.py. All methods
are called on the event loop of the server, where programs and their steps run too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from server.core.task import Outcome, Program


class TaskRunner(Protocol):
    """Runs programs (core.task.Program) by ids that are unique for ever."""

    def start(self, id: str, program: Program, on_end: Callable[[Outcome], None]) -> None:
        """Begin a program, or go on with it: steps remembered from an earlier process give their results at once. A
        program that runs already is left alone. `on_end` is called once, unless it is cancelled before; a program
        that raises has failed with code `internal`."""
        ...

    def cancel(self, id: str) -> None:
        """Stop a program now: the step it is in is cancelled. An unknown id is ignored."""
        ...

    def forget(self, id: str) -> None:
        """Its end is on disk elsewhere: the remembered steps are deleted, in the background. Implies `cancel`."""
        ...

    async def close(self) -> None:
        """Stop all programs, unfinished; the next process goes on with those it starts again."""
        ...
