"""One room in the line mode: its link, what it tells, and whom it still owes an answer."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from server.protocol import Ack, Done, DurableEvent, Error, Event, Interrupted, Message, Snapshot, UserMessage
from tui_agent.link.base import Link, LinkStatus, PendingChanged, Received, StatusChanged
from tui_agent.plain.printing import Printer
from tui_agent.state.narrator import Narrator

ANSWERED, FAILED, NO_SERVER = 0, 1, 3


class PlainRoom:
    """Prints what happens while `run` runs."""

    def __init__(self, room: str, link: Link, narrator: Narrator, printer: Printer) -> None:
        self.room, self.link, self.narrator = room, link, narrator
        self._printer = printer
        self.heard: list[Callable[[Event], None]] = []
        self._waits: dict[str, asyncio.Future[int]] = {}  # by cid of a message
        self._cids_of: dict[str, set[str]] = {}  # by run
        self._said = ""
        self._was_live = False
        self._told_stale = False
        self._changed = asyncio.Condition()

    async def wait_settled(self) -> None:
        """Until it is live, or known that it will not be for now, and nothing is on its way to the server."""

        def is_settled() -> bool:
            phase = self.link.status.phase
            return phase in ("offline", "closed") or (phase == "live" and all(p.is_stale for p in self.link.pending))

        async with self._changed:
            await self._changed.wait_for(is_settled)

    async def wait_answered(self) -> None:
        """Until nothing is on its way and no answer is open."""
        await self.wait_settled()
        async with self._changed:
            await self._changed.wait_for(lambda: self.narrator.running is None)

    async def run(self) -> None:
        """Until cancelled or closed."""
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self.link.run(), name=f"link of {self.room}")
            try:
                async for event in self.link.events():
                    match event:
                        case Received(received):
                            self._take(received)
                        case StatusChanged(status):
                            self._take_status(status)
                        case PendingChanged():
                            self._offer_stale()
                    async with self._changed:
                        self._changed.notify_all()
            finally:
                running.cancel()
                self._settle_all(NO_SERVER)

    # ---- from the person -----------------------------------------------------------------------------------

    def say(self, text: str) -> tuple[str, asyncio.Future[int]]:
        """Send a message; its cid, and the status of its answer in the future. Raises OutboxFull."""
        command = Message(str(uuid.uuid4()), text)
        self.narrator.sent(command.cid)
        wait = self._waits[command.cid] = asyncio.get_running_loop().create_future()
        try:
            self.link.send(command)
        except BaseException:
            del self._waits[command.cid]
            raise
        if self.link.status.phase not in ("live", "connecting"):
            self._printer.notice("Kept; it is sent when the connection is back.")
        return command.cid, wait

    def stop(self) -> bool:
        """Interrupt the open answer, or the one that a message on its way will get; False when there is none."""
        if self.narrator.running is not None:
            self.link.interrupt(self.narrator.running)
            return True
        if any(isinstance(pending.command, Message) and not pending.is_stale for pending in self.link.pending):
            self.link.interrupt(None)
            return True
        return False

    # ---- from the link -------------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        self._printer.lines(self.narrator.apply(event))
        for heard in list(self.heard):
            heard(event)
        events: list[Event] = [*event.events] if isinstance(event, Snapshot) else [event]
        for one in events:
            self._settle(one)

    def _settle(self, event: Event | DurableEvent) -> None:
        match event:
            case Ack(ref=cid, run=str(run)) | UserMessage(cid=cid, run=run):
                if cid in self._waits:
                    self._cids_of.setdefault(run, set()).add(cid)
            case Error(ref=str(cid)):
                self._end(cid, FAILED)
            case Done(run=run):
                self._end_run(run, ANSWERED)
            case Interrupted(run=run) | Error(run=str(run)):
                self._end_run(run, FAILED)
            case _:
                pass

    def _end_run(self, run: str, status: int) -> None:
        for cid in self._cids_of.pop(run, ()):
            self._end(cid, status)

    def _end(self, cid: str, status: int) -> None:
        wait = self._waits.pop(cid, None)
        if wait is not None and not wait.done():
            wait.set_result(status)

    def _settle_all(self, status: int) -> None:
        for cid in list(self._waits):
            self._end(cid, status)

    def _take_status(self, status: LinkStatus) -> None:
        match status.phase:
            case "live":
                self._was_live = True
                self._say_once(status.sentence)
                self._said = status.sentence
            case "waiting":
                why = status.sentence or "The connection was lost."
                before = "Connection lost" if self._was_live else "No connection"
                self._say_once(f"{before}; trying again… {why}")
            case "offline":
                ways = "" if status.is_final else " /reconnect tries again."
                self._say_once(f"{status.sentence or 'There is no connection.'}{ways}")
                self._settle_all(NO_SERVER)
            case _:
                pass

    def _say_once(self, sentence: str) -> None:
        if sentence and sentence != self._said:
            self._said = sentence
            self._printer.notice(sentence)

    def _offer_stale(self) -> None:
        count = sum(pending.is_stale for pending in self.link.pending)
        if count and not self._told_stale:
            what = "A message of an earlier time was" if count == 1 else f"{count} messages of an earlier time were"
            self._printer.notice(f"{what} never sent. /resend sends, /discard drops.")
        self._told_stale = bool(count)
