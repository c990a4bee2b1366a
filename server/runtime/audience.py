"""Who hears a room: its connections, and what the others are told of who came, left and types.

No `await` in here: choosing a replay and registering for what comes are one step of the loop (RoomRunner.join).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from server import protocol as wire
from server.core.presence import Presence
from server.protocol import Close, encode
from server.runtime.outlet import Outlet, fan_out, fan_out_token, frame


class Audience:
    """One room's. A connection is `expect`ed, gets its replay, is `admit`ted, and `leave`s."""

    def __init__(self, monotonic_s: Callable[[], float], wall_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._wall_s = wall_s
        self._outlets: dict[Outlet, None] = {}
        self._presence = Presence()
        self._presence_timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def outlets(self) -> list[Outlet]:
        """The connections that hear what comes."""
        return list(self._outlets)

    @property
    def is_empty(self) -> bool:
        """Whether nobody is here, also not within the grace."""
        return not self._outlets and not len(self._presence)

    @property
    def member_count(self) -> int:
        return len(self._presence)

    def listed(self) -> list[wire.Member]:
        """The first members, as `welcome` shows them."""
        return self._presence.listed()

    def expect(self, outlet: Outlet) -> None:
        """Its person is a member from now on; what the same device had open before is closed."""
        for other in self._outlets:
            if other.device == outlet.device and other.user == outlet.user:
                other.close(other, Close.REPLACED, "the same device joined again")
        self._presence.join(outlet.user, wall_s=self._wall_s())

    def admit(self, outlet: Outlet) -> None:
        """It has its replay: the others are told, and it hears what comes."""
        self._tell_presence()
        self._outlets[outlet] = None

    def leave(self, outlet: Outlet) -> None:
        """The connection is gone."""
        del self._outlets[outlet]
        self._presence.leave(outlet.user, now_s=self._monotonic_s())
        self._tell_presence()

    def _tell_presence(self) -> None:
        now_s = self._monotonic_s()
        for event in self._presence.tell(now_s):
            self.broadcast(event)
        if self._presence_timer is not None:
            self._presence_timer.cancel()
            self._presence_timer = None
        due_s = self._presence.due_in_s(now_s)
        if due_s is not None:
            self._presence_timer = self._loop.call_later(due_s, self._tell_presence)

    def typing(self, user: str, active: bool) -> None:
        """Shown to the others, never stored."""
        data = frame(encode(wire.UserTyping(user, active)))
        fan_out([outlet for outlet in self._outlets if outlet.user != user], data)

    def broadcast(self, event: wire.LiveEvent) -> None:
        """To everybody, now."""
        fan_out(self._outlets, frame(encode(event)))

    def tell(self, data: bytes, asker: Outlet | None, ack: bytes) -> None:
        """Frames to everybody; before them the ack to whoever asked, who may have left. One write a connection: each is
        a system call, and they are a third of what a message costs."""
        if asker is None:
            fan_out(self._outlets, data)
            return
        asker.send(ack + (data if asker in self._outlets else b""))
        fan_out([outlet for outlet in self._outlets if outlet is not asker], data)

    def answer_begins(self) -> None:
        """Nobody has missed any of it."""
        for outlet in self._outlets:
            outlet.is_behind = False

    def show(self, data: bytes, offset: int, catch_up: Callable[[int], bytes]) -> None:
        """A token frame that begins at `offset`; whoever was behind gets `catch_up(from_offset)`."""
        fan_out_token(self._outlets, data, offset, catch_up)

    def catch_up(self, offset: int, catch_up: Callable[[int], bytes]) -> None:
        """Whoever was behind and has drained gets what it missed, up to `offset`."""
        fan_out_token([outlet for outlet in self._outlets if outlet.is_behind], b"", offset, catch_up)

    def close(self) -> None:
        """Nobody is told any more."""
        if self._presence_timer is not None:
            self._presence_timer.cancel()
