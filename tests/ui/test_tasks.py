"""Tasks on the screen: given, followed, opened, stopped; told of elsewhere and on return."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from tests.fakes.served import served
from tests.fakes.workers import HeldWorker
from tests.ui.conftest import Stage, until
from tui_agent.app import ChatApp
from tui_agent.ui.bars import Bar
from tui_agent.ui.panel import Panel
from tui_agent.ui.screens.tasks import ResultPane, TasksScreen

RESULT = "# Found\n\nFirst line of {name}.\n\n" + "\n\n".join(f"More {n}" for n in range(12))


@pytest.fixture
def worker() -> HeldWorker:
    return HeldWorker(result=RESULT)


@pytest.fixture
async def stage(home: Path, worker: HeldWorker) -> AsyncIterator[Stage]:
    async with served(home, worker=worker) as server:
        yield Stage(f"unix:{server.address}", None)


async def give(app: ChatApp, pilot: Pilot[int], words: str) -> None:
    """Type a line and send it."""
    composer = app.chat_screen.composer
    composer.load_text_at_end(words)
    await pilot.press("enter")


def panel(app: ChatApp) -> str:
    return str(app.chat_screen.query_one(Panel).render())


def top(app: ChatApp) -> str:
    return str(app.chat_screen.query_one("#top", Bar).render())


def text_of(screen: Any) -> str:
    return str(screen.query_one("#tasks-text", Static).render())


@asynccontextmanager
async def with_task(stage: Stage, worker: HeldWorker, **options: Any) -> AsyncIterator[tuple[ChatApp, Pilot[int]]]:
    """An app whose room has a task at its second step."""
    async with stage.app(**options) as (app, pilot):
        await give(app, pilot, "/task read everything")
        worker.let("read")
        await until(lambda: app.conversation.chat.tasks.get("t1") and app.conversation.chat.tasks["t1"].step == 1)
        await pilot.pause()
        yield app, pilot


async def test_a_task_stands_in_the_panel_with_bar_percent_and_step(stage: Stage, worker: HeldWorker) -> None:
    async with with_task(stage, worker) as (app, pilot):
        await until(lambda: "2 of 3" in panel(app))
        shown = panel(app)
        assert "TASKS  1 running" in shown
        assert "read everything" in shown
        assert "40%" in shown
        assert "━━━━━━━━━━━" in shown
        assert "part 1" in shown
        assert any(entry.text == "ada gave a task: read everything" for entry in app.conversation.entries)
        await give(app, pilot, "the chat goes on")
        await until(lambda: any(entry.kind == "answer" and entry.state == "done" for entry in app.conversation.entries))


async def test_news_of_a_task_are_drawn_at_once_while_a_paint_is_held_back(stage: Stage, worker: HeldWorker) -> None:
    async with with_task(stage, worker) as (app, _):
        app._painter.soon = lambda: None
        worker.let("read")
        await until(lambda: app.conversation.chat.tasks["t1"].step == 2)
        assert "3 of 3" in panel(app)


async def test_on_a_narrow_screen_the_top_bar_shows_count_and_bar(stage: Stage, worker: HeldWorker) -> None:
    async with with_task(stage, worker, size=(80, 24)) as (app, _):
        await until(lambda: "1 task " in top(app))
        assert "━" in top(app)


@asynccontextmanager
async def with_result(
    stage: Stage, worker: HeldWorker, result: str = RESULT, **options: Any
) -> AsyncIterator[tuple[ChatApp, Pilot[int]]]:
    """An app whose room has the result of a task."""
    worker.result = result
    async with with_task(stage, worker, **options) as (app, pilot):
        worker.let("read", 2)
        await until(lambda: "t1" in app.conversation.chat.ended_tasks)
        await until(lambda: "read everything  task done" in on_screen(app))
        yield app, pilot


def on_screen(app: ChatApp) -> str:
    """All that one reads."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def test_the_result_is_a_folded_message_that_enter_opens_and_folds(stage: Stage, worker: HeldWorker) -> None:
    async with with_result(stage, worker) as (app, pilot):
        await until(lambda: "TASKS" not in panel(app))
        assert "First line of read." in on_screen(app)
        assert "▸ 23 more lines · enter opens" in on_screen(app)
        assert "More 11" not in on_screen(app)
        await pilot.press("ctrl+up", "enter")
        assert "More 11" in on_screen(app)
        await pilot.press("enter")
        assert "More 11" not in on_screen(app)
        assert "enter opens" in on_screen(app)
        await pilot.press("f9")
        assert "More 11" in on_screen(app)


async def test_a_folded_result_is_copied_whole_and_as_it_was_written(stage: Stage, worker: HeldWorker) -> None:
    async with with_result(stage, worker) as (app, pilot):
        await pilot.press("ctrl+up", "f7")
        assert app.clipboard == RESULT.format(name="read")
        await until(lambda: app.frame.hint == "message copied, 27 lines")


async def test_an_export_holds_the_whole_result_as_markdown_and_as_json(
    stage: Stage, worker: HeldWorker, tmp_path: Path
) -> None:
    result = RESULT + "\n\n" + "a long line. " * 400 + "\n\nTHE END"
    async with with_result(stage, worker, result) as (app, pilot):
        for name in ("room.md", "room.json"):
            await give(app, pilot, f"/export {tmp_path / name}")
            await until((tmp_path / name).exists)
            await until(lambda name=name: app.frame.hint.endswith(name))
        written = result.format(name="read")
        events = json.loads((tmp_path / "room.json").read_text())["events"]
        assert [event["result"] for event in events if event["type"] == "complete"] == [written]
        assert written.replace("# Found", "### Found") in (tmp_path / "room.md").read_text()


async def test_f4_draws_the_result_as_the_transcript_does_and_copies_it(stage: Stage, worker: HeldWorker) -> None:
    async with with_result(stage, worker, "# Found\n\nSome **bold** words of {name}.\n\n" + "- more\n" * 60) as (
        app,
        pilot,
    ):
        await pilot.press("f4", "enter")
        screen = app.screen
        assert isinstance(screen, TasksScreen)
        await until(lambda: "Some bold words of read." in on_screen(app))
        assert "✓ part 0" in on_screen(app)
        assert "F7 copies the result" in on_screen(app)
        await pilot.press("f7")
        assert app.clipboard == "# Found\n\nSome **bold** words of read.\n\n" + "- more\n" * 60
        await until(lambda: "message copied, 65 lines" in on_screen(app))
        await pilot.press("pagedown")
        assert "Some bold words of read." not in on_screen(app)
        await pilot.press("pageup")
        pane = screen.query_one(ResultPane)
        lines = [line[pane.region.x : pane.region.right] for line in on_screen(app).split("\n")]
        row = next(n for n, line in enumerate(lines) if "Some bold" in line)
        at = (lines[row].index("bold") + 1, row - pane.region.y)
        await pilot.click(ResultPane, offset=at, times=2)
        await pilot.press("ctrl+c")
        assert app.clipboard == "**bold**"
        await pilot.press("escape")
        assert app.screen is app.chat_screen


@pytest.mark.parametrize("size", [(50, 20), (80, 24), (120, 40)])
async def test_steps_and_result_are_inside_the_window_whatever_its_size(
    stage: Stage, worker: HeldWorker, size: tuple[int, int]
) -> None:
    async with with_result(stage, worker, size=size) as (app, pilot):
        await pilot.press("f4", "enter")
        await until(lambda: "✓ part 0" in on_screen(app))
        pane, box = app.screen.query_one(ResultPane), app.screen.query_one("#tasks-box")
        assert pane.region.bottom <= box.region.bottom <= size[1]
        for _ in range(20):
            await pilot.press("pagedown")
        assert "More 11" in on_screen(app)


async def test_f4_shows_the_steps_live_and_del_asks_once_before_it_stops(stage: Stage, worker: HeldWorker) -> None:
    async with with_task(stage, worker) as (app, pilot):
        await pilot.press("f4")
        screen = app.screen
        assert isinstance(screen, TasksScreen)
        await pilot.press("enter")
        assert "✓ part 0\n◐ part 1\n○ part 2" in text_of(screen)
        worker.let("read")
        await until(lambda: "◐ part 2" in text_of(screen))
        await pilot.press("delete")
        assert "Stop “read everything”?" in text_of(screen)
        await pilot.press("escape")
        assert app.screen is screen
        assert "Stop" not in text_of(screen)
        await pilot.press("delete", "delete")
        await until(lambda: "t1" in app.conversation.chat.ended_tasks)
        assert app.conversation.chat.ended_tasks["t1"].note == "stopped by ada"
        await until(lambda: "read" in worker.cancelled)
        await pilot.press("f4")
        assert app.screen is app.chat_screen


async def test_cancel_by_slash_asks_once_and_by_words_of_the_title(stage: Stage, worker: HeldWorker) -> None:
    async with with_task(stage, worker) as (app, pilot):
        await give(app, pilot, "/cancel everything")
        screen = app.screen
        assert isinstance(screen, TasksScreen)
        assert "Stop “read everything”?" in text_of(screen)
        assert not app.conversation.chat.ended_tasks
        await pilot.press("delete")
        await until(lambda: "t1" in app.conversation.chat.ended_tasks)
        await pilot.press("escape")
        await give(app, pilot, "/cancel")
        assert app.frame.hint == "No task is open in this room."


async def test_a_task_without_words_and_one_that_is_too_long_are_refused_in_a_sentence(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        await give(app, pilot, "/task")
        assert app.frame.hint.startswith("/task needs something after it")
        app.do("task")
        assert app.chat_screen.composer.text == "/task "
        assert app.frame.hint.startswith("What is to be done?")
        app.tasking.submit("x" * 60_001)
        assert "60,001 bytes; the limit is 60,000" in app.frame.hint


async def test_two_see_the_same_and_one_that_left_finds_it_on_return(stage: Stage, worker: HeldWorker) -> None:
    async with stage.app(user="ben") as (ben, _):
        async with with_task(stage, worker, user="ada") as (ada, _):
            await until(lambda: "read everything" in panel(ben))
            assert ada.conversation.chat.tasks == ben.conversation.chat.tasks
        worker.let("read", 2)
        await until(lambda: "t1" in ben.conversation.chat.ended_tasks)
        async with stage.app(user="ada") as (ada, pilot):
            await pilot.pause()
            away = [entry.text for entry in ada.conversation.entries if entry.text.startswith("while you were away")]
            assert away == ["while you were away  ✓ read everything · ada"]
        async with stage.app(user="ada") as (ada, pilot):
            await pilot.pause()
            assert not any("away" in entry.text for entry in ada.conversation.entries), "told once"


def away_lines(app: ChatApp) -> list[str]:
    return [entry.text for entry in app.conversation.entries if entry.text.startswith("while you were away")]


async def test_a_room_that_broke_lists_nothing_as_missed_that_was_seen_when_f5_joins_it_again(
    stage: Stage, worker: HeldWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with with_result(stage, worker) as (app, pilot):
        broken = app.conversation

        def breaks(_event: object) -> None:
            raise RuntimeError

        monkeypatch.setattr(broken.chat, "apply", breaks)
        await give(app, pilot, "anything")
        await until(lambda: not broken.is_running)
        await pilot.press("f5")
        await until(lambda: app.conversation is not broken and app.conversation.is_caught_up)
        assert "t1" in app.conversation.chat.ended_tasks
        assert away_lines(app) == []


async def test_what_ended_in_another_room_and_was_looked_at_there_is_not_told_again(
    stage: Stage, worker: HeldWorker
) -> None:
    async with with_task(stage, worker) as (app, pilot):
        app.moving.to("elsewhere")
        await until(lambda: app.conversation.is_live and app.conversation.room == "elsewhere")
        worker.let("read", 2)
        await until(lambda: list(app._notifications))
        app.moving.to("main")
        await pilot.pause()
        assert "t1" in app.conversation.chat.ended_tasks
        async with stage.app(user="ada") as (after_a_kill, _):  # the first has not ended: it could write nothing more
            await until(lambda: after_a_kill.conversation.is_caught_up)
            assert away_lines(after_a_kill) == []


async def test_who_is_in_another_room_gets_a_toast(stage: Stage, worker: HeldWorker) -> None:
    async with with_task(stage, worker) as (app, pilot):
        app.moving.to("elsewhere")
        await until(lambda: app.conversation.is_live and app.conversation.room == "elsewhere")
        told: list[str] = []
        app.tasking.on_ended.append(told.append)
        worker.let("read", 2)
        await until(lambda: list(app._notifications))
        (toast,) = list(app._notifications)
        assert toast.message == "#main: Your task is done: read everything"
        assert toast.markup is False
        assert told == ["Your task is done: read everything"]
        await pilot.pause()


async def test_notify_is_one_setting_that_tests_itself(stage: Stage, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    script = tmp_path / "tell"
    script.write_text(f'#!/bin/sh\nprintf "%s|%s\\n" "$1" "$2" >> {heard}\n')
    script.chmod(0o700)
    from tui_agent.config import Notify

    async with stage.app(notify=Notify(command=str(script))) as (app, pilot):
        await give(app, pilot, "/notify test")
        await until(heard.exists)
        await until(lambda: heard.read_text() == "tui-agent|This is a test notification.\n")
        await give(app, pilot, "/notify off")
        assert not app.notifying.is_on
        app.app_focus = False
        app.notifying.tell("not this")
        await give(app, pilot, "/notify on")
        app.app_focus = False
        app.notifying.tell("a \x1b[2J; b")
        await until(lambda: heard.read_text().count("\n") == 2)
        assert heard.read_text().splitlines()[1] == "tui-agent|a ␛[2J; b"
        app.app_focus = True
        app.notifying.tell("one looks at it")
        await give(app, pilot, "/notify maybe")
        assert app.frame.hint == "Write /notify on, /notify off or /notify test."
        assert "not this" not in heard.read_text()
    async with stage.app(notify=Notify(command="/nowhere/tell")) as (app, pilot):
        await give(app, pilot, "/notify test")
        await until(lambda: "cannot be run" in app.frame.hint)


async def test_the_list_without_a_task_says_how_to_begin(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        await pilot.press("f4")
        assert "/task and the work" in text_of(app.screen)
        assert not app.screen.query_one(OptionList).display
        await pilot.press("f4")
