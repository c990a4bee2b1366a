"""Agents for tests of the server: one that answers at once, and one that a test leads by the hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Final

from server.agents.base import Cost, Finished, Note, Question, Text
from server.errors import AgentTrouble
from server.protocol import Usage

MOST: Final = Cost(100, 100)


class InstantAgent:
    """Yields one piece and finishes."""

    name = "instant"
    model = "instant-1"

    def __init__(self, answer: str = "Yes.") -> None:
        self._answer = answer
        self.questions = 0

    async def prepare(self) -> None:
        pass

    async def answer(self, question: Question) -> AsyncGenerator[Text | Note | Finished, None]:
        self.questions += 1
        yield Text(self._answer)
        yield Finished("end_turn", Usage(input_tokens=1, output_tokens=1, context_window=1000, context_tokens=2))

    def most(self, question: Question) -> Cost:
        return Cost(2, 2)

    def partial_cost(self, question: Question, answer: str) -> Cost:
        return Cost(1, 1)

    def cost(self, usage: Usage) -> Cost:
        return Cost(usage.total_tokens, usage.total_tokens)

    async def close(self) -> None:
        pass


@dataclass
class ScriptedRun:
    """One answer in a test's hand: push what it is to yield, await what it did."""

    question: Question
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)  # the answer was cancelled or closed early
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # however it ended
    _orders: asyncio.Queue[Text | Note | Finished | AgentTrouble] = field(default_factory=asyncio.Queue)

    def say(self, text: str) -> None:
        """The next piece."""
        self._orders.put_nowait(Text(text))

    def note(self, text: str) -> None:
        """The next note."""
        self._orders.put_nowait(Note(text))

    def finish(self, stop_reason: str = "end_turn", usage: Usage | None = None) -> None:
        """End well."""
        self._orders.put_nowait(
            Finished(stop_reason, usage or Usage(input_tokens=10, output_tokens=5, context_window=1000))
        )

    def fail(self, trouble: AgentTrouble) -> None:
        """End badly."""
        self._orders.put_nowait(trouble)


class ScriptedAgent:
    """Every answer waits for the test: `run = await agent.wait_run()`, then `run.say("…")`, `run.finish()`.

    `lead` is called with each run as it begins, for a test that always wants the same said.
    """

    name = "scripted"
    model = "scripted-1"

    def __init__(
        self,
        most: Cost = MOST,
        lead: Callable[[ScriptedRun], None] = lambda run: None,
    ) -> None:
        self._lead = lead
        self.runs: list[ScriptedRun] = []
        self._started = asyncio.Condition()
        self._taken = 0
        self._most = most
        self.closed = False

    async def prepare(self) -> None:
        pass

    async def wait_run(self, within_s: float = 20.0) -> ScriptedRun:
        """The next answer that was begun and not yet given out by this method."""
        async with asyncio.timeout(within_s), self._started:
            await self._started.wait_for(lambda: len(self.runs) > self._taken)
            self._taken += 1
            return self.runs[self._taken - 1]

    async def answer(self, question: Question) -> AsyncGenerator[Text | Note | Finished, None]:
        run = ScriptedRun(question)
        self.runs.append(run)
        self._lead(run)
        async with self._started:
            self._started.notify_all()
        try:
            while True:
                item = await run._orders.get()
                if isinstance(item, AgentTrouble):
                    raise item
                yield item
                if isinstance(item, Finished):
                    return
        except (asyncio.CancelledError, GeneratorExit):
            run.cancelled.set()
            raise
        finally:
            run.ended.set()

    def most(self, question: Question) -> Cost:
        return self._most

    def partial_cost(self, question: Question, answer: str) -> Cost:
        return Cost(1, 1)

    def cost(self, usage: Usage) -> Cost:
        return Cost(usage.total_tokens, usage.total_tokens)

    async def close(self) -> None:
        self.closed = True
