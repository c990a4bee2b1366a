"""A task's progress, its rules in a room, and who may start."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from server.core import room as rules
from server.core import room_tasks
from server.core.slots import Slots
from server.core.task import TELLS_S, Bill, Moved, OpenTask, Outcome, Pace, grown, move, percent_of, title_of
from server.protocol import ANSWER_BYTES, MESSAGE_BYTES, OPEN_TASKS, TITLE_CHARACTERS, Complete, TaskSubmitted, encode

OPEN = OpenTask("t1", 1, "ada", "Read up", "2026-11-25T10:00:00.000Z")


def submit(state: rules.RoomState, prompt: str = "read", user: str = "ada") -> rules.Plan:
    plan = room_tasks.submit(state, user=user, cid="c", prompt=prompt, title="", now_s=0.0)
    assert isinstance(plan, rules.Plan)
    return plan


@given(st.lists(st.tuples(st.integers(-5, 120), st.integers(-1, 9)), max_size=12))
def test_whatever_a_worker_tells_percent_and_step_never_fall(news: list[tuple[int, int]]) -> None:
    task = OPEN
    for percent, step in news:
        after = move(task, Moved(percent, "x", step, tuple("abcdefghij")), "now")
        assert after.percent >= task.percent
        assert after.step >= task.step
        assert 0 <= after.percent <= 100
        task = after


def test_the_percent_comes_from_the_plan_and_reaches_a_hundred_only_at_the_end() -> None:
    assert [percent_of(done, 4) for done in range(-1, 5)] == [0, 17, 33, 50, 67, 83]
    assert all(percent_of(done, steps) < 100 for steps in range(1, 25) for done in range(steps + 2))


def test_a_worker_that_goes_over_its_steps_again_does_not_show_older_words() -> None:
    task = move(OPEN, Moved(50, "Analysing", 2, ("a", "b", "c")), "then")
    again = move(task, Moved(25, "Searching", 0, ("a", "b", "c")), "now")
    assert (again.percent, again.message, again.step, again.started) == (50, "Analysing", 2, "then")


def test_a_task_is_open_from_its_submission_to_its_one_end() -> None:
    plan = submit(rules.RoomState())
    (event,) = plan.events
    assert isinstance(event, TaskSubmitted)
    assert (event.task, event.title, plan.ack and plan.ack.task) == ("t1", "read", "t1")
    moved = room_tasks.progress(plan.state, task="t1", moved=Moved(10, "Searching"), now_s=1.0)
    assert moved is not None
    assert (moved.events, moved.state.head) == ((), 1)
    assert moved.state.tasks[0].status == "running"
    end = room_tasks.complete(moved.state, task="t1", outcome=Outcome("completed", "found"), now_s=2.0)
    assert end is not None
    assert isinstance(end.events[0], Complete)
    assert end.state.tasks == ()
    assert room_tasks.complete(end.state, task="t1", outcome=Outcome("canceled", ""), now_s=3.0) is None
    assert room_tasks.progress(end.state, task="t1", moved=Moved(99, "late"), now_s=3.0) is None
    assert submit(end.state).state.tasks[0].task == "t2", "a name is never used again"
    assert rules.decode_state(rules.encode_state(moved.state)) == moved.state


def test_what_cannot_be_a_task_is_refused_with_its_code() -> None:
    state = rules.RoomState()

    def code(prompt: str) -> str:
        refusal = room_tasks.submit(state, user="ada", cid="c", prompt=prompt, title="t", now_s=0.0)
        assert isinstance(refusal, rules.Refusal)
        return refusal.code

    assert code("  \n ") == "bad_request"
    assert code("x" * (MESSAGE_BYTES + 1)) == "too_large"
    for _ in range(OPEN_TASKS):
        state = submit(state).state
    assert code("one more") == "busy"


def test_a_state_holds_no_prompt_so_that_a_message_stays_cheap_beside_tasks() -> None:
    state = submit(rules.RoomState(), "long " * 10_000).state
    assert len(rules.encode_state(state)) < 1000


def test_a_result_that_is_too_long_is_cut_to_what_an_answer_may_be() -> None:
    state = submit(rules.RoomState()).state
    end = room_tasks.complete(state, task="t1", outcome=Outcome("completed", "é" * ANSWER_BYTES), now_s=0.0)
    assert end is not None
    event = end.events[0]
    assert isinstance(event, Complete)
    assert ANSWER_BYTES - 8 < len(encode(event.result)) <= ANSWER_BYTES + 2


def test_money_held_for_a_request_is_given_back_when_its_result_is_told_and_only_once() -> None:
    idle = OpenTask("t1", 1, "ada", "t", "", tokens=40, calls=1)
    held = replace(idle, bill=Bill(lost_tokens=5).holding(1000, 10, "monday"))
    assert grown(replace(idle, bill=Bill(lost_tokens=5)), held, "monday") == (1000, 10)
    same = move(held, Moved(10, "trying again", tokens=40, calls=1), "")
    assert same.bill == held.bill, "no new result: the request is still under way"
    told = move(held, Moved(50, "two", tokens=90, microdollars=3, calls=2), "")
    assert grown(held, told, "monday") == (50 - 1000, 3 - 10)
    assert told.spent_tokens == 90 + 5
    assert move(told, Moved(50, "two", tokens=90, microdollars=3, calls=2), "") == told
    assert grown(held, told, "tuesday") == (0, 0), "what was held yesterday stays there, and is more than it cost"
    broken = replace(held, bill=held.bill.with_lost(7, 1).let_go().holding(1000, 10, "tuesday"))
    assert grown(held, broken, "tuesday") == (1000, 10), "a new try after midnight: all that it holds is of the new day"
    assert grown(held, replace(held, bill=held.bill.died()), "monday") == (0, 0)


def test_a_title_is_one_short_line() -> None:
    assert title_of("  Two\nlines ", "p") == "Two lines"
    assert title_of("", "the prompt\nserves") == "the prompt serves"
    assert len(title_of("x" * 500, "p")) == TITLE_CHARACTERS


def test_four_news_are_due_at_once_and_never_more_than_four_in_a_second() -> None:
    pace = Pace()
    for told_s in (5.0, 5.1, 5.2, 5.3):
        assert pace.due_in_s(told_s) == 0.0
        pace.tell(told_s)
    assert pace.due_in_s(5.4) == pytest.approx(5.0 + TELLS_S - 5.4)
    pace.tell(6.0)
    assert pace.due_in_s(6.0) == pytest.approx(0.1), "the second of the four is the next to be a second ago"
    assert pace.due_in_s(7.5) == 0.0


def test_four_tasks_run_two_of_each_person_and_the_rest_wait_in_order() -> None:
    slots = Slots()
    for name in ("a1", "a2", "a3", "b1", "b2", "c1"):
        slots.add(name, name[0])
    slots.add("a1", "a")  # known already
    assert slots.start() == ["a1", "a2", "b1", "b2"]
    assert slots.places() == {"a3": 1, "c1": 2}
    slots.remove("b1")
    assert slots.start() == ["c1"], "who is at the own limit holds nobody up"
    slots.remove("a1")
    assert slots.start() == ["a3"]
    slots.remove("nobody")
    assert len(slots) == 4


@given(st.lists(st.tuples(st.sampled_from("ar"), st.integers(0, 9), st.sampled_from("abc")), max_size=60))
def test_the_limits_hold_in_every_order(moves: list[tuple[str, int, str]]) -> None:
    slots, running, owner = Slots(3, 1), set(), {}
    for kind, number, person in moves:
        id = f"t{number}"
        if kind == "a":
            if id not in slots:
                owner[id] = person
            slots.add(id, person)
        else:
            slots.remove(id)
            running.discard(id)
        running.update(slots.start())
        assert len(running) <= 3
        assert len({owner[id] for id in running}) == len(running)
        if len(running) < 3:
            waiting = set(slots.places())
            busy = {owner[id] for id in running}
            assert all(owner[id] in busy for id in waiting), "nobody waits for nothing"
