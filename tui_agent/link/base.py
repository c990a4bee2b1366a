"""The seam of the link: what the app and `ask` know of the connection to a room.

The real one is `connection.RoomLink`; tests of the screen use a scripted one (tests/fakes). Both pass
tests/contracts/test_link.py. A link knows nothing of Textual.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from server.protocol import CancelTask, Clear, Event, History, Message, Rooms, SubmitTask, Typing

Sendable = Message | Clear | SubmitTask | CancelTask | History | Rooms | Typing


class LinkStatus(Struct, frozen=True):
    """Where the connection stands. `retry_in_s` is the whole wait that began when this status was reported."""

    phase: Literal["connecting", "live", "waiting", "offline", "closed"]
    attempt: int = 0
    attempts: int = 5
    retry_in_s: float = 0.0
    sentence: str = ""  # for a person: why it is not live, with the next step; "" when there is nothing to say
    is_final: bool = False  # offline for good (wrong token, replaced, version): only a new start helps
    latency_ms: float | None = None


class Pending(Struct, frozen=True):
    """A message or task that the server has not acknowledged yet; it is on this machine's disk."""

    cid: str
    command: Message | SubmitTask
    time_s: float  # wall clock when it was written
    is_stale: bool = False  # older than 10 minutes, from an earlier process: offered, not sent by itself


class Received(Struct, frozen=True):
    """One event of the server, in order. Duplicates and gaps were dealt with before; text is raw, not yet cleaned."""

    event: Event


class StatusChanged(Struct, frozen=True):
    status: LinkStatus


class PendingChanged(Struct, frozen=True):
    """The unacknowledged commands, in the order in which they go out."""

    pending: tuple[Pending, ...]


LinkEvent = Received | StatusChanged | PendingChanged


class Link(Protocol):
    """One room. `run` owns the asyncio tasks; everything else is `_nowait` and returns at once."""

    @property
    def status(self) -> LinkStatus: ...

    @property
    def pending(self) -> Sequence[Pending]: ...

    async def run(self) -> None:
        """Connect, and connect again when it drops, until cancelled or `close`d. Never raises what a network can do."""
        ...

    def events(self) -> AsyncIterator[LinkEvent]:
        """Everything that happens, once, in order. One reader."""
        ...

    def send(self, command: Sendable) -> None:
        """Queue a command. Messages and tasks are on disk when this returns and go out once, after the one before was
        acknowledged; the rest is dropped when there is no connection. Raises OutboxFull with a sentence."""
        ...

    def interrupt(self, run: str | None) -> None:
        """Stop `run`; None means the run of my newest message whose ack has not come yet (held until it is known)."""
        ...

    def resend_stale(self, cid: str) -> None:
        """Send an offered old command after all."""
        ...

    def forget(self, cid: str) -> None:
        """Drop an unacknowledged command (the person said so)."""
        ...

    def reconnect_now(self) -> None:
        """Try at once, with the count of attempts at zero (F5)."""
        ...

    async def close(self) -> None:
        """Leave politely (1000), within 2 s."""
        ...


class OutboxFull(Exception):
    """The command could not be kept on disk; the text is for a person."""
