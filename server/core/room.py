"""The rules of a room: a state and a command in, a plan of events and effects out.

A `RoomState` is immutable and is exactly what the store keeps beside the log. A rule never changes it; it returns a
`Plan` whose `state` holds once its `events` are on disk, and which is thrown away when the disk refuses. The states of
a room and its moves:

    state                     message             the run ends            clear
    idle                      run opens           -                       cleared
    run open                  queued              idle                    interrupted, cleared -> idle
    run open, queue           queued (busy at 8)  the queue's run opens   interrupted, cleared -> idle
    queue, no run (restart)   all open as one     -                       cleared -> idle

The run id of a queued message is fixed when it is logged; all queued messages share it.
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, Struct, json
from msgspec.structs import replace

from server.core.task import OpenTask
from server.protocol import (
    MESSAGE_BYTES,
    QUEUE_MESSAGES,
    Ack,
    Cleared,
    Code,
    Complete,
    Done,
    DurableEvent,
    Error,
    Interrupted,
    InterruptReason,
    QueuedMessage,
    TaskSubmitted,
    Usage,
    UserMessage,
    rfc3339,
)


class RunInfo(Struct, frozen=True):
    """A run that was started and has not ended; `reserved_*` is what it holds of the budget of `day`."""

    run: str
    asked: tuple[int, ...]
    users: tuple[str, ...]
    day: str = ""
    reserved_tokens: int = 0
    reserved_microdollars: int = 0


class RoomState(Struct, frozen=True):
    """All of a room that its log does not say by itself. `cleared_at` is the id of the last `cleared`; the rules of
    `tasks` stand in room_tasks."""

    head: int = 0
    next_run: int = 1
    open_run: RunInfo | None = None
    queue: tuple[QueuedMessage, ...] = ()
    queued_run: str = ""
    cleared_at: int = 0
    next_task: int = 1
    tasks: tuple[OpenTask, ...] = ()


class Refusal(Struct, frozen=True):
    """The command has no effect and may be sent again."""

    code: Code
    message: str
    retry_after_s: float | None = None


class Plan(Struct, frozen=True):
    """What holds once `events` are on disk. `starts` is a run to open, `ends` a run that is over, `drops` the run of
    queued messages that will never be answered."""

    events: tuple[DurableEvent, ...]
    state: RoomState
    ack: Ack | None = None
    starts: RunInfo | None = None
    ends: str | None = None
    drops: str | None = None


_state_decoder: Final = json.Decoder(RoomState)


def encode_state(state: RoomState) -> bytes:
    """For the store."""
    return json.encode(state)


def decode_state(stored: bytes | None) -> RoomState:
    """From the store; None is a new room. Raises msgspec.MsgspecError."""
    return RoomState() if stored is None else _state_decoder.decode(stored)


def _users(messages: tuple[QueuedMessage, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(m.user for m in messages))


def _open_queue(state: RoomState) -> tuple[RoomState, RunInfo | None]:
    """The state in which the queued messages' run is open, if there are any."""
    if not state.queue:
        return state, None
    run = RunInfo(state.queued_run, tuple(m.id for m in state.queue), _users(state.queue))
    return replace(state, open_run=run, queue=(), queued_run=""), run


def post(state: RoomState, *, user: str, cid: str, content: str, now_s: float) -> Plan | Refusal:
    """A person says something: it opens a run, or waits for the next one."""
    if not content.strip():
        return Refusal("bad_request", "The message is empty; write something and send it again.")
    if len(content) > MESSAGE_BYTES or len(content.encode()) > MESSAGE_BYTES:
        return Refusal("too_large", f"The message is over {MESSAGE_BYTES:,} bytes; shorten it or send it in parts.")
    if len(state.queue) >= QUEUE_MESSAGES:
        return Refusal(
            "busy",
            f"{QUEUE_MESSAGES} messages wait already; send it again when the agent has answered, or stop the answer.",
            2.0,
        )
    run = state.queued_run or f"r{state.next_run}"
    message = UserMessage(id=state.head + 1, time=rfc3339(now_s), user=user, cid=cid, content=content, run=run)
    state = replace(
        state,
        head=message.id,
        next_run=state.next_run + (not state.queued_run),
        queue=(*state.queue, QueuedMessage(message.id, user)),
        queued_run=run,
    )
    starts = None
    if state.open_run is None:
        state, starts = _open_queue(state)
    return Plan((message,), state, Ack(ref=cid, id=message.id, run=run), starts)


def start_queued(state: RoomState) -> Plan | None:
    """Messages that a restart left in the queue are answered once somebody is there; None when there are none."""
    if state.open_run is not None or not state.queue:
        return None
    state, starts = _open_queue(state)
    return Plan((), state, starts=starts)


def _end(state: RoomState, event: DurableEvent, *, open_next: bool) -> Plan:
    ended = state.open_run
    assert ended is not None
    state = replace(state, head=state.head + 1, open_run=None)
    starts = None
    if open_next:
        state, starts = _open_queue(state)
    return Plan((event,), state, starts=starts, ends=ended.run)


def finish(
    state: RoomState, *, run: str, content: str, stop_reason: str, usage: Usage, now_s: float, open_next: bool = True
) -> Plan | None:
    """The agent is done. None when `run` is not open any more; without `open_next` the queue stays as it is."""
    if state.open_run is None or state.open_run.run != run:
        return None
    done = Done(
        id=state.head + 1,
        time=rfc3339(now_s),
        run=run,
        asked=list(state.open_run.asked),
        users=list(state.open_run.users),
        content=content,
        stop_reason=stop_reason,
        usage=usage,
    )
    return _end(state, done, open_next=open_next)


def fail(
    state: RoomState, *, run: str, code: Code, message: str, content: str, now_s: float, open_next: bool = True
) -> Plan | None:
    """The answer failed; what came before is kept. See `finish`."""
    if state.open_run is None or state.open_run.run != run:
        return None
    error = Error(
        code=code,
        message=message,
        id=state.head + 1,
        time=rfc3339(now_s),
        run=run,
        asked=list(state.open_run.asked),
        users=list(state.open_run.users),
        content=content,
    )
    return _end(state, error, open_next=open_next)


def interrupt(
    state: RoomState,
    *,
    run: str,
    by: str | None,
    reason: InterruptReason,
    content: str,
    now_s: float,
    open_next: bool = True,
) -> Plan | None:
    """Stop an open run and keep its partial text. None when `run` is not open: a stale press has no effect.

    After a restart the queue stays as it is: nothing starts while nobody is there (PROTOCOL, Runs).
    """
    if state.open_run is None or state.open_run.run != run:
        return None
    return _end(
        state,
        _interrupted(state, state.head + 1, by, reason, content, now_s),
        open_next=open_next and reason != "server_restart",
    )


def _interrupted(
    state: RoomState, id: int, by: str | None, reason: InterruptReason, content: str, now_s: float
) -> Interrupted:
    assert state.open_run is not None
    return Interrupted(
        id=id,
        time=rfc3339(now_s),
        run=state.open_run.run,
        asked=list(state.open_run.asked),
        users=list(state.open_run.users),
        by=by,
        reason=reason,
        content=content,
    )


def clear(state: RoomState, *, user: str, cid: str, content: str, now_s: float) -> Plan:
    """The agent forgets: the open run (`content` so far) is interrupted, the queue emptied, then `cleared` logged."""
    events: list[DurableEvent] = []
    ends = drops = None
    if state.open_run is not None:
        ends = state.open_run.run
        events.append(_interrupted(state, state.head + 1, user, "clear", content, now_s))
    if state.queue:
        drops = state.queued_run
    cleared = Cleared(id=state.head + len(events) + 1, time=rfc3339(now_s), by=user)
    events.append(cleared)
    state = replace(state, head=cleared.id, open_run=None, queue=(), queued_run="", cleared_at=cleared.id)
    return Plan(tuple(events), state, Ack(ref=cid, id=cleared.id), ends=ends, drops=drops)


def reserve(plan: Plan, *, day: str, tokens: int, microdollars: int) -> Plan:
    """The same plan whose started run holds a part of the day's budget."""
    assert plan.starts is not None
    starts = RunInfo(plan.starts.run, plan.starts.asked, plan.starts.users, day, tokens, microdollars)
    return Plan(plan.events, replace(plan.state, open_run=starts), plan.ack, starts, plan.ends, plan.drops)


def words_of(event: DurableEvent) -> str:
    """What search finds of an event; "" for one without words."""
    match event:
        case UserMessage() | Done() | Interrupted():
            return event.content
        case Error():
            return "" if event.content is UNSET else event.content
        case TaskSubmitted():
            return f"{event.title}\n{event.prompt}"
        case Complete():
            return event.result
        case _:
            return ""
