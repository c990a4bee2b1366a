"""What the agent knows: the exchanges since the last clear, kept up to date from durable events.

Bounded, oldest dropped first; which part of it fits the model's context is the agent's business.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal

from msgspec import UNSET

from server.agents.base import Exchange, Question, Said, TaskNews
from server.core.room import RunInfo
from server.protocol import Cleared, Complete, Done, DurableEvent, Error, Interrupted, TaskSubmitted, UserMessage

MOST_TOKENS: Final = 1_600_000  # of exchanges, about; more than any model's context
RESULT_CHARACTERS: Final = 20_000  # of a task's result


class Conversation:
    """Feed it every durable event in order."""

    __slots__ = ("_asked", "_exchanges", "_news", "_tasks", "_tokens")

    def __init__(self) -> None:
        self._exchanges: deque[Exchange] = deque()
        self._tokens = 0
        self._asked: dict[int, Said] = {}
        self._tasks: dict[str, TaskSubmitted] = {}  # open ones
        self._news: list[tuple[int, TaskNews]] = []  # with the event's id; not part of an exchange yet

    def question(self, room: str, info: RunInfo) -> Question:
        """What a run asks."""
        return Question(room, info.run, self.history, self.asked(info.asked), self.news(info.asked))

    def apply(self, event: DurableEvent) -> None:
        """The next event of the room."""
        match event:
            case UserMessage():
                self._asked[event.id] = Said(event.user, event.content)
            case Done():
                self._close(event.asked, event.content, "done")
            case Interrupted():
                self._close(event.asked, event.content, "interrupted")
            case Error():
                if event.asked is not UNSET:
                    self._close(event.asked, "" if event.content is UNSET else event.content, "error")
            case TaskSubmitted():
                self._tasks[event.task] = event
                self._news.append((event.id, TaskNews(event.task, event.title, event.user, "submitted")))
            case Complete():
                began = self._tasks.pop(event.task, None)
                title, user = (began.title, began.user) if began is not None else ("", "")
                result = event.result[:RESULT_CHARACTERS]
                self._news.append((event.id, TaskNews(event.task, title, user, event.status, result)))
            case Cleared():
                self._exchanges.clear()
                self._asked.clear()
                self._news.clear()
                self._tokens = 0
            case _:
                pass

    def _close(self, asked: list[int], answer: str, ending: Literal["done", "interrupted", "error"]) -> None:
        said = tuple(self._asked.pop(id) for id in asked if id in self._asked)
        if not said:
            return
        news = self.news(tuple(asked))
        self._news = [entry for entry in self._news if entry[0] > max(asked)]
        exchange = Exchange(said, answer, ending, news)
        self._exchanges.append(exchange)
        self._tokens += exchange.tokens
        if self._tokens > MOST_TOKENS:  # in steps, so that what the agent is told begins the same for many turns
            while self._tokens > MOST_TOKENS * 3 // 4 and len(self._exchanges) > 1:
                self._tokens -= self._exchanges.popleft().tokens

    def asked(self, ids: tuple[int, ...]) -> tuple[Said, ...]:
        """The messages of a run that is to start."""
        return tuple(self._asked[id] for id in ids if id in self._asked)

    def news(self, ids: tuple[int, ...]) -> tuple[TaskNews, ...]:
        """What happened to tasks since the last exchange and before the newest of these messages."""
        newest = max(ids, default=0)
        return tuple(news for id, news in self._news if id < newest)

    @property
    def history(self) -> tuple[Exchange, ...]:
        return tuple(self._exchanges)
