"""Where speech begins and ends: blocks of silence and speech in, steps and the span to transcribe out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui_agent.state.endpoint import (
    BLOCK_S,
    LEAST_SPEECH_BLOCKS,
    PRE_ROLL_BLOCKS,
    START_BLOCKS,
    TAIL_BLOCKS,
    Endpoint,
    Span,
)

SPEECH, SILENCE, DIP = 0.9, 0.02, 0.4


def run(endpoint: Endpoint, *parts: tuple[float, int]) -> list[tuple[int, str]]:
    """Feed (probability, blocks) parts; the steps with the block after which they came."""
    steps = []
    for probability, blocks in parts:
        for _ in range(blocks):
            step = endpoint.feed(probability)
            if step:
                steps.append((endpoint.blocks, step))
    return steps


def test_speech_ends_after_the_silence_that_was_asked_for() -> None:
    endpoint = Endpoint(0.8, 6, 60)
    steps = run(endpoint, (SILENCE, 20), (SPEECH, 30), (SILENCE, 25))
    assert [step for _, step in steps] == ["began", "paused", "silence"]
    assert steps[-1][0] == 50 + round(0.8 / BLOCK_S)


def test_what_lies_before_and_just_after_speech_belongs_to_it() -> None:
    endpoint = Endpoint(0.8, 6, 60)
    run(endpoint, (SILENCE, 20), (SPEECH, 30), (SILENCE, 25))
    assert endpoint.span == Span(20 - PRE_ROLL_BLOCKS, 50 + TAIL_BLOCKS)


def test_the_span_at_the_pause_is_the_span_at_the_end() -> None:
    """So a text that is made from the pause on is the right one when nothing follows."""
    endpoint = Endpoint(0.8, 6, 60)
    run(endpoint, (SPEECH, 30), (SILENCE, 13))
    at_pause = endpoint.span
    run(endpoint, (SILENCE, 12))
    assert endpoint.span == at_pause


def test_a_dip_inside_a_word_does_not_end_it() -> None:
    endpoint = Endpoint(0.8, 6, 60)
    assert [s for _, s in run(endpoint, (SPEECH, 10), (DIP, 60), (SPEECH, 3))] == ["began"]


def test_speech_after_a_pause_goes_on() -> None:
    endpoint = Endpoint(0.8, 6, 60)
    steps = run(endpoint, (SPEECH, 20), (SILENCE, 15), (SPEECH, 10), (SILENCE, 25))
    assert [step for _, step in steps] == ["began", "paused", "resumed", "paused", "silence"]


def test_a_click_is_not_speech_and_a_cough_is_waited_out() -> None:
    endpoint = Endpoint(0.8, 6, 60)
    assert run(endpoint, (SILENCE, 5), (SPEECH, START_BLOCKS - 1), (SILENCE, 5)) == []
    steps = run(endpoint, (SPEECH, LEAST_SPEECH_BLOCKS - 1), (SILENCE, 25), (SPEECH, 20), (SILENCE, 25))
    assert [step for _, step in steps][-1] == "silence"
    assert endpoint.span is not None
    assert endpoint.span.end - endpoint.span.first == 20 + PRE_ROLL_BLOCKS + TAIL_BLOCKS


def test_what_is_never_surely_speech_is_no_speech() -> None:
    endpoint = Endpoint(0.8, 0, 0)
    steps = run(endpoint, (0.6, 40), (SILENCE, 25))
    assert "silence" not in [step for _, step in steps]
    assert endpoint.span is None


def test_six_seconds_of_nothing_end_it_and_zero_waits_for_ever() -> None:
    assert run(Endpoint(0.8, 6, 60), (SILENCE, 200))[0] == (round(6 / BLOCK_S), "nothing")
    patient = Endpoint(0.8, 0, 0)
    assert run(patient, (SILENCE, 20_000)) == []
    assert patient.span is None


def test_a_recording_ends_at_its_longest_in_the_middle_of_speech() -> None:
    endpoint = Endpoint(0.8, 6, 60)
    steps = run(endpoint, (SPEECH, 1875))
    assert steps[-1] == (1875, "limit")
    assert endpoint.span == Span(0, 1875)


def test_what_is_forgotten_is_never_in_the_span() -> None:
    endpoint = Endpoint(0.8, 0, 0)
    run(endpoint, (SILENCE, 5000))
    forgotten = endpoint.forgotten
    assert forgotten == 5000 - PRE_ROLL_BLOCKS
    run(endpoint, (SPEECH, 20))
    assert endpoint.span is not None
    assert endpoint.span.first >= forgotten


@given(st.lists(st.floats(0, 1), max_size=400))
def test_any_probabilities_give_a_span_within_what_was_fed(probabilities: list[float]) -> None:
    endpoint = Endpoint(0.8, 6, 10)
    forgotten = 0
    for probability in probabilities:
        step = endpoint.feed(probability)
        forgotten = max(forgotten, endpoint.forgotten)
        span = endpoint.span
        if span is not None:
            assert 0 <= span.first < span.end <= endpoint.blocks
            assert span.first >= min(forgotten, span.first)
        if step in ("silence", "nothing", "limit"):
            break
