"""What goes out, and when: one kept command at a time until its ack, interrupts held until their run is known.

No asyncio tasks here: a session gives a way out with `opened`, and whatever changes calls `pump`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from server.protocol import (
    Ack,
    CancelTask,
    Clear,
    Error,
    Event,
    History,
    Interrupt,
    Message,
    Rooms,
    TaskSubmitted,
    Typing,
    UserMessage,
    Welcome,
    encode,
)
from tui_agent.link.outbox import Outbox
from tui_agent.link.resume import Cursor

_MOST_INTERRUPTS = 32
_DEFAULT_PAUSE_S = 1.0


class Sending:
    """The way from what a person wants to the frames of the present connection, if there is one."""

    def __init__(self, outbox: Outbox, cursor: Cursor, report_pending: Callable[[], None]) -> None:
        self._outbox = outbox
        self._cursor = cursor
        self._report_pending = report_pending
        self._put: Callable[[bytes], bool] | None = None
        self._me = ""  # as the server knows this user
        self._in_flight: str | None = None
        self._held: set[str] = set()  # messages whose run is to be interrupted as soon as it is known
        self._interrupts: dict[str, Interrupt] = {}  # not acknowledged yet, by cid
        self._pause: asyncio.TimerHandle | None = None

    # ---- the connection --------------------------------------------------------------------------------

    def opened(self, put: Callable[[bytes], bool], welcome: Welcome) -> None:
        """A new connection is welcomed. `put` takes a frame, or says False when too many wait."""
        self._put, self._in_flight, self._me = put, None, welcome.user
        open_run = welcome.open_run.run if welcome.open_run is not None else None
        for cid, interrupt in list(self._interrupts.items()):
            if interrupt.run == open_run:
                put(encode(interrupt))
            else:
                del self._interrupts[cid]
        self.pump()

    def closed(self) -> None:
        """The connection is gone."""
        self._put = self._in_flight = None
        self._end_pause()

    # ---- from the person -------------------------------------------------------------------------------

    def pump(self) -> None:
        """Send the next kept command if none is under way."""
        if self._put is None or self._in_flight is not None or self._pause is not None:
            return
        pending = self._outbox.next()
        if pending is not None and self._put(encode(pending.command)):
            self._in_flight = pending.cid

    def send_live(self, command: Clear | CancelTask | History | Rooms | Typing) -> None:
        """Send now or not at all."""
        if self._put is None or (isinstance(command, Typing) and self._pause is not None):
            return
        self._put(encode(command))

    def interrupt(self, run: str | None) -> None:
        """Stop that run, or the one that my newest message will get."""
        if run is None:
            waiting = [p.cid for p in self._outbox.pending if isinstance(p.command, Message) and not p.is_stale]
            if waiting:
                self._held.add(waiting[-1])
                return
            run = self._cursor.run
        if run is None or self._cursor.has_ended(run):
            return
        if any(known.run == run for known in self._interrupts.values()):
            return  # one press is enough, and more must not use up the limit
        command = Interrupt(str(uuid.uuid4()), run)
        if len(self._interrupts) < _MOST_INTERRUPTS:
            self._interrupts[command.cid] = command
        if self._put is not None:
            self._put(encode(command))

    def forget(self, cid: str) -> None:
        """The person takes a command back."""
        self._held.discard(cid)
        if self._outbox.remove(cid):
            if self._in_flight == cid:
                self._in_flight = None
            self._report_pending()
            self.pump()

    # ---- from the server -------------------------------------------------------------------------------

    def takes_refusal(self, error: Error) -> bool:
        """Whether a refused command is dealt with here (sent again by itself), so that nobody needs to know."""
        if error.code != "rate_limited" or not isinstance(error.ref, str):
            return False
        if error.ref != self._in_flight and error.ref not in self._interrupts:
            return False
        wait_s = error.retry_after if isinstance(error.retry_after, float | int) else _DEFAULT_PAUSE_S
        if error.ref == self._in_flight:
            self._in_flight = None
        self._begin_pause(max(0.05, wait_s))
        return True

    def settle(self, event: Event) -> None:
        """An ack, a refusal, or one's own event in the log: what that means for what waits."""
        match event:
            case Ack(ref=ref, run=run):
                self._interrupts.pop(ref, None)
                self._settled(ref, run if isinstance(run, str) else None)
            case UserMessage(user=self._me, cid=cid, run=run):  # a cid is one's own: others may use the same
                self._settled(cid, run)
            case TaskSubmitted(user=self._me, cid=cid):
                self._settled(cid, None)
            case Error(ref=str(ref)):
                self._interrupts.pop(ref, None)
                self._settled(ref, None)
            case _:
                pass

    def _settled(self, cid: str, run: str | None) -> None:
        was_pending = self._outbox.remove(cid)
        if cid in self._held:
            self._held.discard(cid)
            if run is not None:
                self.interrupt(run)
        if self._in_flight == cid:
            self._in_flight = None
        if was_pending:
            self._report_pending()
        self.pump()

    # ---- after a rate limit ----------------------------------------------------------------------------

    def _begin_pause(self, wait_s: float) -> None:
        self._end_pause()
        self._pause = asyncio.get_running_loop().call_later(wait_s, self._resume)

    def _end_pause(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _resume(self) -> None:
        self._pause = None
        if self._put is not None:
            for interrupt in self._interrupts.values():
                self._put(encode(interrupt))
        self.pump()
