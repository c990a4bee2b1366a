"""A worker that a test leads by the hand, step by step."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from server.agents.work import Assignment, Site
from server.core.task import Moved, Outcome, percent_of


@dataclass
class HeldWorker:
    """Works in steps that wait until the test lets them go, by the prompt's first word."""

    steps: int = 3
    result: str = "{name} is done"
    began: dict[str, int] = field(default_factory=dict)
    gates: dict[str, asyncio.Semaphore] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)

    def let(self, name: str, steps: int = 1) -> None:
        """Let so many steps of a task be done."""
        for _ in range(steps):
            self.gates.setdefault(name, asyncio.Semaphore(0)).release()

    async def work(self, assignment: Assignment, site: Site) -> Outcome:
        name = assignment.prompt.split()[0]
        gate = self.gates.setdefault(name, asyncio.Semaphore(0))
        steps = tuple(f"part {number}" for number in range(self.steps))
        for number in range(self.steps):
            site.report(Moved(percent_of(number, self.steps), steps[number], number, steps), "x" * number)

            async def step(number: int = number) -> int:
                self.began[name] = number
                try:
                    await gate.acquire()
                except asyncio.CancelledError:
                    self.cancelled.add(name)
                    raise
                return number

            await site.remember(f"part {number}", step)
        return Outcome("completed", self.result.replace("{name}", name))
