"""The seam of long work: an assignment in, steps done one after the other, one outcome out.

Implementations: `claude_worker` (the Messages API) and `demo_worker` (offline). A worker does everything that takes
time, costs money or looks at the world inside `site.remember`, so that a restart of the server repeats none of it; what
a step returns is JSON. When the asyncio task is cancelled, the provider's connection is closed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from server.agents.base import Cost
from server.core.task import Moved, Outcome, Remember


class Assignment(Struct, frozen=True):
    """What is to be done, for whom and where; `id` is the event with which it was submitted."""

    room: str
    task: str
    id: int
    user: str
    title: str
    prompt: str


class Line(Struct, frozen=True):
    """One thing said in the room; `user` is "" for the agent."""

    id: int
    time: str
    user: str
    content: str


class Site(Protocol):
    """What the server gives a worker. `transcript` and `reserve` belong inside a step."""

    @property
    def remember(self) -> Remember: ...

    def report(self, moved: Moved, partial: str) -> None:
        """Where the work is, and what it has found so far: kept when it fails or is canceled."""
        ...

    async def transcript(self, before: int, limit: int) -> list[Line]:
        """What was said in the room with ids below `before`, the newest `limit` events of it, oldest first."""
        ...

    async def reserve(self, most: Cost, so_far: Callable[[], Cost]) -> bool:
        """Before each request: hold so much of the day's budget, on disk, so that a killed server has counted it; False
        when too little is left. `so_far` says at any time what the request has cost by then: it counts when the task
        is canceled. The next `report` with one more of `calls` is the request's result."""
        ...

    def lost(self) -> None:
        """The request under way ends without a result: what it has cost so far is spent."""
        ...


class Worker(Protocol):
    """Does long work. One object serves all tasks at once."""

    async def work(self, assignment: Assignment, site: Site) -> Outcome:
        """Do it. Trouble with the model is an outcome (`failed`, with what was found), not an exception."""
        ...
