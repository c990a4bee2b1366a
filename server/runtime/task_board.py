"""What the members of a room see of its tasks: in `welcome`, and as `progress`, at most four times a second each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec import UNSET

from server import protocol as wire
from server.core.task import Moved, OpenTask, Pace


class TaskBoard:
    """Holds back news until they are due. `tell` is called with a task whose latest `Moved` is to be written down."""

    def __init__(self, monotonic_s: Callable[[], float], tell: Callable[[str], None]) -> None:
        self._monotonic_s = monotonic_s
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._latest: dict[str, Moved] = {}
        self._paces: dict[str, Pace] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._told_steps: dict[str, tuple[str, ...]] = {}
        self._written: set[str] = set()

    def moved(self, task: str, moved: Moved) -> None:
        """News of a task; what came before and was not told is replaced."""
        self._latest[task] = moved
        if task not in self._timers:
            due_s = self._paces.setdefault(task, Pace()).due_in_s(self._monotonic_s())
            self._timers[task] = self._loop.call_later(due_s, self._due, task)

    def _due(self, task: str) -> None:
        del self._timers[task]
        self._tell(task)

    def take(self, task: str) -> Moved | None:
        """The latest news, which then are told; None when there are none."""
        moved = self._latest.pop(task, None)
        if moved is not None:
            self._paces.setdefault(task, Pace()).tell(self._monotonic_s())
        return moved

    def latest(self, task: str) -> Moved | None:
        """News that are not told yet."""
        return self._latest.get(task)

    def written(self, task: str) -> None:
        """Its latest news are on disk, though not told: they still are when they are due."""
        if task in self._latest:
            self._written.add(task)

    def take_written(self, task: str) -> bool:
        """Whether news of it were written before they were told."""
        was_written = task in self._written
        self._written.discard(task)
        return was_written

    def drop(self, task: str) -> None:
        """It has ended."""
        self._latest.pop(task, None)
        self._paces.pop(task, None)
        self._told_steps.pop(task, None)
        self._written.discard(task)
        timer = self._timers.pop(task, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """No more news."""
        for timer in self._timers.values():
            timer.cancel()

    def progress(self, task: OpenTask, place: int | None) -> wire.Progress:
        """The live event; the plan's steps only when they are new."""
        is_new = self._told_steps.get(task.task, ()) != task.steps
        self._told_steps[task.task] = task.steps
        return wire.Progress(
            task.task,
            task.percent,
            message_of(task, place),
            status=task.status,
            started=task.started or UNSET,
            place=UNSET if place is None else place,
            step=UNSET if task.step < 0 else task.step,
            steps=list(task.steps) if is_new else UNSET,
        )


def message_of(task: OpenTask, place: int | None) -> str:
    """One line: where it is, or where it waits."""
    if place is not None:
        return f"waiting, {place} in the queue" if place > 1 else "waiting, next in the queue"
    return task.message or ("starting" if task.status == "running" else "waiting")


def info(task: OpenTask, place: int | None) -> wire.TaskInfo:
    """A task as `welcome` has it."""
    return wire.TaskInfo(
        task.task,
        task.title,
        task.user,
        task.status,
        task.percent,
        message_of(task, place),
        submitted=task.submitted,
        started=task.started or UNSET,
        place=UNSET if place is None else place,
        step=UNSET if task.step < 0 else task.step,
        steps=list(task.steps) if task.steps else UNSET,
    )
