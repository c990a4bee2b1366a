"""Small translations between the room's parts and the wire, the store and the rules. All pure."""

from __future__ import annotations

from msgspec import UNSET

from server import protocol as wire
from server.core import room as rules
from server.core import turn as turns
from server.core.log import Log
from server.core.turn import Turn
from server.protocol import encode
from server.runtime.answer import OpenAnswer
from server.store.base import NewEvent


def open_run(answer: OpenAnswer | None, *, with_content: bool) -> wire.OpenRun | None:
    """The open answer as `welcome` (without content) and `snapshot` (with what was shown) tell it."""
    if answer is None:
        return None
    info = answer.turn.info
    content = answer.shown_text() if with_content else UNSET
    return wire.OpenRun(info.run, answer.turn.status, list(info.asked), list(info.users), content)


def snapshot(epoch: str, log: Log, answer: OpenAnswer | None) -> bytes:
    """A snapshot's JSON, put together from events that are JSON already."""
    events, more = log.newest()
    head = encode({"type": "snapshot", "epoch": epoch, "head": log.head, "more": more})
    return (
        head[:-1] + b',"events":[' + b",".join(events) + b'],"open_run":' + encode(open_run(answer, with_content=True))
    ) + b"}"


def refusal(ref: str | None, code: wire.Code, message: str, retry_after_s: float | None = None) -> wire.Error:
    """The answer to a command that has no effect."""
    error = wire.Error(code=code, message=message, ref=ref, retryable=code in wire.RETRYABLE)
    if retry_after_s is not None:
        error.retry_after = round(retry_after_s, 3)
    return error


def new_event(event: wire.DurableEvent, payload: bytes) -> NewEvent:
    """An event as the store takes it."""
    assert event.id is not UNSET
    assert event.time is not UNSET
    user = event.user if isinstance(event, wire.UserMessage | wire.TaskSubmitted) else ""
    return NewEvent(event.id, payload, user, rules.words_of(event), event.time)


def plan_of_ending(state: rules.RoomState, turn: Turn, now_s: float, *, open_next: bool) -> rules.Plan:
    """The terminal event of the open run; with `open_next` the queue's run follows it."""
    run, content = turn.run, turn.content
    match turn.ending:
        case turns.Finished(stop_reason, usage):
            plan = rules.finish(
                state, run=run, content=content, stop_reason=stop_reason, usage=usage, now_s=now_s, open_next=open_next
            )
        case turns.Failed(code, message):
            plan = rules.fail(
                state, run=run, code=code, message=message, content=content, now_s=now_s, open_next=open_next
            )
        case turns.Stopped(by, reason):
            plan = rules.interrupt(
                state, run=run, by=by, reason=reason, content=content, now_s=now_s, open_next=open_next
            )
        case None:
            plan = None
    assert plan is not None, "only the open run ends, and only once"
    return plan
