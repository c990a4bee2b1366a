"""Which answers one's own client speaks, and that nothing is said twice or after it was silenced."""

from __future__ import annotations

import itertools

from server.protocol import Ack, AgentInfo, Done, Interrupted, Limits, Token, Usage, UserMessage, Welcome
from tui_agent.state.chat import Running
from tui_agent.state.speaking import SETTLE_S, Sentence, Speaking

USAGE = Usage(0, 0)
TIME = "2026-11-25T00:00:00Z"


def make(*, is_for_all: bool = False) -> Speaking:
    counter = itertools.count(1)
    return Speaking(40, lambda: next(counter), is_on=True, is_for_all=is_for_all)


def asked(speaking: Speaking, run: str = "r1") -> None:
    speaking.sent("c1")
    speaking.apply(Ack("c1", duplicate=False, id=1, run=run), 0.0)


def words(sentences: list[Sentence]) -> list[str]:
    return [sentence.text for sentence in sentences]


def done(run: str, content: str) -> Done:
    return Done(2, TIME, run, [1], ["ada"], content, "end_turn", USAGE)


def test_one_speaks_what_one_has_asked() -> None:
    speaking = make()
    asked(speaking)
    assert words(speaking.apply(Token("r1", 0, "Hello there. A"), 0.0)) == ["Hello there."]


def test_another_s_answer_is_not_spoken_unless_wanted() -> None:
    assert make().apply(Token("r9", 0, "Hello there. A"), 0.0) == []
    assert words(make(is_for_all=True).apply(Token("r9", 0, "Hello there. A"), 0.0)) == ["Hello there."]


def test_one_s_own_message_from_another_device_is_not_spoken_here() -> None:
    speaking = make()
    speaking.apply(UserMessage(1, TIME, "ada", "other", "hi", "r1"), 0.0)
    assert speaking.apply(Token("r1", 0, "Hello there. A"), 0.0) == []


def test_the_logged_message_tells_the_run_as_the_ack_does() -> None:
    speaking = make()
    speaking.sent("c1")
    speaking.apply(UserMessage(1, TIME, "ada", "c1", "hi", "r1"), 0.0)
    assert words(speaking.apply(Token("r1", 0, "Hello there. A"), 0.0)) == ["Hello there."]


def test_another_s_message_under_the_same_cid_is_not_one_s_own() -> None:
    speaking = make()
    speaking.apply(
        Welcome("s", "main", "ada", "c", "e", 0, False, [], 2, None, [], [], AgentInfo("a", "m"), Limits()), 0.0
    )
    speaking.sent("c1")
    speaking.apply(UserMessage(1, TIME, "ben", "c1", "hi", "r9"), 0.0)
    assert speaking.apply(Token("r9", 0, "Hello there. A"), 0.0) == []
    speaking.apply(UserMessage(2, TIME, "ada", "c1", "hi", "r1"), 0.0)
    assert words(speaking.apply(Token("r1", 0, "Hello there. A"), 0.0)) == ["Hello there."]


def test_a_piece_that_comes_again_is_said_once() -> None:
    speaking = make()
    asked(speaking)
    speaking.apply(Token("r1", 0, "Hello there. H"), 0.0)
    assert words(speaking.apply(Token("r1", 0, "Hello there. How are you? I"), 0.0)) == ["How are you?"]


def test_the_end_says_the_rest_and_what_never_came_live() -> None:
    speaking = make()
    asked(speaking)
    speaking.apply(Token("r1", 0, "One. T"), 0.0)
    assert words(speaking.apply(done("r1", "One. Two. Three"), 0.0)) == ["Two.", "Three."]
    assert not speaking.is_due


def test_an_interrupted_answer_says_nothing_more() -> None:
    speaking = make()
    asked(speaking)
    speaking.apply(Token("r1", 0, "One. Two is unfin"), 0.0)
    event = Interrupted(2, TIME, "r1", [1], ["ada"], "ben", "user", "One. Two is unfin")
    assert speaking.apply(event, 0.0) == []


def test_hush_ends_this_answer_and_not_the_next() -> None:
    speaking = make()
    asked(speaking)
    first = speaking.apply(Token("r1", 0, "One. T"), 0.0)[0]
    assert speaking.hush() == first.gen
    assert speaking.apply(Token("r1", 6, "wo. Three. "), 0.0) == []
    assert speaking.apply(done("r1", "One. Two. Three. Four."), 0.0) == []
    speaking.sent("c2")
    speaking.apply(Ack("c2", duplicate=False, id=3, run="r2"), 0.0)
    assert words(speaking.apply(done("r2", "Again."), 0.0)) == ["Again."]


def test_it_is_silent_when_the_last_sentence_was_spoken() -> None:
    speaking = make()
    asked(speaking)
    sentences = speaking.apply(done("r1", "One. Two."), 0.0)
    assert not speaking.is_silent
    speaking.spoken(sentences[0].gen, sentences[0].number)
    assert not speaking.is_silent
    speaking.spoken(sentences[1].gen, sentences[1].number)
    assert speaking.is_silent


def test_a_spoken_of_an_earlier_generation_counts_for_nothing() -> None:
    speaking = make()
    asked(speaking)
    old = speaking.apply(Token("r1", 0, "One. T"), 0.0)[0]
    speaking.hush()
    speaking.sent("c2")
    speaking.apply(Ack("c2", duplicate=False, id=3, run="r2"), 0.0)
    speaking.apply(done("r2", "Again."), 0.0)
    speaking.spoken(old.gen, old.number)
    assert not speaking.is_silent


def test_a_finished_sentence_is_said_after_a_pause_of_the_stream() -> None:
    speaking = make()
    asked(speaking)
    assert speaking.apply(Token("r1", 0, "Let me look."), 1.0) == []
    assert speaking.settle(1.0 + SETTLE_S / 2) == []
    assert words(speaking.settle(1.01 + SETTLE_S)) == ["Let me look."]
    assert speaking.settle(9.0) == []


def test_switched_on_in_the_middle_it_speaks_from_there() -> None:
    speaking = make()
    speaking.adopt(Running("r1", "streaming", ("ada",), raw_length=6), "ada")
    assert words(speaking.apply(Token("r1", 6, "Next one. A"), 0.0)) == ["Next one."]


def test_a_foreign_answer_is_not_adopted() -> None:
    speaking = make()
    speaking.adopt(Running("r1", "streaming", ("ben",), raw_length=6), "ada")
    assert speaking.apply(Token("r1", 6, "Next one. A"), 0.0) == []
