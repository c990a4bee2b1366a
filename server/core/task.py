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


class OpenTask(Struct, frozen=True):
    """A task that has not ended, as the store keeps it. `id` is its `task_submitted` event, which holds the prompt;
    `tokens` and `microdollars` are what it has cost so far, all of it in the day's spending."""

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


class Moved(Struct, frozen=True):
    """What a worker tells of itself. Costs are totals of the whole task, so telling twice counts once."""

    percent: int
    message: str
    step: int = -1
    steps: tuple[str, ...] = ()
    tokens: int = 0
    microdollars: int = 0


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
