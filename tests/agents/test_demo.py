"""The demo agent: plain about itself, about what was asked, the same every time, at its pace."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.agents.base import Exchange, Question, Said
from server.agents.demo import DemoAgent, pieces_of
from server.agents.demo_words import demo_answer
from tests.agents.asking import ask


def asked(*said: tuple[str, str], history: tuple[Exchange, ...] = ()) -> Question:
    return Question("main", "r1", history, tuple(Said(*s) for s in said))


@given(st.text(st.characters(codec=None), max_size=200))
def test_every_answer_says_who_writes_and_how_to_get_a_model(content):
    answer = demo_answer(asked(("ada", content)))
    assert "demo agent" in answer
    assert "export ANTHROPIC_API_KEY=" in answer
    assert "tui-agent-server stop" in answer
    assert "ANTHROPIC_BASE_URL" in answer
    assert "**ada**" in answer
    answer.encode()
    assert answer == demo_answer(asked(("ada", content)))


@given(st.text(max_size=300))
def test_a_quotation_cannot_break_the_markdown_round_it(content):
    quote = demo_answer(asked(("ada", content))).split("\n\n")[1]
    assert quote.startswith("> **ada:** “") or "without words" in quote
    assert "\n" not in quote
    assert "`" not in quote
    assert len(quote) < 120


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("help", "What you can try"),
        ("Can you show me a TABLE?", "| --- |"),
        ("some code please", "```python"),
        ("make a list", "1. A message"),
        ("markdown", "# A heading"),
        ("tell me a long story", "## 18."),
        ("hello!", "Nice to see you"),
        ("Why is the sky blue?", "5 words, ada"),
    ],
)
def test_the_answer_is_about_what_was_asked(content, part):
    answer = demo_answer(asked(("ada", content)))
    assert part in answer
    assert content.rstrip("?!") in answer


def test_it_tells_who_was_heard():
    history = (Exchange((Said("ben", "Hi."),), "Hello.", "done"), Exchange((Said("eve", "Hm"),), "", "interrupted"))
    answer = demo_answer(asked(("ada", "who is here?"), history=history))
    assert "**ben**, **eve** and **ada**" in answer


def test_all_who_asked_are_answered_in_their_order():
    answer = demo_answer(asked(("ada", "a table"), ("ben", "and a list"), ("ada", "table again")))
    assert answer.index("> **ada:** “a table”") < answer.index("> **ben:** “and a list”") < answer.index("again”")
    assert answer.count("| Enter |") == 1


def test_it_remembers_that_it_was_stopped():
    history = (Exchange((Said("ada", "long"),), "# The way", "interrupted"),)
    assert "1 of my answers was stopped" in demo_answer(asked(("ada", "hello"), history=history))


@given(st.text(max_size=100))
def test_pieces_joined_are_the_text(content):
    assert "".join(pieces_of(content)) == content


async def test_the_answer_comes_in_many_pieces_and_at_its_pace():
    question = asked(("ada", "hello"))
    clock = asyncio.get_running_loop().time
    started_s = clock()
    heard = await ask(DemoAgent(pieces_per_s=400), question)
    took_s = clock() - started_s
    pieces = len(pieces_of(heard.text))
    assert heard.text == demo_answer(question)
    assert pieces > 30
    assert pieces / 400 * 0.9 <= took_s < pieces / 400 + 1


async def test_other_work_goes_on_while_it_writes_as_fast_as_it_can():
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(tick())
    heard = await ask(DemoAgent(pieces_per_s=0), asked(("ada", "long")))
    task.cancel()
    await asyncio.wait([task])
    assert ticks >= len(pieces_of(heard.text))
