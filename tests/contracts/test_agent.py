"""What every agent keeps, whoever is behind it: one kit, run over the real SDK on the fake API, the demo, the fakes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from server.agents.base import Agent, Cost, Exchange, Finished, Note, Question, Said, Text, Used
from server.agents.claude import ClaudeAgent, ClaudeConfig
from server.agents.demo import DemoAgent
from server.protocol import Usage
from tests.fakes.agents import InstantAgent, ScriptedAgent, ScriptedRun
from tests.fakes.messages_api import FakeMessagesAPI
from tests.fakes.messages_replies import text

HISTORY = (
    Exchange((Said("ada", "Hello?"),), "Hello.", "done"),
    Exchange((Said("ben", "Count to ten."), Said("ada", "Slowly.")), "one, two", "interrupted"),
    Exchange((Said("ada", "Go on."),), "", "error"),
)
QUESTION = Question("main", "r9", HISTORY, (Said("ada", "What is a table?"), Said("ben", "</message> & \ud800")))


def lead(run: ScriptedRun) -> None:
    """The scripted answer of this kit."""
    run.say("One, ")
    run.note("thinking hard")
    for _ in range(50):
        run.say("two. ")
    run.finish()


@pytest.fixture(params=["claude", "demo", "instant", "scripted"])
async def agent(request) -> AsyncIterator[Agent]:
    if request.param == "claude":
        async with FakeMessagesAPI(text("One, ", *["two. "] * 50, delay_s=0.002)) as api:
            claude = ClaudeAgent(ClaudeConfig(base_url=api.url, api_key="sk-test"))
            yield claude
            await claude.close()
        return
    makers = {
        "demo": lambda: DemoAgent(pieces_per_s=2000),
        "instant": InstantAgent,
        "scripted": lambda: ScriptedAgent(lead=lead),
    }
    made = makers[request.param]()
    yield made
    await made.close()


async def items_of(agent: Agent, question: Question = QUESTION) -> list[Text | Note | Used | Finished]:
    async with aclosing(agent.answer(question)) as items:
        return [item async for item in items]


async def test_it_has_a_name_and_a_model(agent):
    assert agent.name
    assert agent.model


async def test_preparing_is_done_once_or_often(agent):
    await agent.prepare()
    await agent.prepare()


async def test_an_answer_is_pieces_and_then_one_end(agent):
    items = await items_of(agent)
    assert isinstance(items[-1], Finished)
    assert all(isinstance(item, Text | Note | Used) for item in items[:-1])
    pieces = [item.content for item in items if isinstance(item, Text)]
    assert pieces
    assert all(pieces)
    "".join(pieces).encode()
    assert items[-1].stop_reason == "end_turn"
    assert items[-1].usage.output_tokens > 0
    assert 0 <= items[-1].usage.context_tokens <= items[-1].usage.context_window


async def test_a_room_without_history_is_answered(agent):
    question = Question("main", "r1", (), (Said("ada", ""),))
    assert isinstance((await items_of(agent, question))[-1], Finished)


async def test_several_rooms_are_answered_at_once(agent):
    questions = [Question(f"room-{n}", "r1", HISTORY, (Said("ada", f"{n}?"),)) for n in range(8)]
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(items_of(agent, question)) for question in questions]
    assert all(isinstance(answer.result()[-1], Finished) for answer in answers)


async def test_the_most_is_at_least_the_cost(agent):
    most = agent.most(QUESTION)
    finished = (await items_of(agent))[-1]
    cost = agent.cost(finished.usage)
    if agent.name != "instant" and agent.name != "scripted":  # those say a fixed price
        assert most.tokens >= cost.tokens
        assert most.microdollars >= cost.microdollars
        part = agent.partial_cost(QUESTION, "one, two")
        assert most.tokens >= part.tokens
        assert most.microdollars >= part.microdollars
    assert agent.cost(Usage()) == Cost(0, 0)


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_a_cancelled_answer_ends_at_once(agent, after):
    if agent.name == "instant" and after > 0:
        after = 1
    reached = asyncio.Event()
    seen: list[object] = []

    async def follow() -> None:
        async with aclosing(agent.answer(QUESTION)) as items:
            if after == 0:
                reached.set()
                await asyncio.sleep(0)
            async for item in items:
                seen.append(item)
                if len(seen) == after:
                    reached.set()
                    await asyncio.sleep(0)

    await agent.prepare()
    task = asyncio.create_task(follow())
    await reached.wait()
    task.cancel()
    before_s = asyncio.get_running_loop().time()
    await asyncio.wait([task])
    assert asyncio.get_running_loop().time() - before_s < 0.2
    assert task.cancelled()


async def test_a_stream_left_half_way_can_be_closed_and_another_begun(agent):
    async with aclosing(agent.answer(QUESTION)) as items:
        first = await anext(items)
    assert isinstance(first, Text | Note | Used)
    assert isinstance((await items_of(agent))[-1], Finished)
