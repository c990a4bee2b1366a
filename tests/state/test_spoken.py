"""What of an answer is said: sentences as they complete, code and tables by name, no markup, no address."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_agent.state.spoken import LONG_CHARS, THE_REST, Chunker
from tui_agent.state.spoken_words import speakable


def said(text: str, most: int = 1000, *, by: int | None = None) -> list[str]:
    """A whole answer, whole or in pieces of `by` characters."""
    chunker = Chunker(most)
    pieces = [text] if by is None else [text[at : at + by] for at in range(0, len(text), by)]
    sentences: list[str] = []
    for piece in pieces:
        sentences += chunker.feed(piece)
    return sentences + chunker.end()


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("It costs 3.50 euros. Fine.", ["It costs 3.50 euros.", "Fine."]),
        ("See e.g. the docs. Then go.", ["See e.g. the docs.", "Then go."]),
        ("Dr. Who and J. Doe came. All good.", ["Dr. Who and J. Doe came.", "All good."]),
        ("Edit foo.py and run it. Done.", ["Edit foo.py and run it.", "Done."]),
        ("He said “stop.” Then he left.", ["He said “stop.”", "Then he left."]),
        ("Wait... what? Yes.", ["Wait...", "what?", "Yes."]),
        ("# A title\nText below", ["A title.", "Text below."]),
        ("First line\nstill the same sentence. Next.", ["First line still the same sentence.", "Next."]),
        ("- one\n- two **bold**\n- three", ["one.", "two bold.", "three."]),
        ("1. alpha\n2. beta", ["1, alpha.", "2, beta."]),
        ("- [x] done\n- [ ] open", ["done.", "open."]),
        ("> quoted words\n> go on.\n\nAfter.", ["quoted words go on.", "After."]),
        ("Look:\n\n```py\na = 1\nb = 2\n```\nGood.", ["Look:", "code block, 2 lines.", "Good."]),
        ("```\nx\n```", ["code block, 1 line."]),
        ("~~~\n```\n~~~\n", ["code block, 1 line."]),
        ("```\nnever closed\nat all", ["code block, 2 lines."]),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\nSo.", ["table, 2 rows.", "So."]),
        ("Use `foo()` and *this*. Ok.", ["Use foo() and this.", "Ok."]),
        ("See [the docs](https://example.org/a_b?c=d.e) now. Ok.", ["See the docs now.", "Ok."]),
        ("Go to https://www.example.org/x/y?z=1. Then stop.", ["Go to a link to example.org.", "Then stop."]),
        ("![a cat](cat.png)", ["image: a cat."]),
        ("Above\n\n---\n\nBelow", ["Above.", "Below."]),
        ("<br>Hello <b>you</b>", ["Hello you."]),
        ("🎉 Done ✅", ["Done."]),
        ("🎉", []),
        ("", []),
        ("これは文です。次の文です。", ["これは文です。", "次の文です。"]),
    ],
)
def test_an_answer_is_said_so(text: str, sentences: list[str]) -> None:
    assert said(text) == sentences


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("12,345 files", "12345 files"),
        ("$5 and €1,200.50", "5 dollars and 1200.50 euros"),
        ("$3 million", "3 million dollars"),
        ("10–20 items", "10 to 20 items"),
        ("on 2026-11-25", "on 2026-11-25"),
        ("a → b", "a to b"),
        ("~5 s", "about 5 s"),
        ("≥ 3", "at least 3"),
        ("2.5x faster", "2.5 times faster"),
        ("40 ms", "40 milliseconds"),
        ("snake_case_name", "snake case name"),
        ("2 * 3 stays", "2 * 3 stays"),
        ("issue #42", "issue number 42"),
        ("a\x1b[31mred\x07", "a [31mred"),
        ("one — two", "one, two"),
    ],
)
def test_words_sound_right(text: str, words: str) -> None:
    assert speakable(text) == words


def test_a_sentence_is_said_before_the_answer_goes_on() -> None:
    chunker = Chunker(10)
    assert chunker.feed("The first is done. N") == ["The first is done."]
    assert chunker.feed("ext comes") == []


def test_the_first_piece_comes_early() -> None:
    chunker = Chunker(10)
    assert chunker.feed("Well, there are several reasons for this, ") == ["Well, there are several reasons for this,"]
    assert chunker.feed("and among them, as one would think, ") == []


def test_a_finished_sentence_is_said_when_nothing_follows_for_a_while() -> None:
    chunker = Chunker(10)
    assert chunker.feed("Let me look.") == []
    assert chunker.settle() == ["Let me look."]
    assert chunker.feed("An unfinished") == []
    assert chunker.settle() == []


def test_no_more_than_the_limit_is_said() -> None:
    assert said("One. Two. Three. Four.", most=2) == ["One.", "Two.", THE_REST]


def test_a_sentence_without_end_is_cut_at_a_space() -> None:
    sentences = said("word " * 500)
    assert all(len(sentence) <= LONG_CHARS + 1 for sentence in sentences)
    assert sum(sentence.count("word") for sentence in sentences) == 500


ANSWER = """# Plan

The frames drop for two reasons, both measured. First, `wrap()` ran on *every* token; see
[the trace](https://example.org/t?a=b.c). Second:

1. the buffer is 4,096 bytes
2. it cost $5

| stage | ms |
|---|---|
| parse | 41 |

```py
for x in y:
    print(x)
```
> As Ada said, e.g. on 2026-11-25, it works.

Shall I go on? Yes!"""


@pytest.mark.parametrize("by", [1, 2, 3, 5, 7, 11, 100])
def test_in_any_pieces_the_same_words_are_said(by: int) -> None:
    assert " ".join(said(ANSWER, by=by)) == " ".join(said(ANSWER))


def test_the_answer_as_it_is_heard() -> None:
    heard = " ".join(said(ANSWER, by=4))
    assert "code block, 2 lines." in heard
    assert "table, 1 row." in heard
    assert "https" not in heard
    assert not set("`*#|>[]") & set(heard)


@given(st.text(alphabet="ab .,!?\n`*_#|->[]()1$<&", max_size=200), st.integers(1, 9))
def test_no_text_breaks_it_and_no_code_mark_is_said(text: str, by: int) -> None:
    for sentence in said(text, by=by):
        assert "`" not in sentence
        assert "\n" not in sentence
        assert sentence.strip()


@pytest.mark.parametrize("part", ["[", "`", "(", "a.b", "<a", "*", "![a](", "a. ", "1. ", "|"])
def test_hostile_text_costs_little(part: str) -> None:
    began_s = time.process_time()
    said(part * (20_000 // len(part)), by=50)
    assert time.process_time() - began_s < 3
