"""Who is in a room, and which joins and leaves are told when.

A person has joined with the first connection and has left 10 s after the last. The first change goes out at once; more
within 250 ms are gathered into one event, so that N joins cost O(N). A person who leaves and comes back within the
grace, or within one gathering, is never announced.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from server.protocol import LISTED_MEMBERS, Member, UserJoined, UserLeft, rfc3339

LEAVE_GRACE_S: Final = 10.0
GATHER_S: Final = 0.250


class _Person(Struct):
    connections: int
    since: str
    leaves_at_s: float | None = None


class Presence:
    """Members by name, in the order in which they came."""

    def __init__(self) -> None:
        self._people: dict[str, _Person] = {}
        self._announced: set[str] = set()
        self._told_at_s = float("-inf")
        self._changed: dict[str, None] = {}  # in order, without doubles
        self._leaving: set[str] = set()

    def __len__(self) -> int:
        return len(self._people)

    @property
    def users(self) -> list[str]:
        return list(self._people)

    def listed(self) -> list[Member]:
        """The first members, as `welcome` shows them."""
        listed: list[Member] = []
        for user, person in self._people.items():
            if len(listed) == LISTED_MEMBERS:
                break
            listed.append(Member(user, person.connections, person.since))
        return listed

    def join(self, user: str, *, wall_s: float) -> None:
        """One more connection of `user`."""
        person = self._people.get(user)
        if person is None:
            self._people[user] = _Person(1, rfc3339(wall_s))
            self._changed[user] = None
        else:
            person.connections += 1
            person.leaves_at_s = None
            self._leaving.discard(user)

    def leave(self, user: str, *, now_s: float) -> None:
        """One connection of `user` less."""
        person = self._people[user]
        person.connections -= 1
        if person.connections == 0:
            person.leaves_at_s = now_s + LEAVE_GRACE_S
            self._leaving.add(user)

    def tell(self, now_s: float) -> list[UserJoined | UserLeft]:
        """What is to be told now. Call it after each change and when `due_in_s` has passed."""
        for user in [u for u in self._leaving if (self._people[u].leaves_at_s or 0.0) <= now_s]:
            self._leaving.remove(user)
            del self._people[user]
            self._changed[user] = None
        if not self._changed or now_s - self._told_at_s < GATHER_S:
            return []
        joined = [u for u in self._changed if u in self._people and u not in self._announced]
        left = [u for u in self._changed if u not in self._people and u in self._announced]
        self._changed.clear()
        self._announced.update(joined)
        self._announced.difference_update(left)
        events: list[UserJoined | UserLeft] = []
        for kind, users in ((UserJoined, joined), (UserLeft, left)):
            if users:
                self._told_at_s = now_s
                event = kind(users, len(self._people))
                if len(self._people) <= LISTED_MEMBERS:
                    event.active_users = self.users
                events.append(event)
        return events

    def due_in_s(self, now_s: float) -> float | None:
        """When to call `tell` again; None when nothing is waiting."""
        due = [self._people[user].leaves_at_s or 0.0 for user in self._leaving]
        if self._changed:
            due.append(self._told_at_s + GATHER_S)
        return max(0.0, min(due) - now_s) if due else None
