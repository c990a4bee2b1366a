"""Who left a room is remembered for the panel: the last few of them, until they are back."""

from __future__ import annotations

import asyncio

from server.protocol import UserJoined, UserLeft
from tests.fakes.link import ScriptedLink
from tests.ui.conftest import until
from tui_agent.conversation import MOST_LEFT, Conversation


async def test_the_last_who_left_are_remembered_in_order_until_they_are_back() -> None:
    link = ScriptedLink()
    talk = Conversation("main", "ada", lambda _room: link, lambda _talk: None)
    now_s = 100.0
    talk.monotonic_s = lambda: now_s
    running = asyncio.create_task(talk.run())
    link.tell(*(UserLeft([f"u{number}"], 1) for number in range(500)))
    await until(lambda: "u499" in talk.left_for_s)
    assert list(talk.left_for_s) == [f"u{number}" for number in range(500 - MOST_LEFT, 500)]
    now_s = 107.0
    link.tell(UserLeft(["u490"], 1), UserJoined(["u491", "u499"], 3))
    await until(lambda: "u499" not in talk.left_for_s)
    assert list(talk.left_for_s)[-2:] == ["u498", "u490"], "the last to leave stands last"
    assert (talk.left_for_s["u490"], talk.left_for_s["u498"]) == (0.0, 7.0)
    assert "u491" not in talk.left_for_s
    running.cancel()
