"""`tui-agent ask`: one question, the answer streams to stdout, the exit status says how it ended.

The answer is the run that the server gave to this message; what others say in the room is not printed. A cut
connection in the middle is mended by the link, and what was printed is counted in raw code points, so that nothing
is printed twice.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
import uuid
from collections.abc import Callable, Iterable
from typing import IO

from server.protocol import (
    MESSAGE_BYTES,
    Ack,
    Done,
    DurableEvent,
    Error,
    Event,
    Interrupted,
    Message,
    Snapshot,
    Status,
    Token,
    UserMessage,
    encode,
)
from tui_agent.cli import say
from tui_agent.config import Settings
from tui_agent.joining import CannotJoin, make_link
from tui_agent.link.base import LinkStatus, OutboxFull, Received, StatusChanged
from tui_agent.link.connection import RoomLink

DONE, FAILED, USAGE, NO_SERVER, INTERRUPTED = 0, 1, 2, 3, 130
INTERRUPT_WAIT_S = 2.0


class Printer:
    """Writes the answer, or the events as JSON, at once; knows how much of the raw answer was written."""

    def __init__(self, out: IO[str], *, as_json: bool) -> None:
        self._out = out
        self._as_json = as_json
        self._clean = _cleaner() if out.isatty() else None
        self._length = 0  # raw code points
        self._ends_line = True
        self.is_broken = False  # nobody reads any more

    def event(self, event: Event) -> None:
        """With --json: the event as it came."""
        if self._as_json:
            line = encode(event).decode()
            self._write((self._clean(line) if self._clean else line) + "\n")

    def piece(self, offset: int, text: str) -> None:
        """A piece of the raw answer; what was written before is left out."""
        new = text[max(0, self._length - offset) :]
        if self._as_json or not new:
            return
        self._length += len(new)
        shown = self._clean(new) if self._clean else new
        if shown:
            self._ends_line = shown.endswith("\n")
            self._write(shown)

    def end(self) -> None:
        """The last line is a whole one."""
        if not self._ends_line:
            self._write("\n")
            self._ends_line = True

    def _write(self, text: str) -> None:
        if self.is_broken:
            return
        try:
            self._out.write(text)
            self._out.flush()
        except (BrokenPipeError, ConnectionResetError):
            self.is_broken = True
            # What is left in the buffer must not be tried again at the interpreter's end.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._out.fileno())
            os.close(null)


def _cleaner() -> Callable[[str], str]:
    from tui_agent.state.clean import Cleaner

    return Cleaner().feed


class Asking:
    """One question on its way: events in, the exit status out."""

    def __init__(self, link: RoomLink, content: str, printer: Printer) -> None:
        self._link = link
        self._message = Message(str(uuid.uuid4()), content)
        self._printer = printer
        self._run: str | None = None
        self._was_live = False
        self._said = ""
        self._interrupts = 0
        self._give_up: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    async def wait_answer(self) -> int:
        """Ask, print, and say how it ended. Raises OutboxFull."""
        self._link.send(self._message)
        self._loop.add_signal_handler(signal.SIGINT, self.interrupt)
        status = INTERRUPTED
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(self._link.run(), name="ask: link")
                try:
                    status = await self._follow()
                    self._printer.end()
                finally:
                    self._link.forget(self._message.cid)  # told as failed, so it must not go out later by itself
                    await self._link.close()
                    running.cancel()
        finally:
            self._loop.remove_signal_handler(signal.SIGINT)
            if self._give_up is not None:
                self._give_up.cancel()
        return status

    def interrupt(self) -> None:
        """Ctrl+C: stop the answer; the second time, or after 2 s, leave without waiting."""
        self._interrupts += 1
        if self._interrupts > 1 or not self._was_live:
            self._leave()
            return
        self._link.interrupt(self._run)
        self._give_up = self._loop.call_later(INTERRUPT_WAIT_S, self._leave)

    def _leave(self) -> None:
        self._link.stop_events()

    async def _follow(self) -> int:
        async for event in self._link.events():
            status = None
            if isinstance(event, StatusChanged):
                status = self._take_status(event.status)
            elif isinstance(event, Received):
                status = self._take(event.event)
            if self._printer.is_broken and not self._interrupts:
                self.interrupt()  # nobody reads the answer, so nobody is to pay for it
            if status is not None:
                return status
        return INTERRUPTED

    def _take_status(self, status: LinkStatus) -> int | None:
        match status.phase:
            case "live":
                self._was_live, self._said = True, ""
            case "offline":
                say(status.sentence)
                return NO_SERVER
            case "waiting" if not self._was_live:
                say(status.sentence)
                return NO_SERVER
            case "waiting" if status.sentence != self._said:
                self._said = status.sentence
                say(f"{status.sentence} Trying again; nothing is lost.")
        return None

    def _take(self, event: Event) -> int | None:
        match event:
            case Snapshot():
                status = self._take_all(event.events)
                self._take_open_run(event)
                return status
            case Ack(ref=ref) if ref == self._message.cid:
                if isinstance(event.run, str):
                    self._run = event.run
            case UserMessage(cid=cid) if cid == self._message.cid:
                self._run = event.run
            case Error(ref=ref) if ref == self._message.cid:
                self._printer.event(event)
                say(_cleaned(event.message))
                return FAILED
            case Token(run=run, offset=offset, content=content) if run == self._run:
                self._printer.piece(offset, content)
            case Status(run=run) if run == self._run:
                pass
            case Done(run=run) | Interrupted(run=run) | Error(run=run) if run == self._run and run is not None:
                self._printer.event(event)
                return self._take_ending(event)
            case _:
                return None
        self._printer.event(event)
        return None

    def _take_all(self, events: Iterable[DurableEvent]) -> int | None:
        for event in events:
            status = self._take(event)
            if status is not None:
                return status
        return None

    def _take_open_run(self, snapshot: Snapshot) -> None:
        run = snapshot.open_run
        if run is not None and run.run == self._run and isinstance(run.content, str):
            self._printer.piece(0, run.content)

    def _take_ending(self, event: Done | Interrupted | Error) -> int:
        if isinstance(event.content, str):
            self._printer.piece(0, event.content)
        self._printer.end()
        match event:
            case Done():
                if event.stop_reason in ("max_tokens", "size_limit"):
                    say("The answer was cut at its size limit.")
                return DONE
            case Interrupted(reason="server_restart"):
                say("The answer was cut off by a restart of the server. Ask again.")
                return INTERRUPTED
            case Interrupted() if self._printer.is_broken:
                return INTERRUPTED  # nobody reads: quiet
            case Interrupted():
                say("Interrupted." if event.by is None else f"Interrupted by {_cleaned(event.by)}.")
                return INTERRUPTED
            case Error():
                say(_cleaned(event.message))
                return FAILED


def _cleaned(text: str) -> str:
    """A server's sentence, safe on stderr."""
    from tui_agent.state.clean import clean_text

    return clean_text(text)


def read_piped(stdin: IO[str] | None) -> str:
    """What was piped in, or redirected from a file; "" at a terminal, and with no stdin at all."""
    try:
        if stdin is None or stdin.isatty():
            return ""
        mode = os.fstat(stdin.fileno()).st_mode
    except (OSError, ValueError):
        return ""
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
        return ""  # /dev/null and such
    data = stdin.buffer.read(MESSAGE_BYTES * 2)  # type: ignore[attr-defined]
    return str(data.decode("utf-8", "replace")).strip("\n")


def main(settings: Settings, question: str, *, as_json: bool) -> int:
    """Ask; returns the exit status."""
    content = "\n\n".join(part for part in (question.strip(), read_piped(sys.stdin)) if part)
    if not content:
        say('There is no question. Use `tui-agent ask "…"`, or pipe one in.')
        return USAGE
    try:
        return asyncio.run(_ask(settings, content, Printer(sys.stdout, as_json=as_json)))
    except (CannotJoin, OutboxFull) as exc:
        say(str(exc))
        return USAGE


async def _ask(settings: Settings, content: str, printer: Printer) -> int:
    return await Asking(make_link(settings), content, printer).wait_answer()
