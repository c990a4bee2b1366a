"""The seam of the agent: a question with its history in, a stream of text, notes and one ending out.

Implementations (`claude`, `demo`, and the instant one of the tests) pass one kit, tests/contracts/test_agent.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from msgspec import Struct
from msgspec.structs import force_setattr

from server.agents.estimate import ROUND_TOKENS, estimate_tokens
from server.protocol import Usage


class Said(Struct, frozen=True):
    """One person's message; `user` was fixed by the server."""

    user: str
    content: str

    @property
    def tokens(self) -> int:
        """About what it adds to the context."""
        return estimate_tokens(self.content) + ROUND_TOKENS


class TaskNews(Struct, frozen=True):
    """What happened to a task of the room: it was submitted, or ended with a `result` (cut where it is long)."""

    task: str
    title: str
    user: str
    status: Literal["submitted", "completed", "failed", "canceled"]
    result: str = ""

    @property
    def tokens(self) -> int:
        """About what it adds to the context."""
        return estimate_tokens(self.title + self.result) + 2 * ROUND_TOKENS


class Exchange(Struct, frozen=True):
    """What was asked and what came of it. `ending` is the durable event's type; an `interrupted` or failed
    answer is kept with what came before (`answer` may be empty). `news` came before it was asked. `tokens`: about what
    it adds to the context, counted once, as each question looks at all exchanges of its room."""

    asked: tuple[Said, ...]
    answer: str
    ending: Literal["done", "interrupted", "error"]
    news: tuple[TaskNews, ...] = ()
    tokens: int = 0

    def __post_init__(self) -> None:
        parts = sum(said.tokens for said in self.asked) + sum(news.tokens for news in self.news)
        force_setattr(self, "tokens", parts + estimate_tokens(self.answer) + ROUND_TOKENS)


class Question(Struct, frozen=True):
    """One run: `history` oldest first since the last clear, `asked` what is to be answered now, in order."""

    room: str
    run: str
    history: Sequence[Exchange]
    asked: tuple[Said, ...]
    news: tuple[TaskNews, ...] = ()


class Text(Struct, frozen=True):
    """The next piece of the answer, raw as the model wrote it, but without lone surrogates."""

    content: str


class Note(Struct, frozen=True):
    """What the agent is doing besides writing ("searching the web", "overloaded, trying again in 4 s")."""

    content: str


@dataclass(frozen=True, slots=True)
class StartTask:
    """The agent gives itself long work for the person who asked. Whoever takes the item sets `done` to a sentence for
    the agent: the task's id, or why there is none."""

    title: str
    prompt: str
    done: asyncio.Future[str]


class Used(Struct, frozen=True):
    """What the run has used so far, in all, where that has become known: for one that is stopped or fails. Of the
    answer it holds what came before it."""

    usage: Usage


Item = Text | Note | StartTask | Used


class Finished(Struct, frozen=True):
    """The last item of every stream that ends well."""

    stop_reason: str
    usage: Usage


class Cost(Struct, frozen=True):
    """An amount of the server's budget."""

    tokens: int
    microdollars: int


class Agent(Protocol):
    """Answers questions. One object serves all rooms at once."""

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> str: ...

    def answer(self, question: Question) -> AsyncGenerator[Item | Finished, None]:
        """Stream one answer. Raises errors.AgentTrouble when it fails, also after some text came. When the asyncio task
        that iterates is cancelled, the provider's connection is closed before CancelledError leaves."""
        ...

    def most(self, question: Question) -> Cost:
        """An upper bound of what answering may cost, to be reserved before the run."""
        ...

    def partial_cost(self, question: Question, answer: str) -> Cost:
        """An estimate of what a stopped or failed answer did cost, where it told no `Used`: the question, and what was
        written of the answer."""
        ...

    def cost(self, usage: Usage) -> Cost:
        """What an answer did cost."""
        ...

    async def prepare(self) -> None:
        """What is slow and need not be done before the first client can connect (imports). Never raises."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
