"""Who is in the room: folded from the welcome and from who comes, leaves and types. Pure."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, Struct

from server.protocol import UserJoined, UserLeft, UserTyping, Welcome
from tui_agent.state.clean import clean_line

MOST_KNOWN: Final = 1000  # by name; a server that names more has them counted only


class Person(Struct):
    """A member; the name is cleaned."""

    name: str
    connections: int = 1
    is_typing: bool = False


class Members:
    """The people by name, in the order in which the server names them; `count` are there in all, also unnamed ones."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.count = 0

    def welcome(self, event: Welcome) -> None:
        """Who is here as one joins."""
        here = ((clean_line(member.user), member.connections) for member in event.members[:MOST_KNOWN])
        self.people = {name: Person(name, connections) for name, connections in here}
        self.count = event.count

    def change(self, event: UserJoined | UserLeft) -> None:
        """Somebody came or left."""
        users = [clean_line(user) for user in event.users]
        for user in users:
            if isinstance(event, UserLeft):
                self.people.pop(user, None)
            elif len(self.people) < MOST_KNOWN:
                self.people.setdefault(user, Person(user))
        if event.active_users is not UNSET:
            here = [clean_line(user) for user in event.active_users[:MOST_KNOWN]]
            self.people = {user: self.people.get(user, Person(user)) for user in here}
        self.count = event.count

    def typing(self, event: UserTyping) -> None:
        """Somebody began to type, or ceased."""
        person = self.people.get(clean_line(event.user))
        if person is not None:
            person.is_typing = event.active
