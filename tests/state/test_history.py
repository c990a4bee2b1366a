"""Earlier inputs: walking, searching, and what survives in their file."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui_agent.state.history import (
    MOST_INPUTS,
    MOST_TEXT,
    Inputs,
    first_line,
    read_lines,
    shorten,
    write_line,
)


def test_the_arrows_walk_back_and_forth_and_end_at_what_was_being_written() -> None:
    inputs = Inputs(["one", "two"])
    assert inputs.older("half") == "two"
    assert inputs.older("two") == "one"
    assert inputs.older("one") is None
    assert inputs.newer("one") == "two"
    assert inputs.newer("two") == "half"
    assert inputs.newer("half") is None


def test_an_input_that_is_shown_already_is_passed_over() -> None:
    inputs = Inputs(["one", "two"])
    assert inputs.older("two") == "one"


def test_sending_goes_back_to_the_newest() -> None:
    inputs = Inputs(["one", "two"])
    inputs.older("")
    inputs.older("two")
    assert inputs.add("three")
    assert inputs.older("") == "three"


def test_repeated_empty_private_and_huge_inputs_are_not_kept() -> None:
    inputs = Inputs(["one"])
    assert not inputs.add("one")
    assert not inputs.add("  \n")
    assert not inputs.add(" secret")
    assert not inputs.add("x" * (MOST_TEXT + 1))
    assert inputs.newest == "one"


def test_inputs_read_later_stand_before_those_of_now() -> None:
    inputs = Inputs()
    inputs.add("now")
    inputs.extend(["then"])
    assert inputs.older("") == "now"
    assert inputs.older("now") == "then"


def test_the_search_wants_every_word_and_gives_the_newest_first_once() -> None:
    inputs = Inputs(["fix the Log", "log it", "the log stutters", "fix the Log"])
    assert inputs.search("LOG the") == ["fix the Log", "the log stutters"]
    assert inputs.search("", most=1) == ["fix the Log"]
    assert inputs.search("nothing") == []


def test_no_more_than_the_newest_are_remembered() -> None:
    inputs = Inputs(str(number) for number in range(MOST_INPUTS + 5))
    inputs.add("last")
    assert len(inputs.search("", MOST_INPUTS * 2)) == MOST_INPUTS
    assert inputs.newest == "last"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip())))
def test_what_is_written_is_read(texts: list[str]) -> None:
    assert read_lines(b"".join(write_line(text, 1.5) for text in texts)) == texts[-MOST_INPUTS:]


@given(st.binary())
def test_no_bytes_break_the_reading(data: bytes) -> None:
    read_lines(data)
    read_lines(shorten(data))


def test_broken_and_foreign_lines_survive_where_they_stood() -> None:
    later = b'{"text": 5, "of": "a later version"}'
    data = write_line("one", 1) + b"not json\n" + write_line("two", 2) + later + b"\n" + write_line("one", 3)
    assert read_lines(data) == ["one", "two", "one"]
    kept = shorten(data)
    assert kept.split(b"\n")[:-1] == [b"not json", write_line("two", 2)[:-1], later, write_line("one", 3)[:-1]]
    assert read_lines(shorten(data, most=1)) == ["one"]
    assert b"not json" in shorten(data, most=1)


def test_nesting_and_numbers_out_of_range_do_not_break_the_reading() -> None:
    assert read_lines(b"[" * 100_000 + b'\n{"text": "x", "time_s": 1e999}\n{"a":' + b"[" * 50_000) == []


def test_an_input_of_many_lines_is_one_line_in_a_list() -> None:
    assert first_line("  a\tb\nc", 20) == "a b …"
    assert first_line("x" * 50, 10) == "x" * 9 + "…"
