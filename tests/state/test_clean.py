"""Foreign text cannot command a terminal, whatever pieces it comes in."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_agent.state.clean import MOST_MARKS, Cleaner, clean_line, clean_text
from tui_agent.state.marks import MARKS

NASTY = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\r\n\t\x1b\x07\x9b\u202e\u2066\u200b\u200d\u0301\u0302\u20dd\ufe0f\U000e0041\ud800é漢👩"),
    ),
    max_size=40,
)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b]52;c;ZXZpbA==\x07", "␛]52;c;ZXZpbA==␇"),
        ("\x9b31m", "\ufffd31m"),
        ("a\r\nb\rc", "a\nb␍c"),
        ("evil\u202egnp.exe", "evilgnp.exe"),
        ("z\u200be\ufeffr\u2060o", "zero"),
        ("hi\U000e0068\U000e0069", "hi"),
        ("\ud800", "\ufffd"),
        ("a\u2028b", "a\ufffdb"),
        ("👩\u200d💻 ❤\ufe0f", "👩\u200d💻 ❤\ufe0f"),
        ("z" + "\u0301" * 50, "z" + "\u0301" * 4),
        ("[/] [@click=app.quit] list[int]", "[/] [@click=app.quit] list[int]"),
        ("שלום", "שלום"),
    ],
)
def test_examples(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


@given(NASTY)
def test_nothing_that_commands_a_terminal_is_left(raw: str) -> None:
    for character in clean_text(raw):
        category = unicodedata.category(character)
        assert character in "\n\t\u200d" or category not in ("Cc", "Cs", "Zl", "Zp"), hex(ord(character))
        assert not 0x202A <= ord(character) <= 0x202E
        assert not 0xE0000 <= ord(character) < 0xE0080


@given(NASTY, st.lists(st.integers(0, 40)))
def test_pieces_give_the_same_as_the_whole(raw: str, cuts: list[int]) -> None:
    cleaner = Cleaner()
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    pieces = [raw[a:b] for a, b in zip(places, places[1:], strict=False)]
    assert "".join(map(cleaner.feed, pieces)) + cleaner.end() == clean_text(raw)


@given(NASTY)
def test_clean_text_stays_as_it_is(raw: str) -> None:
    assert clean_text(clean_text(raw)) == clean_text(raw)


@given(NASTY)
def test_a_line_is_one_line(raw: str) -> None:
    assert "\n" not in clean_line(raw)
    assert "\t" not in clean_line(raw)


def test_the_marks_are_those_of_unicode() -> None:
    import re

    is_mark = re.compile(f"[{MARKS}]")
    for code in range(0x110000):
        character = chr(code)
        if unicodedata.category(character) in ("Mn", "Me") and not 0xFE00 <= code < 0xFE10:
            assert is_mark.match(character), hex(code)
    assert MOST_MARKS == 4


def test_a_megabyte_does_not_stall() -> None:
    for text in ("plain words " * 90_000, "\x1b[31m" * 200_000, "漢字かな" * 250_000, "e\u0301" * 500_000):
        started = time.process_time()
        clean_text(text)
        assert time.process_time() - started < 3.0
