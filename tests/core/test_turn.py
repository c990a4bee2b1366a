"""One answer: what goes out when, the first end counts, and the limit."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.room import RunInfo
from server.core.turn import FLUSH_CHARACTERS, FLUSH_S, Failed, Finished, Stopped, Turn
from server.protocol import ANSWER_BYTES, Usage


def new_turn() -> Turn:
    return Turn(RunInfo("r1", (1,), ("ada",)))


@given(st.lists(st.tuples(st.text(max_size=300), st.floats(0, 0.05), st.booleans())))
def test_what_is_taken_is_what_was_added(steps: list[tuple[str, float, bool]]) -> None:
    turn, now_s, out, added = new_turn(), 0.0, "", ""
    for text, wait_s, takes in steps:
        now_s += wait_s
        assert turn.add(text, now_s)
        added += text
        assert turn.content == added
        if takes and turn.due_in_s(now_s) == 0:
            offset, piece = turn.take(now_s)
            assert offset == len(out)
            out += piece
            assert turn.taken == out
    assert turn.content == added


def test_text_goes_out_at_once_then_gathers_for_20_ms_or_256_characters() -> None:
    turn = new_turn()
    assert turn.due_in_s(0.0) is None
    turn.add("a", 100.0)
    assert turn.due_in_s(100.0) == 0.0
    turn.take(100.0)
    turn.add("b", 100.005)
    turn.add("b", 100.015)
    assert turn.due_in_s(100.015) == pytest.approx(0.010), "20 ms after the first that waits came"
    assert turn.due_in_s(100.025) == pytest.approx(0.0)
    turn.add("c" * FLUSH_CHARACTERS, 100.016)
    assert turn.due_in_s(100.016) == 0.0
    turn.take(100.016)
    turn.add("d", 100.040)
    assert turn.due_in_s(100.040) == 0.0


def test_a_fast_agent_sends_three_tokens_a_piece_and_none_waits_longer_than_20_ms() -> None:
    turn, sizes, oldest_s, waits_s = new_turn(), [], None, []
    for tick in range(10_000):  # a token each 10 ms, looked at each 0.1 ms
        now_s = tick / 10_000
        if tick % 100 == 0:
            turn.add("x", now_s)
            oldest_s = now_s if oldest_s is None else oldest_s
        if turn.due_in_s(now_s) == 0.0:
            assert oldest_s is not None
            waits_s.append(now_s - oldest_s)
            sizes.append(len(turn.take(now_s)[1]))
            oldest_s = None
    assert max(waits_s) <= FLUSH_S + 0.0002
    assert sizes[0] == 1
    assert set(sizes[1:]) == {3}


def test_the_first_end_counts_and_no_text_follows() -> None:
    for first in (Finished("end_turn", Usage()), Failed("model_error", "m"), Stopped("ada", "user")):
        turn = new_turn()
        turn.add("kept", 0.0)
        assert turn.end(first)
        assert not turn.end(Stopped("ben", "user"))
        assert not turn.add("late", 0.0)
        assert (turn.ending, turn.content) == (first, "kept")


@given(st.lists(st.text(alphabet='a"\n\x01é😀', min_size=1, max_size=40_000), max_size=30))
def test_an_answer_never_encodes_to_more_than_the_limit(pieces: list[str]) -> None:
    turn = new_turn()
    for piece in pieces:
        fits = turn.add(piece * 10, 0.0)
        if not fits:
            break
    assert len(json.dumps(turn.content, ensure_ascii=False).encode()) - 2 <= ANSWER_BYTES * 1.01


def test_the_cut_is_at_a_whole_character() -> None:
    turn = new_turn()
    assert not turn.add("😀" * ANSWER_BYTES, 0.0)
    assert turn.content == "😀" * (ANSWER_BYTES // 4)
