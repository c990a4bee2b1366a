"""Who of the waiting tasks may start: at most so many at once for the server and for a person, else in their order.

A person who has reached the own limit does not hold up the others behind. `place` counts from 1 over everybody who
waits on this server.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

PER_SERVER: Final = 4
PER_PERSON: Final = 2


class Slots:
    """Tasks by an id that is unique on the server."""

    def __init__(self, per_server: int = PER_SERVER, per_person: int = PER_PERSON) -> None:
        self._per_server = per_server
        self._per_person = per_person
        self._waiting: dict[str, str] = {}  # id -> person, in their order
        self._running: dict[str, str] = {}

    def __len__(self) -> int:
        """Tasks that wait or run."""
        return len(self._waiting) + len(self._running)

    def __contains__(self, id: str) -> bool:
        return id in self._waiting or id in self._running

    def add(self, id: str, person: str) -> None:
        """A task waits; one that is known already stays where it is."""
        if id not in self:
            self._waiting[id] = person

    def remove(self, id: str) -> None:
        """A task ended, wherever it was; an unknown one is ignored."""
        self._waiting.pop(id, None)
        self._running.pop(id, None)

    def start(self) -> list[str]:
        """The tasks that may start now, in order; they count as running from here on."""
        busy = Counter(self._running.values())
        started: list[str] = []
        for id, person in self._waiting.items():
            if len(self._running) + len(started) >= self._per_server:
                break
            if busy[person] < self._per_person:
                busy[person] += 1
                started.append(id)
        for id in started:
            self._running[id] = self._waiting.pop(id)
        return started

    def places(self) -> dict[str, int]:
        """The place of each that waits."""
        return {id: place for place, id in enumerate(self._waiting, 1)}
