"""What the agent is told of a room, however long it goes on."""

from __future__ import annotations

import pytest

from server.agents.base import Exchange, Said, TaskNews
from server.core.room import RunInfo
from server.protocol import Done, Usage, UserMessage
from server.runtime import conversation
from server.runtime.conversation import Conversation


def say(talk: Conversation, number: int, words: str = "word " * 50) -> None:
    talk.apply(
        UserMessage(id=2 * number, time="t", user="ada", cid=f"c{number}", content=f"{number}", run=f"r{number}")
    )
    talk.apply(
        Done(2 * number + 1, "t", f"r{number}", [2 * number], ["ada"], content=words, stop_reason="", usage=Usage())
    )


def told(talk: Conversation) -> list[str]:
    question = talk.question("main", RunInfo("r", (), ()))
    return [exchange.asked[0].content for exchange in question.history]


def test_the_oldest_go_in_steps_so_that_what_is_told_begins_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "MOST_TOKENS", 10_000)
    talk, begins = Conversation(), []
    for number in range(500):
        say(talk, number)
        history = told(talk)
        assert history[-1] == str(number)
        begins.append(int(history[0]))
    assert begins == sorted(begins)
    assert begins[-1] > 300
    assert len(set(begins)) < 30
    kept = talk.question("main", RunInfo("r", (), ())).history
    assert 7_000 < sum(exchange.tokens for exchange in kept) <= 10_000


def test_one_exchange_over_the_limit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "MOST_TOKENS", 10)
    talk = Conversation()
    say(talk, 1)
    say(talk, 2)
    assert told(talk) == ["2"]


def test_an_exchange_knows_about_how_many_tokens_it_is() -> None:
    said = Said("ada", "é" * 50), Said("ben", "why")
    news = TaskNews("t1", "title", "ada", "completed", "result")
    assert Exchange((), "", "error").tokens == 17
    assert Exchange(said, "a" * 100, "done").tokens == 41 + 16 + 2 + 16 + 41 + 16
    assert Exchange(said, "a" * 100, "done", (news,)).tokens == Exchange(said, "a" * 100, "done").tokens + 5 + 32
