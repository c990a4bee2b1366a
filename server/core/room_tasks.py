"""The rules of a room's tasks: submitted, moved, ended. As in room.py: a state in, a plan of events out.

The `task_submitted` event is on disk before anything of the task runs; the task is open in the state until its one
`complete`. Who may start when is decided for the whole server (slots.py).
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from server.core.room import Plan, Refusal, RoomState
from server.core.task import Bill, Moved, OpenTask, Outcome, move, title_of
from server.core.turn import cut
from server.protocol import (
    ANSWER_BYTES,
    MESSAGE_BYTES,
    OPEN_TASKS,
    Ack,
    Complete,
    TaskSubmitted,
    rfc3339,
)

NO_PROMPT: Final = Refusal("bad_request", "The task is empty; say what is to be done: /task Read up on …")


def submit(
    state: RoomState, *, user: str, cid: str, prompt: str, title: str, now_s: float, run: str | None = None
) -> Plan | Refusal:
    """A person gives the agent long work, or the agent takes it for `user` in its answer `run`."""
    if not prompt.strip():
        return NO_PROMPT
    if len(prompt) > MESSAGE_BYTES or len(prompt.encode()) > MESSAGE_BYTES:
        return Refusal("too_large", f"The task is over {MESSAGE_BYTES:,} bytes; shorten it.")
    if len(state.tasks) >= OPEN_TASKS:
        return Refusal("busy", f"{OPEN_TASKS} tasks are open in this room; wait for one to end, or cancel one.", 10.0)
    event = TaskSubmitted(
        id=state.head + 1,
        time=rfc3339(now_s),
        task=f"t{state.next_task}",
        cid=cid,
        user=user,
        title=title_of(title, prompt),
        prompt=prompt,
        run=UNSET if run is None else run,
    )
    task = OpenTask(event.task, event.id, user, event.title, event.time)
    state = replace(state, head=event.id, next_task=state.next_task + 1, tasks=(*state.tasks, task))
    return Plan((event,), state, Ack(ref=cid, id=event.id, task=event.task))


def find(state: RoomState, task: str) -> OpenTask | None:
    """The open task of that name."""
    return next((kept for kept in state.tasks if kept.task == task), None)


def progress(state: RoomState, *, task: str, moved: Moved, now_s: float) -> Plan | None:
    """The task is further than before. None when it has ended, or nothing is new."""
    old = find(state, task)
    if old is None:
        return None
    new = move(old, moved, rfc3339(now_s))
    if new == old:
        return None
    return Plan((), replace(state, tasks=tuple(new if kept is old else kept for kept in state.tasks)))


def hold(state: RoomState, *, task: str, moved: Moved | None, bill: Bill, now_s: float) -> Plan | None:
    """A request goes out: what it may cost is on disk before. `moved` are news that were not written down yet. None
    when the task has ended."""
    old = find(state, task)
    if old is None:
        return None
    new = replace(old if moved is None else move(old, moved, rfc3339(now_s)), bill=bill)
    return Plan((), replace(state, tasks=tuple(new if kept is old else kept for kept in state.tasks)))


def complete(
    state: RoomState, *, task: str, outcome: Outcome, now_s: float, by: str | None = None, ack: Ack | None = None
) -> Plan | None:
    """The task's one end. None when it has ended already, or never was: a second cancel has no effect."""
    old = find(state, task)
    if old is None:
        return None
    event = Complete(
        id=state.head + 1,
        time=rfc3339(now_s),
        task=task,
        status=outcome.status,
        result=cut(outcome.result, ANSWER_BYTES),
        code=UNSET if outcome.code is None else outcome.code,
        message=outcome.message or UNSET,
        by=UNSET if by is None else by,
        title=old.title,
        user=old.user,
    )
    state = replace(state, head=event.id, tasks=tuple(kept for kept in state.tasks if kept is not old))
    return Plan((event,), state, ack)
