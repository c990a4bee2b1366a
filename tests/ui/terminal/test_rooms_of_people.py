"""Two programs on terminals of their own, in one room of a real server; and one person going from room to room."""

from __future__ import annotations

import base64
from typing import Any

from tests.ui.conftest import Stage, until
from tests.ui.terminal.program import terminal


async def test_two_people_see_each_other_and_the_same_stream_and_either_stops_it(place: Any) -> None:
    with terminal(place, size=(120, 40)) as ada, terminal(place, "--user", "ben", size=(120, 40)) as ben:
        await ada.shows("live")
        await ben.shows("live")
        for screen in (ada, ben):
            await screen.shows("IN THE ROOM  2")
        await ada.types("what is the time?")
        await ben.shows("what is the time?")
        run = await place[1].wait_run()
        run.say("It is almost ")
        for screen in (ada, ben):
            await screen.shows("It is almost")
        await ben.shows("answering ada")
        ben.send(b"typing")
        await ada.shows("typing…")
        ben.send(b"\x1b")
        for screen in (ada, ben):
            await screen.shows("interrupted by ben")
        assert run.cancelled.is_set()


async def test_f7_copies_the_last_answer_by_osc_52(place: Any) -> None:
    with terminal(place) as screen:
        await screen.shows("live")
        await screen.types("say")
        run = await place[1].wait_run()
        run.say("**Copied** words")
        run.finish()
        await screen.shows("Copied words")
        screen.send(b"\x1b[18~")
        wanted = b"\x1b]52;c;" + base64.b64encode(b"**Copied** words")
        await until(lambda: screen.read(0.05) is None or wanted in screen.raw)


async def test_a_room_comes_back_to_the_place_where_it_was_left(stage: Stage) -> None:
    async with stage.app((80, 24)) as (app, pilot):
        for number in range(12):
            app.send(f"line {number}\n\n" + "more\n" * 4)
            run = await stage.agent.wait_run()
            run.finish()
            await until(lambda: app.conversation.chat.running is None)
        view = app.chat_screen.transcript
        await pilot.press("pageup", "pageup")
        await pilot.pause(0.2)
        before = "\n".join(strip.text for strip in view.render_lines(view.size.region))
        assert not view.is_following
        app.moving.show("other")
        await until(lambda: app.conversation.room == "other" and app.conversation.is_live)
        await pilot.pause(0.2)
        assert view.is_following
        await pilot.press("f6")
        await until(lambda: app.conversation.room == "main")
        await pilot.pause(0.2)
        assert not view.is_following
        assert "\n".join(strip.text for strip in view.render_lines(view.size.region)) == before
