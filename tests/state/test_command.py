"""The rules over the table of commands: keys of the config, slash commands."""

from __future__ import annotations

import pytest

from tui_agent.commands import COMMANDS
from tui_agent.state.command import Command, Commands, parse_keys, shown_key


def _nothing(_app: object, _words: str) -> None:
    pass


TABLE = Commands(
    [
        Command("send", "Send", _nothing, "enter", owner="composer"),
        Command("open", "Open", _nothing, "enter", owner="transcript"),
        Command("rooms", "Rooms", _nothing, "ctrl+o", slash="/rooms"),
        Command("last", "Last", _nothing, "f6"),
        Command("room", "Room", _nothing, slash="/room"),
    ]
)


def keys_of(table: Commands) -> dict[str, str]:
    return {command.name: command.key for command in table}


def test_a_key_of_the_config_replaces_the_default() -> None:
    table, problems = TABLE.with_keys({"rooms": "F12, Ctrl+Shift+R"})
    assert keys_of(table)["rooms"] == "f12,ctrl+shift+r"
    assert problems == []


def test_none_takes_a_key_away() -> None:
    table, problems = TABLE.with_keys({"rooms": "none"})
    assert (keys_of(table)["rooms"], problems) == ("", [])


@pytest.mark.parametrize(
    ("wanted", "name", "words"),
    [
        ({"fly": "f9"}, "fly", "no action"),
        ({"rooms": "hyperspace"}, "rooms", "no key"),
        ({"rooms": ""}, "rooms", "no key"),
        ({"rooms": "x"}, "rooms", "needed for writing"),
        ({"rooms": "f9", "last": "f9"}, "last", "the key of `rooms` already"),
    ],
)
def test_what_cannot_be_used_is_named_and_the_default_stays(wanted: dict[str, str], name: str, words: str) -> None:
    table, problems = TABLE.with_keys(wanted)
    [(who, sentence)] = problems
    assert (who, words in sentence) == (name, True)
    default = {command.name: command.key for command in TABLE}
    assert keys_of(table).get(name) == default.get(name)


def test_a_default_gives_way_to_a_wish_and_that_is_said() -> None:
    table, [(name, sentence)] = TABLE.with_keys({"last": "ctrl+o"})
    assert keys_of(table)["rooms"] == ""
    assert (name, sentence) == ("last", "ctrl+o was the key of `rooms`, which has none now.")


def test_two_places_may_share_a_key_but_not_with_the_screen() -> None:
    table, problems = TABLE.with_keys({"send": "f4", "open": "f4"})
    assert (keys_of(table)["send"], keys_of(table)["open"], problems) == ("f4", "f4", [])
    _, problems = TABLE.with_keys({"send": "f4", "last": "f4"})
    assert [name for name, _ in problems] == ["last"]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("F6", ("f6",)), ("ctrl+o", ("ctrl+o",)), ("^O", ("ctrl+o",)), ("Esc", ("escape",)), ("PgUp", ("pageup",)),
        ("shift+ctrl+p", ("ctrl+shift+p",)), ("f1,f2", ("f1", "f2")), ("f99", None),
        ("ctrl+ctrl+a", None), ("a b", None),
    ],
)  # fmt: skip
def test_keys_are_read_as_people_write_them(text: str, keys: tuple[str, ...] | None) -> None:
    assert parse_keys(text) == keys


def test_every_key_is_shown_short() -> None:
    assert [shown_key(key) for key in ("escape", "pageup", "f2", "ctrl+end", "shift+f2")] == [
        "esc", "pgup", "F2", "ctrl+end", "shift+F2",
    ]  # fmt: skip


def test_a_slash_command_is_a_slash_and_letters_and_nothing_else() -> None:
    slash = TABLE.slash("/room ops now")
    assert slash is not None
    assert (slash.word, slash.words, slash.command) == ("/room", "ops now", TABLE["room"])
    unknown = TABLE.slash("/fly")
    assert unknown is not None
    assert unknown.command is None
    assert TABLE.slash("/usr/bin is a folder") is None
    assert TABLE.slash("a /room") is None


def test_in_the_table_no_two_actions_of_one_place_share_a_key_or_a_slash_command() -> None:
    places: dict[tuple[str, str], str] = {}
    slashes: set[str] = set()
    for command in COMMANDS:
        for key in command.keys:
            assert parse_keys(key) == (key,), f"{command.name}: {key} could not be written in [keys]"
            assert (command.owner, key) not in places, (command.name, places.get((command.owner, key)))
            places[command.owner, key] = command.name
        if command.slash:
            assert command.slash not in slashes, command.name
            slashes.add(command.slash)


def test_the_keys_of_the_design_are_the_defaults() -> None:
    keys = {command.name: command.key for command in COMMANDS}
    wanted = {
        "send": "enter", "new_line": "ctrl+j,shift+enter,alt+enter", "stop": "escape", "talk": "f2", "help": "f1",
        "palette": "ctrl+p", "search_inputs": "ctrl+r", "editor": "ctrl+g", "rooms": "ctrl+o", "panel": "f3",
        "page_up": "pageup", "page_down": "pagedown", "follow": "ctrl+end", "copy_or_clear": "ctrl+c",
        "quit_when_empty": "ctrl+d", "reconnect": "f5", "tasks": "f4",
    }  # fmt: skip
    assert {name: keys[name] for name in wanted} == wanted
    assert "shift+f2" in COMMANDS["speak"].keys
