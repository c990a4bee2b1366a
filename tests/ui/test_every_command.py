"""Every row of the table: its key and its slash command reach it, whatever it is; and what the screen's own do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.widgets import OptionList

from tests.looks.scenes import SCENES, Scene, scene
from tests.ui.conftest import until
from tui_agent.commands import COMMANDS
from tui_agent.state.command import Commands, shown_key
from tui_agent.ui.screens.chat import ChatScreen

pytestmark = pytest.mark.usefixtures("home")
SIZE = (120, 40)


async def test_every_key_of_the_screen_runs_its_command() -> None:
    ran: list[str] = []
    async with scene(SIZE) as shown:
        app = shown.app
        app.commands = Commands(
            replace(command, run=lambda _app, _words, name=command.name: ran.append(name)) for command in COMMANDS
        )
        for command in COMMANDS:
            if command.owner == "screen":
                for key in command.keys:
                    ran.clear()
                    await shown.pilot.press(key)
                    assert ran == [command.name], key


async def test_every_slash_command_runs_its_command_with_its_words() -> None:
    ran: list[tuple[str, str]] = []
    async with scene(SIZE) as shown:
        app = shown.app
        app.commands = Commands(
            replace(command, run=lambda _app, words, name=command.name: ran.append((name, words)))
            for command in COMMANDS
        )
        for command in COMMANDS:
            if command.slash:
                ran.clear()
                app.composing.sent(f"{command.slash} a b" if command.takes else command.slash)
                await shown.pilot.pause()
                assert ran == [(command.name, "a b" if command.takes else "")]


async def test_every_command_with_a_key_or_a_slash_stands_in_the_help() -> None:
    from tui_agent.ui.screens.help import help_lines

    text = "\n".join(line.plain for line in help_lines(COMMANDS, ["a problem"], 200))
    for command in COMMANDS:
        if command.key or command.slash:
            assert command.title in text
    assert "a problem" in text


# ---- what the screen's own commands do -----------------------------------------------------------------


async def open_list(shown: Scene, key: str, id: str) -> None:
    await shown.pilot.press(key)
    await until(lambda: shown.app.screen.name == id)


async def test_escape_stops_the_answer_and_an_escape_before_the_ack_is_held() -> None:
    async with scene(SIZE) as shown:
        await SCENES["empty"](shown)
        await shown.pilot.press("escape")
        assert shown.link.interrupts == []
        await shown.pilot.press(*"hi", "enter", "escape")
        await until(lambda: shown.link.interrupts == [None])
        await SCENES["streaming"](shown)
        await shown.pilot.press(*"next", "escape")
        await until(lambda: shown.link.interrupts == [None, "r1"])
        assert shown.app.chat_screen.composer.text == "next"


async def test_f3_hides_the_panel_and_its_content_folds_into_the_top_bar() -> None:
    async with scene(SIZE) as shown:
        await SCENES["streaming"](shown)
        panel = shown.app.chat_screen.query_one("#panel")
        assert panel.size.width == 28
        await shown.pilot.press("f3")
        await shown.settle()
        assert panel.size.width == 0
        await shown.pilot.press("f3")
        await shown.settle()
        assert panel.size.width == 28


async def test_pages_scroll_and_ctrl_end_follows_again() -> None:
    async with scene((80, 24)) as shown:
        await SCENES["streaming"](shown)
        view = shown.app.chat_screen.transcript
        end = view.scroll_y
        await shown.pilot.press("pageup")
        assert view.scroll_y < end
        assert not view.is_following
        await shown.pilot.press("pagedown")
        assert view.is_following
        await shown.pilot.press("pageup", "ctrl+end")
        await shown.settle()
        assert view.is_following


async def test_f5_asks_the_link_for_a_try_at_once() -> None:
    async with scene(SIZE) as shown:
        await SCENES["reconnecting"](shown)
        await shown.pilot.press("f5")
        assert shown.link.kicks == 1


async def test_the_palette_finds_a_command_by_typing_and_runs_it() -> None:
    async with scene(SIZE) as shown:
        await SCENES["streaming"](shown)
        await open_list(shown, "ctrl+p", "picker")
        await shown.pilot.press(*"side pan", "enter")
        await until(lambda: not shown.app.frame.is_panel_wanted)


async def test_a_theme_shows_while_it_is_chosen_and_escape_brings_the_old_one_back() -> None:
    async with scene(SIZE) as shown:
        await SCENES["empty"](shown)
        shown.app.do("theme")
        await until(lambda: shown.app.screen.name == "picker")
        await shown.pilot.press("down")
        await until(lambda: shown.app.theme == "dawn")
        await shown.pilot.press("escape")
        await until(lambda: shown.app.theme == "dusk")


async def test_a_chosen_theme_is_kept_over_restarts_until_it_is_the_terminals_again(home: Path) -> None:
    async with scene(SIZE, "") as shown:
        await choose_theme(shown, "nord")
    assert (home / "tui-agent" / "theme").stat().st_mode & 0o777 == 0o600
    async with scene(SIZE, "") as shown:
        assert shown.app.theme == "nord"
        await choose_theme(shown, "as the terminal")
        assert shown.app.theme == "dusk"
    async with scene(SIZE, "") as shown:
        assert shown.app.theme == "dusk"


async def test_the_settings_theme_is_the_last_word_and_a_choice_says_so(home: Path) -> None:
    async with scene(SIZE, "dawn") as shown:
        await choose_theme(shown, "nord")
        assert shown.app.frame.hint == "nord for now; the next start takes dawn, as the setting `theme` says."
    assert not (home / "tui-agent" / "theme").exists()


async def test_what_opens_a_screen_opens_it_from_the_palette() -> None:
    async with scene(SIZE) as shown:
        await SCENES["streaming"](shown)
        for name in ("rooms", "theme", "help", "tasks"):
            await open_list(shown, "ctrl+p", "picker")
            palette = shown.app.screen
            await shown.pilot.press(*name, "enter")
            await until(lambda palette=palette: shown.app.screen not in (palette, shown.app.chat_screen), 5)
            await shown.pilot.press("escape")
            await until(lambda: shown.app.screen is shown.app.chat_screen)
    assert shown.app.crash is None


async def test_a_list_opens_again_in_the_same_read_in_which_it_was_closed() -> None:
    async with scene(SIZE) as shown:
        await SCENES["streaming"](shown)
        for key, name in (("f1", "help"), ("f4", "tasks"), ("ctrl+p", "picker"), ("ctrl+o", "picker")):
            await shown.pilot.press(key, key, key)
            await until(lambda name=name: shown.app.screen.name == name)
            await shown.pilot.press("escape")
            await until(lambda: shown.app.screen is shown.app.chat_screen)
    assert shown.app.crash is None


async def choose_theme(shown: Scene, typed: str) -> None:
    await SCENES["empty"](shown)
    shown.app.do("theme")
    await until(lambda: shown.app.screen.name == "picker")
    for character in typed:
        await shown.pilot.press("space" if character == " " else character)
    await shown.pilot.press("enter")
    await until(lambda: shown.app.screen.name != "picker")


async def test_all_of_textuals_themes_can_be_drawn() -> None:
    async with scene((80, 24)) as shown:
        await SCENES["streaming"](shown)
        for theme in shown.app.available_themes:
            shown.app.theme = theme
            await shown.pilot.pause()
        assert shown.app.crash is None


async def test_ctrl_c_clears_the_input_and_twice_quits() -> None:
    async with scene(SIZE) as shown:
        await SCENES["empty"](shown)
        await shown.pilot.press(*"hi", "ctrl+c")
        assert shown.app.chat_screen.composer.text == ""
        await shown.pilot.press("ctrl+c")
        assert "again quits" in shown.app.frame.hint
        await shown.pilot.press("ctrl+c")
        await until(lambda: shown.app.return_value == 0)


async def test_ctrl_d_quits_only_when_the_input_is_empty() -> None:
    async with scene(SIZE) as shown:
        await SCENES["empty"](shown)
        await shown.pilot.press(*"hi", "ctrl+d")
        assert shown.app.return_value is None
        await shown.pilot.press("ctrl+c", "ctrl+d")
        await until(lambda: shown.app.return_value == 0)


async def test_a_click_on_esc_stop_stops() -> None:
    async with scene(SIZE) as shown:
        await SCENES["streaming"](shown)
        line = shown.app.chat_screen.query_one("#status")
        place = line.render().plain.index("esc stop")
        await shown.pilot.click("#status", offset=(2 + place + 5, 0))
        await until(lambda: shown.link.interrupts == ["r1"])


async def test_a_link_shows_its_true_target_before_anything_opens() -> None:
    from tui_agent.ui.transcript.widget import Transcript

    async with scene(SIZE) as shown:
        await SCENES["empty"](shown)
        shown.app.chat_screen.transcript.post_message(Transcript.LinkClicked("https://еxample.com/a[/]b"))
        await until(lambda: shown.app.screen.name == "link")
        words = " ".join(str(widget.render()) for widget in shown.app.screen.query("Static"))
        assert "https://еxample.com/a[/]b" in words
        assert "xn--" in words
        await shown.pilot.press("escape")
        await until(lambda: isinstance(shown.app.screen, ChatScreen))


async def test_only_web_addresses_can_be_opened() -> None:
    from tui_agent.ui.screens.link import is_web

    assert is_web("https://example.com/x")
    for url in (
        "vscode://x",
        "ssh://-oProxyCommand=x",
        "file:///etc/passwd",
        "javascript:x",
        "https://",
        "http://[",
        "",
    ):
        assert not is_web(url), url


async def test_keys_of_the_config_are_bound_and_wrong_ones_are_named_with_file_line_and_key(home: object) -> None:
    from pathlib import Path

    from tui_agent import config

    folder = Path(str(home)) / "tui-agent"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text('theme = "nosuch"\n[keys]\nrooms = "f12"\nfly = "f9"\n')
    from tests.fakes.link import ScriptedLink
    from tui_agent.app import ChatApp

    app = ChatApp(config.load({"user": "ada", "server_url": "ws://127.0.0.1:1"}), lambda _s, room: ScriptedLink(room))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("f12")
        await until(lambda: app.screen.name == "picker")
    assert [problem.partition("config.toml, ")[2] for problem in app.problems] == [
        "line 4: `keys.fly`: there is no action of this name; it is ignored (F1 lists them).",
        "line 1: `theme`: there is no such theme; the default is used.",
    ]
    assert app.theme == "dusk"


async def test_the_palettes_keys_stand_in_one_column_and_no_word_is_cut() -> None:
    async with scene(SIZE) as shown:
        await SCENES["empty"](shown)
        await open_list(shown, "ctrl+p", "picker")
        for size in (SIZE, (80, 24), (50, 20)):
            await shown.pilot.resize_terminal(*size)
            await shown.settle()
            rows = {each.id: str(each.prompt).split("\n") for each in shown.app.screen.query_one(OptionList).options}
            assert max(len(line) for lines in rows.values() for line in lines) < size[0] - 4
            column = rows["page_up"][0].index("pgup")
            for command in COMMANDS:
                if command.in_palette:
                    lines = rows[command.name]
                    assert words(line[:column] for line in lines) == command.title.split(), size
                    keys = [*(shown_key(key) for key in command.keys), *command.slash.split()]
                    assert words(line[column:] for line in lines) == keys, size
        await shown.pilot.resize_terminal(1, 1)
        await shown.settle()
    assert shown.app.crash is None


def words(parts: Iterable[str]) -> list[str]:
    return " ".join(parts).split()
