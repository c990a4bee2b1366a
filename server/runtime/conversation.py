"""What the agent knows: the exchanges since the last clear, kept up to date from durable events.

Bounded by characters, oldest dropped first; which part of it fits the model's context is the agent's business.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal

from msgspec import UNSET

from server.agents.base import Exchange, Said
from server.protocol import Cleared, Done, DurableEvent, Error, Interrupted, UserMessage

MOST_CHARACTERS: Final = 4_000_000


class Conversation:
    """Feed it every durable event in order."""

    __slots__ = ("_asked", "_characters", "_exchanges")

    def __init__(self) -> None:
        self._exchanges: deque[Exchange] = deque()
        self._characters = 0
        self._asked: dict[int, Said] = {}

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
            case Cleared():
                self._exchanges.clear()
                self._asked.clear()
                self._characters = 0
            case _:
                pass

    def _close(self, asked: list[int], answer: str, ending: Literal["done", "interrupted", "error"]) -> None:
        said = tuple(self._asked.pop(id) for id in asked if id in self._asked)
        if not said:
            return
        exchange = Exchange(said, answer, ending)
        self._exchanges.append(exchange)
        self._characters += _size(exchange)
        while self._characters > MOST_CHARACTERS and len(self._exchanges) > 1:
            self._characters -= _size(self._exchanges.popleft())

    def asked(self, ids: tuple[int, ...]) -> tuple[Said, ...]:
        """The messages of a run that is to start."""
        return tuple(self._asked[id] for id in ids if id in self._asked)

    @property
    def history(self) -> tuple[Exchange, ...]:
        return tuple(self._exchanges)


def _size(exchange: Exchange) -> int:
    return len(exchange.answer) + sum(len(said.content) for said in exchange.asked)
