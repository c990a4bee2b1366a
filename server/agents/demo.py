"""The agent that answers without a key: offline, always the same for the same question, and plain about what it is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Final

from server.agents.base import Cost, Finished, Item, Question, StartTask, Text
from server.agents.demo_words import demo_answer, task_answer
from server.protocol import Usage

CONTEXT_WINDOW: Final = 100_000  # a made-up size, so that the share of the context moves as with a model
_TASK = re.compile(r"\s*(?:please\s+)?(?:(?:start|run)\s+(?:a\s+)?)?task\s*:\s*(\S.*)", re.IGNORECASE | re.DOTALL)
_PIECE = re.compile(r"\s*\S{1,12}|\s+")


def pieces_of(text: str) -> list[str]:
    """The text cut as a model would: word by word, long words in parts. Joined they are the text again."""
    return _PIECE.findall(text)


class DemoAgent:
    """Streams a scripted answer. `pieces_per_s` is the pace; 0 means as fast as it goes."""

    name: Final = "demo"
    model: Final = "demo"

    def __init__(self, *, pieces_per_s: float = 60.0) -> None:
        self._pause_s = 1 / pieces_per_s if pieces_per_s > 0 else 0.0

    async def prepare(self) -> None:
        """Nothing to get ready."""

    async def answer(self, question: Question) -> AsyncGenerator[Item | Finished, None]:
        """Stream one answer; it never fails. `task: …` makes it start that as a task, as a model does with its tool."""
        wanted = _TASK.match(question.asked[-1].content)
        if wanted is not None:
            start = StartTask("", wanted[1], asyncio.get_running_loop().create_future())
            yield start
            pieces = pieces_of(task_answer(await start.done))
        else:
            pieces = pieces_of(demo_answer(question))
        now_s = asyncio.get_running_loop().time
        due_s = now_s()
        for piece in pieces:
            # By due times, not by a sleep a piece: timers are late by a little, and that would add up.
            due_s += self._pause_s
            await asyncio.sleep(max(0.0, due_s - now_s()))
            yield Text(piece)
        heard = sum(len(said.content) for exchange in question.history for said in exchange.asked)
        heard += sum(len(exchange.answer) for exchange in question.history)
        heard += sum(len(said.content) for said in question.asked)
        usage = Usage(
            input_tokens=heard // 4,
            output_tokens=len(pieces),
            context_window=CONTEXT_WINDOW,
            context_tokens=min(heard // 4 + len(pieces), CONTEXT_WINDOW),
        )
        yield Finished("end_turn", usage)

    def most(self, question: Question) -> Cost:
        """Nothing: the demo is free."""
        return Cost(0, 0)

    def partial_cost(self, question: Question, answer: str) -> Cost:
        """Nothing: the demo is free."""
        return Cost(0, 0)

    def cost(self, usage: Usage) -> Cost:
        """Nothing: the demo is free."""
        return Cost(0, 0)

    async def close(self) -> None:
        """Nothing to let go of."""
