"""What came while one looked elsewhere stands under a line that says since when."""

from __future__ import annotations

import pytest
from textual import events

from tests.ui.conftest import Stage, until
from tui_agent import away


def shown(app) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def test_a_line_stands_above_what_came_while_the_window_was_not_looked_at(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(away, "AWAY_S", 0.0)
    async with stage.app() as (app, pilot):
        await pilot.press(*"hello", "enter")
        run = await stage.agent.wait_run()
        app.post_message(events.AppBlur())
        await until(lambda: not app.app_focus)
        run.say("Came meanwhile.")
        run.finish()
        await until(lambda: app.conversation.chat.entries[-1].state == "done")
        assert "new since" not in shown(app)
        app.post_message(events.AppFocus())
        await until(lambda: "new since" in shown(app))
        text = shown(app)
        assert text.index("hello") < text.index("new since") < text.index("Came meanwhile.")
        await pilot.press(*"seen", "enter")
        await until(lambda: "new since" not in shown(app))
