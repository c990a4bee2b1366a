"""The rules of F2 and of hands-free, as a person would tell them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_agent.state import talk as rules
from tui_agent.state.talk import Discard, Finish, Hush, Insert, Listen, Phase, Say, Send, Talk


def recording(*, is_auto: bool = True, hands_free: bool = False) -> Talk:
    """Somebody has begun to speak."""
    talk = Talk(is_auto=is_auto)
    if hands_free:
        talk.start_hands_free(0.0)
    else:
        talk.press(0.0)
    talk.listening(talk.gen, 0.1)
    talk.heard(talk.gen, 0.5, True, 0.5)
    return talk


def test_a_press_silences_and_listens() -> None:
    assert Talk(is_auto=True).press(0.0) == [Hush(), Listen(1)]


def test_a_second_press_ends_the_recording() -> None:
    assert recording().press(3.0) == [Finish(1)]


def test_repeats_of_a_held_key_do_nothing() -> None:
    talk = Talk(is_auto=True)
    talk.press(0.0)
    held = [talk.press(0.5 + n * 0.033) for n in range(300)]
    assert not any(held)
    assert talk.phase == "opening"
    assert talk.press(0.5 + 300 * 0.033 + 0.4) == [Finish(1)]


def test_slow_repeats_of_a_terminal_do_nothing_either() -> None:
    talk = Talk(is_auto=True)
    talk.press(0.0)
    assert not any(talk.press(0.66 + n * 0.12) for n in range(50))


def test_what_was_said_is_sent_or_put_into_the_input() -> None:
    for is_auto, effect in ((True, Send("hello")), (False, Insert("hello"))):
        talk = recording(is_auto=is_auto)
        assert talk.ended(1, "silence", 3.0) == []
        assert talk.phase == "transcribing"
        assert talk.text(1, "hello", 3.5) == [effect]
        assert talk.phase == "off"


def test_nothing_heard_is_said_and_nothing_sent() -> None:
    talk = recording()
    assert talk.ended(1, "nothing", 6.0) == [Say(rules.NOTHING_HEARD)]
    assert talk.phase == "off"


def test_words_that_cannot_be_made_out_are_said_once() -> None:
    talk = recording()
    talk.ended(1, "silence", 2.0)
    assert talk.text(1, "", 2.5) == [Say(rules.NOT_UNDERSTOOD)]
    talk = recording()
    talk.ended(1, "silence", 2.0)
    assert talk.text(1, "", 2.5, is_troubled=True) == []


def test_escape_discards_and_what_comes_late_is_dropped() -> None:
    for ended in (False, True):
        talk = recording()
        if ended:
            talk.ended(1, "silence", 2.0)
        assert talk.escape(2.1) == [Discard(1)]
        assert talk.ended(1, "silence", 2.2) == []
        assert talk.text(1, "late", 2.3) == []
        assert talk.phase == "off"


def test_escape_with_no_recording_is_not_for_us() -> None:
    assert Talk(is_auto=True).escape(0.0) == []


def test_a_press_while_transcribing_says_so() -> None:
    talk = recording()
    talk.ended(1, "silence", 2.0)
    assert talk.press(3.0) == [Say(rules.STILL_TRANSCRIBING)]


def test_the_longest_recording_is_taken_and_said() -> None:
    talk = recording()
    assert talk.ended(1, "limit", 60.0) == [Say(rules.LONGEST)]
    assert talk.phase == "transcribing"


def test_hands_free_goes_round_until_f2() -> None:
    talk = recording(hands_free=True)
    for turn in range(1, 4):
        talk.ended(turn, "silence", 2.0)
        assert talk.text(turn, "hello", 2.5) == [Send("hello")]
        assert talk.phase == "waiting"
        assert talk.tick(4.0) == []
        talk.quiet(5.0)
        assert talk.tick(5.0 + rules.REST_S / 2) == []
        assert talk.tick(5.0 + rules.REST_S) == [Listen(turn + 1)]
        talk.listening(turn + 1, 5.4)
    assert talk.press(6.0) == [Discard(4), Hush(), Say(rules.LOOP_ENDED)]
    assert (talk.phase, talk.is_hands_free) == ("off", False)


def test_hands_free_sends_even_where_review_is_set() -> None:
    talk = recording(hands_free=True, is_auto=False)
    talk.ended(1, "silence", 2.0)
    assert talk.text(1, "hello", 2.5) == [Send("hello")]


@pytest.mark.parametrize("phase", ["opening", "listening", "transcribing", "waiting", "resting"])
def test_f2_ends_hands_free_in_every_state(phase: Phase) -> None:
    talk = recording(hands_free=True)
    talk.phase = phase
    assert Say(rules.LOOP_ENDED) in talk.press(9.0)
    assert talk.tick(100.0) == []


def test_escape_in_hands_free_listens_anew() -> None:
    talk = recording(hands_free=True)
    assert talk.escape(2.0) == [Discard(1)]
    assert talk.tick(2.0 + rules.REST_S) == [Listen(2)]


def test_hands_free_makes_way_for_an_answer_only_while_nobody_speaks() -> None:
    assert recording(hands_free=True).make_way(1.0) == []
    talk = Talk(is_auto=True)
    talk.start_hands_free(0.0)
    talk.listening(1, 0.1)
    assert talk.make_way(1.0) == [Discard(1)]
    assert talk.phase == "waiting"


def test_a_lost_microphone_ends_the_loop() -> None:
    talk = recording(hands_free=True)
    assert talk.ended(1, "lost", 2.0) == []
    assert (talk.phase, talk.is_hands_free) == ("off", False)


def test_a_microphone_that_never_opens_and_a_model_that_never_ends_are_given_up() -> None:
    talk = Talk(is_auto=True)
    talk.press(0.0)
    assert talk.tick(rules.OPENING_S + 0.1) == [Discard(1), Say(rules.NOT_OPENED)]
    assert talk.phase == "off"
    talk = recording()
    talk.ended(1, "silence", 2.0)
    assert talk.tick(2.0 + rules.TRANSCRIBING_S + 0.1) == [Discard(1), Say(rules.NOT_TRANSCRIBED)]


@pytest.mark.parametrize("phase", ["opening", "listening", "transcribing"])
def test_a_dead_voice_process_leaves_nothing_open(phase: Phase) -> None:
    talk = recording()
    talk.phase = phase
    talk.gone(3.0)
    assert (talk.phase, talk.press(9.0)) == ("off", [Hush(), Listen(2)])


STEPS = (
    "press", "escape", "hands_free", "listening", "silence", "nothing", "lost", "text", "empty", "quiet", "tick",
    "gone", "way",
)  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from(STEPS),
            st.floats(0, 3),
            st.integers(-1, 0),
        ),
        max_size=60,
    )
)
def test_in_any_order_each_listening_is_ended_once_and_nothing_is_sent_without_one(
    steps: list[tuple[str, float, int]],
) -> None:
    talk, now_s, listened, sent = Talk(is_auto=True), 0.0, 0, 0
    for name, after_s, late in steps:
        now_s += after_s
        gen = talk.gen + late
        effects: list[rules.Effect] = []
        match name:
            case "press":
                effects = talk.press(now_s)
            case "escape":
                effects = talk.escape(now_s)
            case "hands_free":
                effects = talk.start_hands_free(now_s)
            case "listening":
                effects = talk.listening(gen, now_s)
            case "silence" | "nothing" | "lost":
                effects = talk.ended(gen, name, now_s)
            case "text":
                effects = talk.text(gen, "words", now_s)
            case "empty":
                effects = talk.text(gen, "", now_s)
            case "quiet":
                talk.quiet(now_s)
            case "tick":
                effects = talk.tick(now_s)
            case "gone":
                effects = talk.gone(now_s)
            case "way":
                effects = talk.make_way(now_s)
        listened += sum(isinstance(effect, Listen) for effect in effects)
        sent += sum(isinstance(effect, Send) for effect in effects)
        assert sent <= listened == talk.gen
        assert talk.is_hands_free or talk.phase not in ("waiting", "resting")
