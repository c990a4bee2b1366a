"""A task: its states, its progress that never falls, and how often that is told.

    queued --starts--> running --ends--> completed | failed | canceled     (a queued one may be canceled too)

An ended task is no state of its own: its `complete` event stands in the log and it leaves the room's open tasks. The
percent comes from the plan's steps and nothing else: of `n` steps, planning and the synthesis count as one each.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

from server.protocol import TITLE_CHARACTERS, Code

TELLS: Final = 4  # at most so many in TELLS_S go to the room
TELLS_S: Final = 1.0
LINE_CHARACTERS: Final = 160
STEPS: Final = 24

Ending = Literal["completed", "failed", "canceled"]


class Bill(Struct, frozen=True):
    """What stands in the day's spending for requests that have no result: `lost_*` for those that failed or were cut,
    in all; `held_*` for the one under way, the most that it may cost, since `held_day`."""

    lost_tokens: int = 0
    lost_microdollars: int = 0
    held_tokens: int = 0
    held_microdollars: int = 0
    held_day: str = ""

    def with_lost(self, tokens: int, microdollars: int) -> Bill:
        """A request has ended without a result."""
        lost, lost_microdollars = self.lost_tokens + tokens, self.lost_microdollars + microdollars
        return replace(self, lost_tokens=lost, lost_microdollars=lost_microdollars)

    def holding(self, tokens: int, microdollars: int, day: str) -> Bill:
        """A request goes out that may cost so much."""
        return replace(self, held_tokens=tokens, held_microdollars=microdollars, held_day=day)

    def let_go(self) -> Bill:
        """No request is under way."""
        return replace(self, held_tokens=0, held_microdollars=0, held_day="")

    def died(self) -> Bill:
        """The process died in the request, whose result will not be known: what was held is spent."""
        return self.with_lost(self.held_tokens, self.held_microdollars).let_go()


class OpenTask(Struct, frozen=True):
    """A task that has not ended, as the store keeps it. `id` is its `task_submitted` event, which holds the prompt;
    `tokens` and `microdollars` are what its `calls` requests with a result have cost. All of it, and of the bill, is in
    the day's spending."""

    task: str
    id: int
    user: str
    title: str
    submitted: str
    status: Literal["queued", "running"] = "queued"
    started: str = ""
    percent: int = 0
    message: str = ""
    step: int = -1  # index into `steps`; -1 while there is none
    steps: tuple[str, ...] = ()
    tokens: int = 0
    microdollars: int = 0
    calls: int = 0
    bill: Bill = Bill()

    @property
    def spent_tokens(self) -> int:
        """All that it has in the spending."""
        return self.tokens + self.bill.lost_tokens + self.bill.held_tokens

    @property
    def spent_microdollars(self) -> int:
        return self.microdollars + self.bill.lost_microdollars + self.bill.held_microdollars


class Moved(Struct, frozen=True):
    """What a worker tells of itself. Costs are totals of its `calls` requests that have a result, so telling twice, and
    going over remembered steps again, counts once."""

    percent: int
    message: str
    step: int = -1
    steps: tuple[str, ...] = ()
    tokens: int = 0
    microdollars: int = 0
    calls: int = 0


class Outcome(Struct, frozen=True):
    """How a task ended. `result` is what was found, also when it failed; `code` and `message` say why it did."""

    status: Ending
    result: str
    code: Code | None = None
    message: str = ""


class Remember(Protocol):
    """Runs one step of a task's program, once over all restarts of the server, and gives back what it returned.

    `name` is for people who look into the records. The result must be JSON. A step that raises is not remembered, and
    the program must end then. Between two steps a program must do the same each time, given the same results.
    """

    async def __call__(self, name: str, step: Callable[[], Awaitable[Any]]) -> Any: ...


Program = Callable[[Remember], Awaitable[Outcome]]


def percent_of(done: int, steps: int) -> int:
    """The percent when `done` of the plan's `steps` are done; below 100 while the synthesis is to come.

    `done` is -1 while the plan itself is being made.
    """
    return max(0, min(99, round(100 * (done + 1) / (steps + 2))))


def move(task: OpenTask, moved: Moved, now: str) -> OpenTask:
    """The task after its worker told where it is. Nothing of it ever goes back: a worker that goes over its remembered
    steps after a restart tells them again."""
    is_back = moved.percent < task.percent
    return replace(
        task,
        status="running",
        started=task.started or now,
        percent=max(task.percent, min(100, moved.percent)),
        message=task.message if is_back else moved.message[:LINE_CHARACTERS],
        step=max(task.step, moved.step),
        steps=moved.steps[:STEPS] or task.steps,
        tokens=max(task.tokens, moved.tokens),
        microdollars=max(task.microdollars, moved.microdollars),
        calls=max(task.calls, moved.calls),
        # The request that was held for has its result: its cost is in the totals.
        bill=task.bill.let_go() if moved.calls > task.calls else task.bill,
    )


def grown(old: OpenTask, new: OpenTask, day: str) -> tuple[int, int]:
    """(tokens, microdollars) to be added to the spending of `day`; less than 0: given back. What was held on an earlier
    day stays there: only what exceeds it counts on the new one, and what is held on that."""
    tokens = new.spent_tokens - old.spent_tokens
    microdollars = new.spent_microdollars - old.spent_microdollars
    if old.bill.held_day in ("", day):
        return tokens, microdollars
    held = new.bill if new.bill.held_day == day else Bill()
    return (
        max(0, tokens - held.held_tokens) + held.held_tokens,
        max(0, microdollars - held.held_microdollars) + held.held_microdollars,
    )


def title_of(title: str, prompt: str) -> str:
    """One line that names the task: the given title, else the beginning of the prompt."""
    line = " ".join((title.strip() or prompt).split())
    return line if len(line) <= TITLE_CHARACTERS else line[: TITLE_CHARACTERS - 1].rstrip() + "…"


class Pace:
    """When the room may be told again: TELLS at once, then as old ones are TELLS_S ago. Times are monotonic seconds.

    A fixed gap between two would hold back a step that follows another quickly, though a second has room for both.
    """

    __slots__ = ("_told_s",)

    def __init__(self) -> None:
        self._told_s: tuple[float, ...] = ()

    def due_in_s(self, now_s: float) -> float:
        """How long to wait; 0 means now."""
        return max(0.0, self._told_s[0] + TELLS_S - now_s) if len(self._told_s) == TELLS else 0.0

    def tell(self, now_s: float) -> None:
        """It was told now."""
        self._told_s = (*self._told_s, now_s)[-TELLS:]
