"""Wrapping keeps every character but the spaces it breaks at, and no row is too wide."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_agent.state.wrap import Span, cells, wrap

LETTERS = ("a", "b", " ", "  ", "\n", "漢", "é", "e\u0301", "😀", "👩\u200d👧", "-", "☂\ufe0f")
TEXT = st.lists(st.sampled_from(LETTERS), max_size=40).map("".join)


def of(*texts: str) -> list[Span]:
    spans, at = [], 0
    for text in texts:
        spans.append(Span(text, "", at, at + len(text)))
        at += len(text)
    return spans


@given(st.lists(TEXT, max_size=5), st.integers(2, 30), st.booleans())
def test_rows_fit_and_nothing_but_spaces_is_lost(texts: list[str], width: int, at_spaces: bool) -> None:
    rows = wrap(of(*texts), width, at_spaces=at_spaces)
    whole = "".join(texts)
    assert all(cells("".join(span.text for span in row)) <= width for row in rows)
    shown = "".join(span.text for row in rows for span in row)
    assert shown.replace(" ", "") == whole.replace(" ", "").replace("\n", "")
    for row in rows:
        for span in row:
            assert whole[span.start : span.end] == span.text


@pytest.mark.parametrize(
    ("text", "width", "rows"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("one  two", 4, ["one", "two"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("", 5, [""]),
        ("a\n\nb", 5, ["a", "", "b"]),
        ("  indented text here", 10, ["  indented", "text here"]),
        ("漢字漢字 ab", 5, ["漢字", "漢字", "ab"]),
        ("go 漢字漢字", 6, ["go 漢", "字漢字"]),
        ("a\tb", 10, ["a    b"]),
    ],
)
def test_words_stay_whole_where_they_can(text: str, width: int, rows: list[str]) -> None:
    assert ["".join(span.text for span in row) for row in wrap(of(text), width)] == rows
