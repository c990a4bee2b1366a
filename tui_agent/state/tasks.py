"""Tasks as the screen knows them: cleaned, with their steps, the time that is left where it can be known, and what
ended while one was away. Pure."""

from __future__ import annotations

from msgspec import UNSET, Struct
from msgspec.structs import replace

from server.protocol import Complete, Progress, TaskInfo, TaskSubmitted
from tui_agent.state.clean import clean_line, clean_text

KNOWABLE_PERCENT = 10  # below, one step says too little about the others
LEAST_ELAPSED_S = 5.0
MOST_LEFT_S = 86_400.0
MOST_AWAY = 5
MARKS = {"completed": "✓", "failed": "✗", "canceled": "■"}


class EndedTask(Struct, frozen=True):
    """A task that is over. `info` is how it was last seen while it ran, where it was seen."""

    task: str
    title: str
    user: str
    status: str
    result: str
    note: str  # why it failed, or by whom it was canceled
    time: str
    info: TaskInfo | None = None


def cleaned(info: TaskInfo) -> TaskInfo:
    """What may be shown of a task that a server told of."""
    return replace(
        info,
        title=clean_line(info.title),
        user=clean_line(info.user),
        message=clean_line(info.message),
        percent=max(0, min(100, info.percent)),
        steps=UNSET if info.steps is UNSET else [clean_line(step) for step in info.steps],
    )


def submitted(event: TaskSubmitted) -> TaskInfo:
    """A task as it begins."""
    return TaskInfo(event.task, clean_line(event.title), clean_line(event.user), "queued", 0, "", submitted=event.time)


def moved(info: TaskInfo, event: Progress) -> TaskInfo:
    """The task after news of it; the percent never falls, and what is not said stays."""
    return replace(
        info,
        percent=max(info.percent, min(100, event.percent)),
        message=clean_line(event.message),
        status="running" if event.status is UNSET else event.status,
        started=info.started if event.started is UNSET else event.started,
        place=event.place,
        step=info.step if event.step is UNSET else event.step,
        steps=info.steps if event.steps is UNSET else [clean_line(step) for step in event.steps],
    )


def ended(event: Complete, info: TaskInfo | None) -> EndedTask:
    """A task as its end tells it; title and owner from the event, else from what was known of it."""
    title = event.title if event.title is not UNSET else info.title if info is not None else "a task"
    user = event.user if event.user is not UNSET else info.user if info is not None else ""
    note = "" if event.message is UNSET else clean_line(event.message)
    if event.status == "canceled" and event.by is not UNSET:
        note = f"stopped by {clean_line(event.by)}"
    return EndedTask(
        event.task, clean_line(title), clean_line(user), event.status, clean_text(event.result), note, event.time, info
    )


def step_words(info: TaskInfo) -> str:
    """`2 of 5` once there is a plan; "" before."""
    if info.steps is UNSET or info.step is UNSET or not info.steps:
        return ""
    return f"{min(info.step + 1, len(info.steps))} of {len(info.steps)}"


def left_s(info: TaskInfo, started_s: float | None, now_s: float) -> float | None:
    """How long it may still take, in seconds, at the pace so far; None while that cannot be known."""
    if info.status != "running" or started_s is None or not KNOWABLE_PERCENT <= info.percent < 100:
        return None
    elapsed_s = now_s - started_s
    if elapsed_s < LEAST_ELAPSED_S:  # or the clocks differ
        return None
    left = elapsed_s * (100 - info.percent) / info.percent
    return left if left <= MOST_LEFT_S else None


def left_words(seconds: float) -> str:
    """`40 s left`, `2 m left`, `1.5 h left`: no more exact than it is."""
    if seconds < 55:
        return f"{max(5, round(seconds / 5) * 5)} s left"
    if seconds < 3570:
        return f"{round(seconds / 60)} m left"
    return f"{round(seconds / 1800) / 2:g} h left"


def end_words(task: EndedTask, me: str) -> str:
    """One sentence about an end: for a toast, a notification, or the voice."""
    whose = "Your task" if task.user == me else f"{task.user}'s task" if task.user else "The task"
    how = {"completed": "is done", "failed": "failed", "canceled": "was stopped"}.get(task.status, "ended")
    return f"{whose} {how}: {task.title}"


class Away:
    """Which tasks ended between the last visit and this one. Told once, when all that was missed has come."""

    def __init__(self, seen_id: int | None) -> None:
        self._since = seen_id  # None: a first visit, nothing was missed
        self._until: int | None = None
        self._ended: list[EndedTask] = []
        self.is_over = False  # all of it has come

    def welcome(self, head: int) -> None:
        """The first welcome says how far that goes."""
        if self._until is None:
            self._until = head

    def ended(self, id: int, task: EndedTask) -> None:
        """A task ended, by an event with this id."""
        if self._since is not None and self._until is not None and self._since < id <= self._until:
            self._ended.append(task)

    def passed(self, id: int) -> list[str]:
        """Lines to show, when the event with this id was the last that was missed; else none."""
        if self._until is None or id < self._until:
            return []
        self.is_over = True
        tasks, self._ended, self._since = self._ended, [], None
        lines = [f"while you were away  {MARKS.get(t.status, '·')} {t.title} · {t.user}" for t in tasks[-MOST_AWAY:]]
        more = len(tasks) - MOST_AWAY
        return [*lines, f"while you were away  and {more} more tasks ended"] if more > 0 else lines
