"""Drafts as bytes, and the names that stand for big pastes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui_agent.state.drafts import MOST_BYTES, Draft, read_draft, write_draft
from tui_agent.state.pastes import Pastes

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT.filter(lambda text: text.strip()), st.integers(-5, 50), st.integers(-5, 50))
def test_a_draft_comes_back_with_its_cursor_inside_the_text(text: str, row: int, column: int) -> None:
    data = write_draft(Draft(text, row, column))
    assert data is not None
    draft = read_draft(data)
    assert draft.text == text
    lines = text.split("\n")
    assert 0 <= draft.row < len(lines)
    assert 0 <= draft.column <= len(lines[draft.row])


@given(st.binary())
def test_no_bytes_break_the_reading(data: bytes) -> None:
    read_draft(data)


def test_nothing_and_far_too_much_are_not_kept() -> None:
    assert write_draft(Draft(" \n")) is None
    assert write_draft(Draft("x" * (MOST_BYTES + 1))) is None


def test_the_name_of_a_paste_says_how_much_it_is_and_becomes_its_text() -> None:
    pastes = Pastes()
    name = pastes.keep("a\nb" * 10_000)
    assert name == "[pasted 1: 30,000 bytes, 10,001 lines]"
    assert pastes.expand(f"see {name}.") == "see " + "a\nb" * 10_000 + "."
    assert pastes.used_in("nothing") == {}
    assert pastes.size_bytes(f"é {name}{name}") == len(pastes.expand(f"é {name}{name}").encode())
    assert pastes.size_bytes("[pasted 7: 3 bytes]") == 19


def test_a_name_inside_a_pasted_text_is_only_text() -> None:
    pastes = Pastes()
    first = pastes.keep("x [pasted 2: 3 bytes] y")
    second = pastes.keep("abc")
    assert second == "[pasted 2: 3 bytes]"
    assert pastes.expand(first) == "x [pasted 2: 3 bytes] y"
    assert pastes.expand(f"{first} {second}") == "x [pasted 2: 3 bytes] y abc"


def test_a_name_that_nobody_pasted_is_only_text() -> None:
    assert Pastes().expand("[pasted 1: 3 bytes]") == "[pasted 1: 3 bytes]"


def test_pastes_of_a_draft_come_back_and_later_ones_get_other_names() -> None:
    before = Pastes()
    name = before.keep("abc")
    after = Pastes()
    after.restore(before.used_in(f"see {name}"))
    assert after.keep("xyz") == "[pasted 2: 3 bytes]"
    assert after.expand(name) == "abc"


def test_the_oldest_pastes_are_forgotten_when_all_are_too_much() -> None:
    pastes = Pastes()
    first = pastes.keep("a" * 5_000_000)
    second = pastes.keep("b" * 5_000_000)
    assert pastes.expand(first) == first
    assert pastes.expand(second) == "b" * 5_000_000


def test_the_name_before_the_cursor_is_found() -> None:
    pastes = Pastes()
    name = pastes.keep("abc")
    assert pastes.name_before(f"x {name} y", 2 + len(name)) == name
    assert pastes.name_before(f"x {name} y", 3) is None
