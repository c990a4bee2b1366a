"""Joins and leaves: told once, gathered, with a grace."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.core.presence import GATHER_S, LEAVE_GRACE_S, Presence
from server.protocol import UserJoined, UserLeft


def test_the_first_join_is_told_at_once_and_more_are_gathered() -> None:
    presence, told = Presence(), []
    for number in range(300):
        presence.join(f"u{number}", wall_s=0.0)
        told += presence.tell(number * 0.0001)
    assert [event.users for event in told] == [["u0"]]
    assert presence.due_in_s(0.03) is not None
    (event,) = presence.tell(GATHER_S + 0.001)
    assert len(event.users) == 299
    assert event.count == 300
    assert encodes_no_list(event)


def encodes_no_list(event) -> bool:
    from msgspec import UNSET

    return event.active_users is UNSET


def test_a_leave_is_told_after_the_grace_and_a_return_within_it_is_not() -> None:
    presence = Presence()
    presence.join("ada", wall_s=0.0)
    presence.tell(0.0)
    presence.leave("ada", now_s=1.0)
    assert presence.tell(1.0 + LEAVE_GRACE_S - 0.01) == []
    presence.join("ada", wall_s=0.0)
    assert presence.tell(100.0) == []
    presence.leave("ada", now_s=100.0)
    due_s = presence.due_in_s(100.0)
    assert due_s == LEAVE_GRACE_S
    (left,) = presence.tell(100.0 + due_s)
    assert isinstance(left, UserLeft)
    assert (left.users, left.count, left.active_users) == (["ada"], 0, [])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 15)), max_size=60))
def test_what_was_told_adds_up_to_who_is_there(steps) -> None:
    presence, now_s = Presence(), 0.0
    counts = {"a": 0, "b": 0, "c": 0}
    told: set[str] = set()

    def tell() -> None:
        for event in presence.tell(now_s):
            users = set(event.users)
            assert len(users) == len(event.users)
            if isinstance(event, UserJoined):
                assert not users & told
                told.update(users)
            else:
                assert users <= told
                told.difference_update(users)
            assert event.count == len(presence)

    for user, joins, wait_s in steps:
        now_s += wait_s
        tell()
        if joins:
            presence.join(user, wall_s=0.0)
            counts[user] += 1
        elif counts[user]:
            presence.leave(user, now_s=now_s)
            counts[user] -= 1
        tell()
    while (due_s := presence.due_in_s(now_s)) is not None:
        now_s += due_s + 1e-6
        tell()
    assert told == {user for user, count in counts.items() if count} == set(presence.users)
