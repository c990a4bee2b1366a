"""Who is in the room, also when a server names very many."""

from __future__ import annotations

from server.protocol import UserJoined, UserLeft
from tui_agent.state.members import MOST_KNOWN, Members


def test_a_server_that_names_very_many_has_them_counted_only() -> None:
    members = Members()
    for number in range(3 * MOST_KNOWN):
        members.change(UserJoined([f"u{number}", f"v{number}"], 2 * number + 2))
    assert members.count == 6 * MOST_KNOWN
    assert len(members.people) == MOST_KNOWN
    members.change(UserLeft(["u0", "u2999"], 5998))
    assert "u0" not in members.people
    members.change(UserJoined(["zoe"], 5999, active_users=[f"w{number}" for number in range(5000)]))
    assert len(members.people) == MOST_KNOWN


def test_names_are_cleaned() -> None:
    members = Members()
    members.change(UserJoined(["a\x1b[31mb"], 1))
    assert all("\x1b" not in name for name in members.people)
    assert len(members.people) == 1
