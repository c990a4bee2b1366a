"""Messages that never reached the room: offered or refused, they wait for a word of their author."""

from __future__ import annotations

import time

from server.protocol import Message
from tests.ui.conftest import Stage, until
from tui_agent.link.address import parse_address
from tui_agent.link.outbox import Outbox, outbox_folder
from tui_agent.paths import state_folder
from tui_agent.state.unsent import OFFERED


def keep(stage: Stage, text: str, age_s: float) -> None:
    """What an earlier process left behind."""
    folder = outbox_folder(state_folder(), parse_address(stage.url).key, "main", "ada")
    outbox = Outbox(folder, now_s=time.time())
    outbox.add(Message("c-old", text), time.time() - age_s)
    outbox.close()


async def test_an_old_unsent_message_is_offered_and_sent_when_one_says_so(stage: Stage) -> None:
    keep(stage, "from last week", 3600)
    async with stage.app() as (app, pilot):
        chat = app.conversation.chat
        await until(lambda: chat.entries and chat.entries[0].note == OFFERED)
        assert chat.entries[0].text == "from last week"
        assert app.conversation.link.pending, "kept, and not sent by itself"
        await pilot.press(*"/resend", "enter")
        await until(lambda: [e.state for e in chat.entries if e.kind == "message"] == ["sent"])
        assert not app.conversation.link.pending


async def test_an_offered_message_can_be_dropped_for_good(stage: Stage) -> None:
    keep(stage, "never mind", 3600)
    async with stage.app() as (app, pilot):
        await until(lambda: app.conversation.chat.unsent)
        await pilot.press(*"/discard", "enter")
        await until(lambda: not app.conversation.chat.entries)
    async with stage.app() as (app, _):
        assert not app.conversation.link.pending
        assert not app.conversation.chat.unsent


async def test_a_recent_unsent_message_goes_out_by_itself(stage: Stage) -> None:
    keep(stage, "a moment ago", 5)
    async with stage.app() as (app, _):
        await until(lambda: [e.state for e in app.conversation.chat.entries if e.kind == "message"] == ["sent"])
