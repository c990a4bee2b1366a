"""The rules of a room, tried with every order of commands."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from server.core import room as rules
from server.core.log import Log
from server.protocol import (
    MESSAGE_BYTES,
    QUEUE_MESSAGES,
    RESUME_BYTES,
    RESUME_EVENTS,
    Done,
    Error,
    Interrupted,
    Usage,
    UserMessage,
    encode,
)

USERS = st.sampled_from(["ada", "ben", "chen"])


class RoomMachine(RuleBasedStateMachine):
    """Plans are applied as the runner applies them; what must hold is looked at after each."""

    def __init__(self) -> None:
        super().__init__()
        self.state = rules.RoomState()
        self.events: list = []
        self.opened: list[str] = []
        self.closed: list[str] = []

    def apply(self, plan) -> None:
        assert plan.state.head == self.state.head + len(plan.events)
        for place, event in enumerate(plan.events, 1):
            assert event.id == self.state.head + place
        self.events += plan.events
        if plan.ends:
            assert self.state.open_run is not None
            assert plan.ends == self.state.open_run.run
            self.closed.append(plan.ends)
        if plan.starts:
            assert plan.state.open_run == plan.starts
            self.opened.append(plan.starts.run)
        stored = rules.encode_state(plan.state)
        assert rules.decode_state(stored) == plan.state
        self.state = plan.state

    @rule(user=USERS, content=st.text(max_size=5))
    def say(self, user: str, content: str) -> None:
        plan = rules.post(self.state, user=user, cid=f"c{len(self.events)}", content=content, now_s=0.0)
        if isinstance(plan, rules.Refusal):
            assert not content.strip() or len(self.state.queue) == QUEUE_MESSAGES
            assert plan.code == ("bad_request" if not content.strip() else "busy")
        else:
            assert plan.ack is not None
            assert plan.ack.id == plan.events[0].id
            assert plan.ack.run == plan.events[0].run
            self.apply(plan)

    @precondition(lambda self: self.state.open_run is not None)
    @rule(how=st.sampled_from(["done", "fail", "user", "server_restart"]))
    def end(self, how: str) -> None:
        run = self.state.open_run.run
        match how:
            case "done":
                plan = rules.finish(self.state, run=run, content="x", stop_reason="end_turn", usage=Usage(), now_s=0.0)
            case "fail":
                plan = rules.fail(self.state, run=run, code="model_error", message="m", content="x", now_s=0.0)
            case _:
                plan = rules.interrupt(self.state, run=run, by=None, reason=how, content="x", now_s=0.0)
        waiting = self.state.queue
        self.apply(plan)
        if how == "server_restart":
            assert self.state.open_run is None
            assert self.state.queue == waiting, "nothing starts while nobody is there"
        elif waiting:
            assert self.state.open_run.asked == tuple(message.id for message in waiting)

    @rule(user=USERS)
    def clear(self, user: str) -> None:
        plan = rules.clear(self.state, user=user, cid="c", content="x", now_s=0.0)
        self.apply(plan)
        assert self.state.open_run is None
        assert self.state.queue == ()
        assert self.state.cleared_at == self.state.head

    @rule()
    def join(self) -> None:
        plan = rules.start_queued(self.state)
        if plan is not None:
            self.apply(plan)
            assert self.state.queue == ()

    @rule(run=st.sampled_from(["r0", "r999"]))
    def stale(self, run: str) -> None:
        assert rules.interrupt(self.state, run=run, by="ada", reason="user", content="", now_s=0.0) is None
        assert rules.finish(self.state, run=run, content="", stop_reason="x", usage=Usage(), now_s=0.0) is None
        assert rules.fail(self.state, run=run, code="internal", message="", content="", now_s=0.0) is None

    @invariant()
    def ids_have_no_gap(self) -> None:
        assert [event.id for event in self.events] == list(range(1, self.state.head + 1))

    @invariant()
    def a_run_opens_once_and_ends_once(self) -> None:
        assert len(set(self.opened)) == len(self.opened)
        assert len(set(self.closed)) == len(self.closed)
        is_open = [self.state.open_run.run] if self.state.open_run else []
        assert self.opened == self.closed + is_open

    @invariant()
    def every_message_is_asked_at_most_once_in_order(self) -> None:
        asked = [id for event in self.events if isinstance(event, Done | Interrupted | Error) for id in event.asked]
        assert asked == sorted(set(asked))
        for event in self.events:
            if isinstance(event, Done | Interrupted | Error):
                runs = {e.run for e in self.events if isinstance(e, UserMessage) and e.id in event.asked}
                assert runs == {event.run}

    @invariant()
    def a_queue_waits_for_a_run_or_a_member(self) -> None:
        assert len(self.state.queue) <= QUEUE_MESSAGES
        assert bool(self.state.queue) == bool(self.state.queued_run)


RoomMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
test_any_order_of_commands = RoomMachine.TestCase


def test_a_message_over_the_limit_is_refused_by_bytes() -> None:
    fits = rules.post(rules.RoomState(), user="a", cid="c", content="é" * (MESSAGE_BYTES // 2), now_s=0.0)
    assert isinstance(fits, rules.Plan)
    over = rules.post(rules.RoomState(), user="a", cid="c", content="é" * (MESSAGE_BYTES // 2) + "x", now_s=0.0)
    assert isinstance(over, rules.Refusal)
    assert over.code == "too_large"


@given(st.lists(st.integers(1, 400_000), max_size=40), st.integers(-2, 50))
def test_the_ring_gives_all_or_nothing(sizes: list[int], after: int) -> None:
    log = Log()
    for id, size in enumerate(sizes, 1):
        log.append(id, b"x" * size)
    missed = log.since(after)
    expected = [b"x" * size for size in sizes[max(after, 0) :]]
    if missed is None:
        assert after < 0 or after > len(sizes) or sum(map(len, expected)) > RESUME_BYTES
    else:
        assert missed == expected
        assert sum(map(len, missed)) <= RESUME_BYTES


def test_the_ring_forgets_the_oldest() -> None:
    log = Log()
    for id in range(1, RESUME_EVENTS + 11):
        log.append(id, encode({"id": id}))
    assert log.since(9) is None
    assert len(log.since(10) or ()) == RESUME_EVENTS
    events, more = log.newest()
    assert (len(events), more) == (50, True)
