"""What of a room has been received, and what an incoming event means for it. Pure.

The cursor holds the epoch, the last id up to which nothing is missing, and the open run with its raw length in
code points. `take` answers for each event: deliver it (maybe cut to its new part), drop it, or "gap": something
before it is missing, so reconnect and resume from here.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from msgspec import UNSET

from server.protocol import (
    Cleared,
    Complete,
    Done,
    DurableEvent,
    Error,
    Event,
    Interrupted,
    OpenRun,
    Resume,
    Snapshot,
    Status,
    TaskSubmitted,
    Token,
    UserMessage,
    Welcome,
)

_REMEMBERED_RUNS = 64  # ended runs whose late pieces are known as such


class Not(Enum):
    """Why an event is not delivered."""

    DUPLICATE = "duplicate"
    LATE = "late"  # of a run that has ended
    GAP = "gap"  # something before it is missing


class Cursor:
    """One room's place, kept over reconnects."""

    def __init__(self) -> None:
        self.epoch: str | None = None
        self.after = 0
        self.run: str | None = None  # the open run
        self.offset = 0
        self._ended: deque[str] = deque(maxlen=_REMEMBERED_RUNS)
        self._awaits_snapshot = True

    @property
    def resume(self) -> Resume | None:
        """What `hello` carries; None on a first visit."""
        if self.epoch is None:
            return None
        return Resume(self.epoch, self.after, self.run, self.offset if self.run is not None else 0)

    def has_ended(self, run: str) -> bool:
        """Whether that run's last event was seen."""
        return run in self._ended

    def forget(self) -> None:
        """Ask for a snapshot next time."""
        self.epoch, self.after = None, 0
        self._close_run()
        self._ended.clear()

    def take(self, event: Event) -> Event | Not:
        """The event to deliver, or why not."""
        match event:
            case Welcome():
                return self._take_welcome(event)
            case Snapshot():
                return self._take_snapshot(event)
            case Token():
                return self._take_token(event)
            case Status(run=run, status=status):
                if run in self._ended and status != "idle":
                    return Not.LATE
                if status in ("thinking", "streaming") and run != self.run:
                    self._open_run(run)
                return event
            case Error(id=id) if id is not UNSET:
                return self._take_durable(event, id)
            case UserMessage() | Done() | Interrupted() | Cleared() | TaskSubmitted() | Complete():
                return self._take_durable(event, event.id)
            case _:
                return event

    def _take_welcome(self, welcome: Welcome) -> Welcome | Not:
        self._awaits_snapshot = not welcome.recovered
        if welcome.recovered and (welcome.epoch != self.epoch or welcome.head < self.after):
            # The server says it continues what it cannot continue: never skip silently, start afresh.
            self.forget()
            return Not.GAP
        return welcome

    def _take_snapshot(self, snapshot: Snapshot) -> Snapshot:
        self._awaits_snapshot = False
        self.epoch, self.after = snapshot.epoch, snapshot.head
        self._close_run()
        self._ended.clear()
        for event in snapshot.events:
            self._note_ending(event)
        if snapshot.open_run is not None:
            self._open_run(snapshot.open_run.run, _content_length(snapshot.open_run))
        return snapshot

    def _take_durable(self, event: DurableEvent, id: int) -> DurableEvent | Not:
        if self._awaits_snapshot or self.epoch is None:
            return Not.GAP
        if id <= self.after:
            return Not.DUPLICATE
        if id > self.after + 1:
            return Not.GAP
        self.after = id
        self._note_ending(event)
        return event

    def _note_ending(self, event: DurableEvent) -> None:
        if isinstance(event, Done | Interrupted | Error) and isinstance(event.run, str):
            self._ended.append(event.run)
            if event.run == self.run:
                self._close_run()

    def _take_token(self, token: Token) -> Token | Not:
        if token.run in self._ended:
            return Not.LATE
        if token.run != self.run:
            if token.offset != 0:
                return Not.GAP
            self._open_run(token.run)
        if token.offset > self.offset:
            return Not.GAP
        new = token.content[self.offset - token.offset :]
        if not new:
            return Not.DUPLICATE
        cut = Token(token.run, self.offset, new)
        self.offset += len(new)
        return cut

    def _open_run(self, run: str, offset: int = 0) -> None:
        self.run, self.offset = run, offset

    def _close_run(self) -> None:
        self.run, self.offset = None, 0


def _content_length(run: OpenRun) -> int:
    return len(run.content) if isinstance(run.content, str) else 0
