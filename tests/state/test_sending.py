"""What a sent text is, and what is offered while it is typed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tui_agent.state.completion import Offer, offer
from tui_agent.state.sending import Do, Say, Wrong, read_input


@dataclass(frozen=True)
class Row:
    slash: str
    takes: str
    title: str


ROOM, ROOMS, QUIT, KEY_ONLY = (
    Row("/room", "NAME", "Go to a room"), Row("/rooms", "", "All rooms"), Row("/quit", "", "Quit"), Row("", "", "Stop"),
)  # fmt: skip
EXPORT = Row("/export", "[md|json] [PATH]", "Save the room")
TABLE = [KEY_ONLY, ROOM, ROOMS, EXPORT, QUIT]
PEOPLE = ["agent", "ada", "ben", "ada-2"]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("hello", Say("hello")),
        ("hello\n", Say("hello")),
        (" /quit", Say(" /quit")),
        ("//quit", Say("/quit")),
        ("///x", Say("//x")),
        ("/usr/bin is full", Say("/usr/bin is full")),
        ("/2 of them", Say("/2 of them")),
        ("and/or", Say("and/or")),
        ("/quit", Do(QUIT, "")),
        ("/QUIT  ", Do(QUIT, "")),
        ("/room  ops ", Do(ROOM, "ops")),
        ("/room\nops\nmore", Do(ROOM, "ops\nmore")),
        ("/export", Do(EXPORT, "")),
    ],
)
def test_what_a_text_is(text: str, meaning: object) -> None:
    assert read_input(text, TABLE) == meaning


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/qit", "Did you mean /quit?"),
        ("/exprt md", "Did you mean /export?"),
        ("/ex", "Did you mean /export?"),
        ("/zzz", "/help lists them."),
        ("/", "/help lists them."),
        ("/zzz", "begin with two: //zzz"),
        ("/room", "/room needs something after it: /room NAME"),
        ("/" + "x" * 5000, "/help"),
    ],
)
def test_a_mistyped_command_is_said_and_not_sent(text: str, words: str) -> None:
    meaning = read_input(text, TABLE)
    assert isinstance(meaning, Wrong)
    assert words in meaning.sentence
    assert len(meaning.sentence) < 200


def offered(line: str, column: int | None = None, *, is_first_line: bool = True) -> Offer | None:
    return offer(
        line, len(line) if column is None else column, is_first_line=is_first_line, commands=TABLE, people=PEOPLE,
        arguments={"room": ["main", "ops"]},
    )  # fmt: skip


def inserts(line: str, column: int | None = None) -> list[str]:
    found = offered(line, column)
    return [] if found is None else [item.insert for item in found.items]


def test_a_slash_at_the_start_offers_the_commands_and_typing_filters_them() -> None:
    assert inserts("/") == ["/room ", "/rooms", "/export ", "/quit"]
    assert inserts("/ro") == ["/room ", "/rooms"]
    assert inserts("/Q") == ["/quit"]
    assert inserts("/xt") == ["/export "], "the letters in order"
    assert inserts("/ep") == ["/export "]


def test_a_slash_elsewhere_offers_nothing() -> None:
    assert inserts("see /ro") == []
    assert offered("/ro", is_first_line=False) is None
    assert inserts("/room ops and") == []


def test_what_may_follow_a_command_is_offered() -> None:
    assert inserts("/room ") == ["main", "ops"]
    found = offered("/room o")
    assert found is not None
    assert (found.start, found.typed) == (6, "o")
    assert inserts("/quit x") == []


def test_an_at_offers_the_people_wherever_a_word_begins() -> None:
    assert inserts("@") == ["@agent ", "@ada ", "@ben ", "@ada-2 "]
    assert inserts("hi @AD") == ["@ada ", "@ada-2 "]
    assert inserts("(@b") == ["@ben "]
    assert inserts("me@b") == []
    assert inserts("hi @b and more", 5) == ["@ben "]
    assert inserts("x" * 50_000 + " @be") == ["@ben "]
    assert inserts("x" * 50_000 + "@be") == []


def test_a_word_that_is_complete_is_known_as_such() -> None:
    found = offered("/quit")
    assert found is not None
    assert found.is_complete
    partly = offered("/qui")
    assert partly is not None
    assert not partly.is_complete
