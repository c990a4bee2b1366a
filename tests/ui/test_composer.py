"""The composer, by key, on a real server: what sends, what does not, and what is kept."""

from __future__ import annotations

import asyncio
import stat
import time
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from tests.ui.conftest import Stage, until
from tui_agent.app import ChatApp
from tui_agent.state.history import read_lines
from tui_agent.ui.composer import Composer
from tui_agent.ui.composer_box import ComposerBox
from tui_agent.ui.popup import Popup


@pytest.fixture(autouse=True)
def _no_bursts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pilot presses faster than a person; the tests of bursts set it again."""
    monkeypatch.setattr(Composer, "BURST_S", 0.0)


def said(app: ChatApp) -> list[str]:
    return [entry.text for entry in app.conversation.chat.entries if entry.kind == "message"]


def edge(app: ChatApp) -> str:
    return str(app.screen.query_one(ComposerBox).border_subtitle)


async def paste(app: ChatApp, text: str) -> None:
    composer = app.chat_screen.composer
    composer.post_message(events.Paste(text))
    await until(lambda: composer.text)


# ---- new lines and sending -------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["ctrl+j", "shift+enter", "alt+enter", "shift+\r"])
async def test_a_new_line_key_makes_a_line_and_enter_sends_both(stage: Stage, key: str) -> None:
    async with stage.app() as (app, pilot):
        await pilot.press(*"one", key, *"two", "enter")
        await until(lambda: said(app) == ["one\ntwo"])
        assert app.chat_screen.composer.text == ""


async def test_enter_on_nothing_sends_nothing(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        await pilot.press("enter", "space", "ctrl+j", "enter")
        assert app.chat_screen.composer.text == " \n"
        assert said(app) == []


async def test_it_grows_to_a_third_of_the_screen(stage: Stage) -> None:
    async with stage.app(size=(80, 24)) as (app, pilot):
        composer = app.chat_screen.composer
        assert composer.size.height == 1
        await pilot.press(*["ctrl+j"] * 3)
        await pilot.pause()
        assert composer.size.height == 4
        await pilot.press(*["ctrl+j"] * 10)
        await pilot.pause()
        assert app.screen.query_one(ComposerBox).size.height == 6
        assert app.screen.query_one(ComposerBox).outer_size.height == 24 // 3


async def test_keys_in_a_burst_are_a_paste_and_never_send(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Composer, "BURST_S", 0.03)
    async with stage.app() as (app, _):
        composer = app.chat_screen.composer
        text = "first line\n\tand a tab\n/quit\nlast\n"
        for char in text:
            key = {"\n": "enter", "\t": "tab", " ": "space", "/": "slash"}.get(char, char)
            app.post_message(events.Key(key, "\r" if char == "\n" else char))
        await until(lambda: composer.text == text)
        assert composer.has_focus
        assert said(app) == []


async def test_a_slow_enter_after_a_burst_sends(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Composer, "BURST_S", 0.03)
    async with stage.app() as (app, _):
        for char in "a burst of keys":
            app.post_message(events.Key("space" if char == " " else char, char))
        await asyncio.sleep(0.05)
        app.post_message(events.Key("enter", "\r"))
        await until(lambda: said(app) == ["a burst of keys"])


async def burst(app: ChatApp, text: str) -> None:
    for char in text:
        app.post_message(events.Key("enter" if char == "\r" else char, char))
    await asyncio.sleep(0.1)


async def test_an_enter_that_comes_late_with_the_last_letter_sends_and_in_a_short_paste_does_not(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Composer, "BURST_S", 0.03)
    async with stage.app() as (app, _):
        composer = app.chat_screen.composer
        await burst(app, "a\rb\r")
        assert composer.text == "a\nb\n"
        composer.clear()
        await burst(app, "\r")
        await burst(app, "word\r")
        assert composer.text == "word\n"
        composer.clear()
        await burst(app, "word")
        await burst(app, "s\r")
        await until(lambda: said(app) == ["words"])


# ---- commands --------------------------------------------------------------------------------------------


async def test_a_mistyped_command_is_said_with_the_nearest_and_kept(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        await pilot.press("slash", *"cleer", "enter")
        await until(lambda: "Did you mean /clear?" in app.frame.hint)
        assert app.chat_screen.composer.text == "/cleer"
        assert said(app) == []


async def test_a_sentence_too_long_for_the_status_line_stands_in_the_box_until_the_text_changes(stage: Stage) -> None:
    async with stage.app(size=(50, 20)) as (app, pilot):
        sentence = app.screen.query_one("#sentence")
        await pilot.press("slash", *"cleer", "enter")
        await until(lambda: sentence.size.height == 3)
        await pilot.press("backspace")
        await until(lambda: not sentence.display and not app.frame.hint)
        assert app.chat_screen.composer.text == "/clee"


async def test_two_slashes_send_one(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        await pilot.press("slash", "slash", *"quit", "enter")
        await until(lambda: said(app) == ["/quit"])


async def test_a_slash_opens_the_popup_typing_filters_and_tab_accepts(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        popup = app.screen.query_one(Popup)
        await pilot.press("slash")
        assert {row.label.split()[0] for row in popup.shown_rows} >= {"/clear", "/rooms", "/room"}
        await pilot.press(*"roo", "down", "tab")
        assert app.chat_screen.composer.text == "/room "
        await pilot.press(*"ops", "enter")
        await until(lambda: app.conversation.room == "ops")


async def test_enter_on_a_whole_command_runs_it_at_once(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        await pilot.press("slash", *"help", "enter")
        await until(lambda: app.screen.name == "help")


async def test_escape_closes_only_the_popup_and_it_stays_closed_for_the_word(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        await pilot.press(*"hello", "enter")
        run = await stage.agent.wait_run()
        run.say("Half")
        await until(lambda: app.conversation.chat.running is not None)
        popup = app.screen.query_one(Popup)
        await pilot.press("at")
        assert popup.is_open
        await pilot.press("escape")
        assert not popup.is_open
        assert app.conversation.chat.running is not None
        await pilot.press("a")
        assert not popup.is_open
        assert app.chat_screen.composer.text == "@a"
        await pilot.press("escape")
        await until(lambda: app.conversation.chat.running is None)


async def test_an_at_offers_who_is_in_the_room_and_a_click_accepts(stage: Stage) -> None:
    async with stage.app() as (app, pilot), stage.app(user="ben"):
        await until(lambda: "ben" in app.conversation.chat.members.people)
        await pilot.press(*"hi ", "at")
        popup = app.screen.query_one(Popup)
        labels = [row.label for row in popup.shown_rows]
        assert labels == ["@agent", "@ben", "@ada"]
        await pilot.pause()
        assert await pilot.click(Popup, offset=(4, 2))
        assert app.chat_screen.composer.text == "hi @ben "
        assert app.chat_screen.composer.has_focus


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (50, 20), (20, 8)])
async def test_the_popup_stands_above_the_box_in_every_size(stage: Stage, size: tuple[int, int]) -> None:
    async with stage.app(size=size) as (app, pilot):
        await pilot.press("slash")
        await pilot.pause()
        popup, box = app.screen.query_one(Popup), app.screen.query_one(ComposerBox)
        assert popup.region.bottom <= box.region.y or size[1] < 12
        assert popup.region.right <= size[0]


# ---- pastes ----------------------------------------------------------------------------------------------


async def test_a_paste_is_cleaned_and_keeps_its_lines(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        await paste(app, "one\rtwo\r\nthree \x1b]52;c;x\x07 \u202eabc\u2066[/] list[int]")
        text = "one\ntwo\nthree ␛]52;c;x␇ abc[/] list[int]"
        assert app.chat_screen.composer.text == text
        await pilot.press("enter")
        await until(lambda: said(app) == [text])


async def test_a_big_paste_stands_as_a_name_and_is_sent_whole(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        text = "a line of it\n" * 2000
        await pilot.press(*"see ")
        app.chat_screen.composer.post_message(events.Paste(text))
        await until(lambda: "[pasted 1: 26,000 bytes, 2,001 lines]" in app.chat_screen.composer.text)
        await pilot.press("enter")
        await until(lambda: said(app) == [f"see {text}".rstrip()])


async def test_backspace_takes_the_name_of_a_paste_and_undo_brings_it_back(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        await paste(app, "x" * 20_000)
        name = app.chat_screen.composer.text
        await pilot.press("backspace")
        assert app.chat_screen.composer.text == ""
        app.chat_screen.composer.action_undo()
        assert app.chat_screen.composer.text == name
        assert app.chat_screen.composer.full_text == "x" * 20_000


@pytest.mark.parametrize(
    "line", ["some words in a line, quite long perhaps as this one\n", "😀 und ein paar Wörter é\n"]
)
async def test_four_megabytes_are_pasted_without_a_stall_and_the_limit_is_said_before_sending(
    stage: Stage, line: str
) -> None:
    async with stage.app() as (app, pilot):
        text = line * (4_194_304 // len(line.encode()))
        longest_s = 0.0

        async def watch() -> None:
            nonlocal longest_s
            while True:
                begin_s = time.thread_time()  # of the CPU, so that a busy machine does not count
                await asyncio.sleep(0.005)
                longest_s = max(longest_s, time.thread_time() - begin_s)

        watching = asyncio.create_task(watch())
        await paste(app, text)
        await until(lambda: "too long to send" in edge(app))
        await pilot.press("enter")
        await until(lambda: "60,000 bytes" in app.frame.hint)
        watching.cancel()
        assert app.chat_screen.composer.full_text == text
        assert said(app) == []
        assert longest_s < 0.25


async def test_typing_in_a_text_near_the_limit_stays_quick(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        composer = app.chat_screen.composer

        async def cost_s() -> float:
            begin_s = time.process_time()
            await pilot.press(*"abcdefghij")
            return time.process_time() - begin_s

        await cost_s()
        empty_s = await cost_s()
        composer.load_text_at_end(f"{'word ' * 15}\n" * 700)
        assert len(composer.text) > 50_000
        await pilot.pause()
        assert await cost_s() < max(3 * empty_s, 0.3)


# ---- earlier inputs ----------------------------------------------------------------------------------------


async def send(pilot: Pilot[int], text: str) -> None:
    await pilot.press(*text, "enter")


async def test_the_arrows_bring_earlier_inputs_also_of_an_earlier_process(stage: Stage, home: Path) -> None:
    async with stage.app() as (app, pilot):
        await send(pilot, "one")
        await send(pilot, "two")
        await until(lambda: said(app) == ["one", "two"])
    async with stage.app() as (app, pilot):
        composer = app.chat_screen.composer
        await pilot.press(*"half", "up")
        assert composer.text == "two"
        await pilot.press("up")
        assert composer.text == "one"
        await pilot.press("down", "down")
        assert composer.text == "half"
    path = home / "tui-agent/writing/inputs.jsonl"
    assert read_lines(path.read_bytes()) == ["one", "two"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_the_arrows_move_inside_a_text_of_many_lines_first(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        await send(pilot, "before")
        await until(lambda: said(app) == ["before"])
        await pilot.press(*"one", "ctrl+j", *"two", "up")
        assert app.chat_screen.composer.text == "one\ntwo"
        await pilot.press("up")
        assert app.chat_screen.composer.text == "before"


async def test_ctrl_r_searches_the_inputs(stage: Stage) -> None:
    async with stage.app() as (app, pilot):
        for text in ("fix the log", "say hello", "log it"):
            await send(pilot, text)
        await until(lambda: len(said(app)) == 3)
        await pilot.press("ctrl+r")
        await until(lambda: app.screen.name == "picker" and app.screen.query_one(Input).has_focus)
        await pilot.press(*"the", "enter")
        await until(lambda: app.chat_screen.composer.text == "fix the log")
        assert len(said(app)) == 3


async def test_a_state_folder_that_cannot_be_written_is_said_once_and_stops_nothing(stage: Stage, home: Path) -> None:
    async with stage.app() as (app, pilot):
        (home / "tui-agent").mkdir(exist_ok=True)
        (home / "tui-agent/writing").write_text("a file in the place of the folder")
        await send(pilot, "one")
        await until(lambda: "cannot be kept" in app.frame.hint)
        await until(lambda: said(app) == ["one"])


# ---- drafts ------------------------------------------------------------------------------------------------


async def test_each_room_keeps_its_draft_over_a_restart_with_the_cursor(stage: Stage, home: Path) -> None:
    async with stage.app() as (app, pilot):
        await pilot.press(*"for main", "left", "left")
        app.moving.show("ops")
        await until(lambda: app.conversation.is_live)
        assert app.chat_screen.composer.text == ""
        await paste(app, "y" * 20_000)
        app.leave(0)
    async with stage.app(room="ops") as (app, pilot):
        assert app.chat_screen.composer.full_text == "y" * 20_000
        app.moving.show("main")
        composer = app.chat_screen.composer
        await until(lambda: composer.text == "for main")
        assert composer.cursor_location == (0, 6)
        await pilot.press("enter")
        await until(lambda: said(app) == ["for main"])
    drafts = list((home / "tui-agent/writing/drafts").iterdir())
    assert len(drafts) == 1, "what was sent is no draft any more"
    assert stat.S_IMODE(drafts[0].stat().st_mode) == 0o600


async def test_a_draft_is_written_a_second_after_the_last_change(stage: Stage, home: Path) -> None:
    async with stage.app() as (_, pilot):
        await pilot.press(*"half")
        await until(lambda: list(home.rglob("drafts/*.json")))


# ---- the editor --------------------------------------------------------------------------------------------


async def test_an_editor_that_is_not_there_is_said_and_the_text_stays(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "no-such-editor-here")
    async with stage.app() as (app, pilot):
        await pilot.press(*"half", "ctrl+g")
        await until(lambda: "$EDITOR names is not there" in app.frame.hint)
        assert app.chat_screen.composer.text == "half"


# ---- typing ------------------------------------------------------------------------------------------------


async def test_others_see_that_one_types_and_that_one_stopped(stage: Stage) -> None:
    async with stage.app() as (ada, pilot), stage.app(user="ben") as (ben, _):
        await until(lambda: "ada" in ben.conversation.chat.members.people)
        await pilot.press(*"hel")
        await until(lambda: ben.conversation.chat.members.people["ada"].is_typing)
        await pilot.press(*"lo", "enter")
        await until(lambda: not ben.conversation.chat.members.people["ada"].is_typing)
        await pilot.press(*"x")
        await until(lambda: ben.conversation.chat.members.people["ada"].is_typing)
        ada.moving.show("ops")
        await until(
            lambda: (
                "ada" not in ben.conversation.chat.members.people
                or not ben.conversation.chat.members.people["ada"].is_typing
            )
        )


async def test_a_command_being_typed_is_not_shown_as_typing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stage.app() as (app, pilot):
        told: list[bool] = []
        monkeypatch.setattr(app.composing, "typing", told.append)
        await pilot.press("slash", *"clear")
        await pilot.press("ctrl+u", *"hello")
        await until(lambda: told)
        assert told == [True]


# ---- export ------------------------------------------------------------------------------------------------


async def test_export_writes_the_room_and_says_where(stage: Stage, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    async with stage.app() as (app, pilot):
        await pilot.press(*"hello", "enter")
        run = await stage.agent.wait_run()
        run.say("Hi.")
        run.finish()
        await until(lambda: app.conversation.chat.entries[-1].state == "done")
        await pilot.press("slash", *"export md out.md", "enter")
        await until(lambda: "#main is in out.md" in app.frame.hint)
        assert "> hello\n" in (home / "out.md").read_text()
        assert [entry.text for entry in app.conversation.chat.entries] == ["hello", "Hi."]
        await pilot.press("slash", *"export md out.md", "enter")
        await until(lambda: "not written over" in app.frame.hint)
