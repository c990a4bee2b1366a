"""The two forms of an exported room, and what a typed `/export` asks for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import protocol as wire
from tui_agent.state.export import Target, default_name, read_target, to_json, to_markdown

TIME = "2026-11-24T12:34:56.000Z"
NOW = "2026-11-25T08:00:00.000Z"
USAGE = wire.Usage()


def every_kind() -> list[Any]:
    return [
        wire.UserMessage(1, TIME, "ada", "c1", "why does it stutter?\n\n# not a heading", "r1"),
        wire.Done(
            2, TIME, "r1", [1], ["ada"], "# Two things\n\n```py\n# code\n```\nand\n---\ndone", "max_tokens", USAGE
        ),
        wire.Interrupted(3, TIME, "r2", [1], ["ada"], "ben", "user", "half"),
        wire.Interrupted(4, TIME, "r3", [1], ["ada"], None, "server_restart", "cut"),
        wire.Error(
            "model_error", "The model failed.", id=5, time=TIME, run="r4", asked=[1], users=["ada"], content="x"
        ),
        wire.Cleared(6, TIME, "ada"),
        wire.TaskSubmitted(7, TIME, "t1", "c2", "ben", "Crawl", "crawl\nthe docs"),
        wire.Complete(8, TIME, "t1", "failed", "part", message="no network"),
    ]


def test_the_markdown_reads_as_the_room_did() -> None:
    text = to_markdown("main", every_kind(), NOW, "claude")
    assert text.startswith("# #main\n\nExported 2026-11-25 08:00 UTC.\n")
    assert "## ada · 2026-11-24 12:34 UTC\n\n> why does it stutter?\n>\n> # not a heading\n" in text
    assert "## claude · 2026-11-24 12:34 UTC\n\n### Two things\n\n```py\n# code\n```\nand\n\\---\ndone\n" in text
    for note in (
        "*cut at the model's length limit*", "*interrupted by ben*", "*cut off by a restart of the server*",
        "*failed: The model failed.*", "*ada cleared the conversation · 2026-11-24 12:34 UTC*", "*failed: no network*",
    ):  # fmt: skip
        assert note in text
    assert "## ben · task “Crawl” · 2026-11-24 12:34 UTC\n\n> crawl\n> the docs\n" in text
    assert "## claude · result of “Crawl”" in text


@given(st.text(), st.text())
def test_nobody_can_pass_for_another_speaker_or_command_a_terminal(question: str, answer: str) -> None:
    events = [
        wire.UserMessage(1, TIME, "ada", "c", question, "r"),
        wire.Done(2, TIME, "r", [1], ["ada"], answer + "\n## root · 2026", "end_turn", USAGE),
    ]
    text = to_markdown("main", events, NOW)
    headings = [line for line in text.split("\n") if line.startswith("## ")]
    assert headings[:2] == ["## ada · 2026-11-24 12:34 UTC", "## agent · 2026-11-24 12:34 UTC"]
    assert not any(ord(char) < 0x20 and char not in "\n\t" for char in text)
    assert "\x9b" not in text


def test_a_fence_that_was_cut_off_is_closed() -> None:
    events = [
        wire.Interrupted(1, TIME, "r", [1], ["ada"], "ben", "user", "````py\n```\nx = 1"),
        wire.UserMessage(2, TIME, "ada", "c", "next", "r2"),
    ]
    assert "````py\n```\nx = 1\n````\n" in to_markdown("main", events, NOW)


def test_the_json_holds_the_events_as_they_came_with_strange_characters_escaped() -> None:
    events = every_kind()
    events[0].content = "\x1b]0;x\x07 \x9b \u202e \U000e0041 é 😀"
    text = to_json("main", events, NOW)
    assert not {"\x1b", "\x9b", "\u202e", "\U000e0041"} & set(text)
    assert "é 😀" in text
    value = json.loads(text)
    assert (value["room"], value["exported"]) == ("main", NOW)
    assert value["events"][0]["content"] == events[0].content
    assert [wire.decode_event(json.dumps(event)) for event in value["events"]] == events


def test_an_empty_room_is_valid_in_both_forms() -> None:
    assert json.loads(to_json("main", [], NOW))["events"] == []
    assert to_markdown("main", [], NOW).startswith("# #main")


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("", Target("md", "")),
        ("json", Target("json", "")),
        ("MD", Target("md", "")),
        ("md a file.txt", Target("md", "a file.txt")),
        ("notes.json", Target("json", "notes.json")),
        ("~/x/notes.md ", Target("md", "~/x/notes.md")),
        ("json 'a b.json'", Target("json", "a b.json")),
        ("my notes", Target("md", "my notes")),
    ],
)
def test_what_a_typed_export_asks_for(words: str, target: Target) -> None:
    assert read_target(words) == target


def test_the_default_name_has_room_day_and_number() -> None:
    assert default_name("main", NOW, "md") == "tui-agent-main-2026-11-25.md"
    assert default_name("main", NOW, "json", 3) == "tui-agent-main-2026-11-25-3.json"
