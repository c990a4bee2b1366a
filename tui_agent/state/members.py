"""Who is in the room, as the panel shows it: folded from the welcome and from who comes, leaves and types. Pure."""

from __future__ import annotations

from msgspec import UNSET, Struct

from server.protocol import UserJoined, UserLeft, UserTyping, Welcome
from tui_agent.state.clean import clean_line


class Person(Struct):
    """A member; the name is cleaned."""

    name: str
    connections: int = 1
    is_typing: bool = False


class Members:
    """The people by name, in the server's order: at most those it lists, of `count` in all."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.count = 0

    def welcome(self, event: Welcome) -> None:
        """Who is here as one joins."""
        self.people = {clean_line(m.user): Person(clean_line(m.user), m.connections) for m in event.members}
        self.count = event.count

    def change(self, event: UserJoined | UserLeft) -> None:
        """Somebody came or left."""
        users = [clean_line(user) for user in event.users]
        for user in users:
            if isinstance(event, UserJoined):
                self.people.setdefault(user, Person(user))
            else:
                self.people.pop(user, None)
        if event.active_users is not UNSET:
            here = [clean_line(user) for user in event.active_users]
            self.people = {user: self.people.get(user, Person(user)) for user in here}
        self.count = event.count

    def typing(self, event: UserTyping) -> None:
        """Somebody began to type, or ceased."""
        person = self.people.get(clean_line(event.user))
        if person is not None:
            person.is_typing = event.active
