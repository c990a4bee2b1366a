"""The line mode's rooms and commands. Lives in the event loop's thread; `entering` reads what is typed."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from server.protocol import CancelTask, Clear, Rooms, SubmitTask, is_room_name
from tui_agent.commands import COMMANDS
from tui_agent.config import Settings
from tui_agent.exporting import CannotExport, Export
from tui_agent.joining import CannotJoin, make_link
from tui_agent.link.base import Link, OutboxFull
from tui_agent.plain.printing import Printer
from tui_agent.plain.room import ANSWERED, FAILED, NO_SERVER, PlainRoom
from tui_agent.state.clean import clean_line
from tui_agent.state.export import read_target
from tui_agent.state.narrator import Narrator
from tui_agent.state.sending import Do, Say, SlashCommand, Wrong, read_input

FINISH_S = 10.0
INTERRUPT_S = 2.0


@dataclass(frozen=True, slots=True)
class Row:
    """A slash command of the line mode."""

    slash: str
    takes: str
    title: str


def command_rows() -> list[SlashCommand]:
    """The commands of the screen, and what only the line mode needs."""
    rows: list[SlashCommand] = [command for command in COMMANDS if command.slash]
    own = [
        Row("/task", "PROMPT", "Start background work"),
        Row("/cancel", "[TASK]", "Stop background work"),
        Row("/stop", "", "Stop the answer, as Ctrl+C does"),
        Row("/who", "", "Who is in the room"),
        Row("/reconnect", "", "Connect again now"),
    ]
    known = {row.slash for row in rows}
    return rows + [row for row in own if row.slash not in known]


class PlainSession:
    """`enter` does one input and returns its status; `is_over` is set by /quit."""

    def __init__(
        self,
        settings: Settings,
        printer: Printer,
        *,
        is_terminal: bool,
        connect: Callable[[Settings, str], Link] = make_link,
    ) -> None:
        self._settings, self._printer, self._is_terminal = settings, printer, is_terminal
        self._connect = connect
        self._rows = command_rows()
        self._run: asyncio.Task[None] | None = None
        self.is_over = False
        self.room = self._open(settings.room)  # raises CannotJoin
        self._dos: dict[str, Callable[[str], Awaitable[int] | int]] = {
            "/quit": self._quit,
            "/help": self._help,
            "/room": self._go,
            "/rooms": self._list_rooms,
            "/clear": self._clear,
            "/export": self._export,
            "/task": self._submit,
            "/cancel": self._cancel,
            "/stop": self._stop,
            "/who": self._who,
            "/reconnect": self._reconnect,
            "/resend": self._resend,
            "/discard": self._discard,
        }

    def _open(self, room: str) -> PlainRoom:
        narrator = Narrator(
            self._settings.user, tells_own=not self._is_terminal, tells_earlier=self._is_terminal
        )  # fmt: skip
        return PlainRoom(room, self._connect(self._settings, room), narrator, self._printer)

    def start(self) -> None:
        """Run the present room's link."""
        self._run = asyncio.create_task(self.room.run(), name=f"room {self.room.room}")

    async def close(self) -> None:
        """Leave politely."""
        await self.room.link.close()
        if self._run is not None:
            self._run.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._run

    # ---- one input -----------------------------------------------------------------------------------------

    async def enter(self, text: str, *, waits: bool) -> int:
        """Do it; `waits`: after what came before, and until the answer has come. 0 done, 1 failed, 3 no server."""
        if waits:
            await self.room.wait_settled()
        match read_input(text, self._rows):
            case Wrong(sentence):
                self._printer.notice(sentence)
                return FAILED
            case Do(command, words):
                do = self._dos.get(command.slash)
                if do is None:
                    self._printer.notice(f"{command.slash} works on the screen only: start without --plain.")
                    return FAILED
                result = do(words)
                return result if isinstance(result, int) else await result
            case Say(words):
                if not words.strip():
                    return ANSWERED
                limit = self.room.narrator.message_bytes
                if len(words.encode("utf-8", "replace")) > limit:
                    self._printer.notice(f"The message is over {limit:,} bytes, so it was not sent. Send it in parts.")
                    return FAILED
                return await self._say(words, waits=waits)

    async def _say(self, words: str, *, waits: bool) -> int:
        link = self.room.link
        if waits and link.status.phase in ("offline", "closed"):
            self._printer.notice("Not sent: there is no connection.")
            return NO_SERVER
        try:
            cid, answer = self.room.say(words)
        except OutboxFull as full:
            self._printer.notice(str(full))
            return FAILED
        if not waits:
            return ANSWERED
        status = await answer
        if status == NO_SERVER:
            link.forget(cid)  # told as failed, so it must not go out later by itself
        return status

    async def finish(self) -> None:
        """Nothing more will be entered: until what was is with the server."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_S):
                await self.room.wait_settled()

    async def interrupt(self, *, waits: bool) -> bool:
        """Ctrl+C: whether there was an answer to stop; `waits`: a moment, for its end."""
        if not self.room.stop():
            return False
        if waits:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INTERRUPT_S):
                    await self.room.wait_answered()
        return True

    # ---- the commands ----------------------------------------------------------------------------------------

    def _quit(self, _words: str) -> int:
        self.is_over = True
        return ANSWERED

    def _help(self, _words: str) -> int:
        for row in self._rows:
            if row.slash in self._dos:
                self._printer.notice(f"{f'{row.slash} {row.takes}'.strip()}: {row.title}.")
        self._printer.notice(
            'A line is sent with Enter. A backslash at its end, or """ before and after, make several lines one '
            "message. // sends a slash. Ctrl+C stops the answer; twice it quits, and so does Ctrl+D."
        )
        return ANSWERED

    async def _go(self, words: str) -> int:
        name = words.lstrip("#").lower()
        if not is_room_name(name):
            self._printer.notice("A room's name is made of a-z 0-9 . _ - and begins with a letter or digit.")
            return FAILED
        if name == self.room.room:
            self._printer.notice(f"You are in #{name} already.")
            return ANSWERED
        try:
            new = self._open(name)
        except CannotJoin as trouble:
            self._printer.notice(str(trouble))
            return FAILED
        await self.close()
        self.room = new
        self.start()
        return ANSWERED

    def _list_rooms(self, _words: str) -> int:
        return self._live_only(lambda: self.room.link.send(Rooms(str(uuid.uuid4()))))

    def _clear(self, _words: str) -> int:
        return self._live_only(lambda: self.room.link.send(Clear(str(uuid.uuid4()))))

    def _submit(self, words: str) -> int:
        try:
            self.room.link.send(SubmitTask(str(uuid.uuid4()), words))
        except OutboxFull as full:
            self._printer.notice(str(full))
            return FAILED
        return ANSWERED

    def _cancel(self, words: str) -> int:
        tasks = self.room.narrator.tasks
        if not tasks:
            self._printer.notice("No task runs here.")
            return ANSWERED
        found = [task for task in tasks if not words or words in (task, tasks[task])]
        if len(found) != 1:
            names = ", ".join(f"{clean_line(task)} “{title}”" for task, title in tasks.items())
            self._printer.notice(f"Which one? /cancel TASK, of: {names}.")
            return FAILED
        return self._live_only(lambda: self.room.link.send(CancelTask(str(uuid.uuid4()), found[0])))

    def _live_only(self, do: Callable[[], None]) -> int:
        if self.room.link.status.phase != "live":
            self._printer.notice("There is no connection now; try again when it is back.")
            return FAILED
        do()
        return ANSWERED

    def _stop(self, _words: str) -> int:
        if not self.room.stop():
            self._printer.notice("Nothing is being answered.")
        return ANSWERED

    def _who(self, _words: str) -> int:
        narrator = self.room.narrator
        names = [f"{name} (you)" if name == narrator.me else name for name in narrator.members.people]
        self._printer.notice(f"In #{self.room.room}: {', '.join(names) or 'nobody is known yet'}.")
        return ANSWERED

    def _reconnect(self, _words: str) -> int:
        if self.room.link.status.phase == "live":
            self._printer.notice("The connection is fine.")
        self.room.link.reconnect_now()
        return ANSWERED

    def _resend(self, _words: str) -> int:
        return self._for_stale(self.room.link.resend_stale)

    def _discard(self, _words: str) -> int:
        return self._for_stale(self.room.link.forget)

    def _for_stale(self, do: Callable[[str], None]) -> int:
        stale = [pending.cid for pending in self.room.link.pending if pending.is_stale]
        for cid in stale:
            do(cid)
        if not stale:
            self._printer.notice("No message waits for that.")
        return ANSWERED

    async def _export(self, words: str) -> int:
        room = self.room
        told = 0

        def tell(percent: int) -> None:
            nonlocal told
            if told + 25 <= percent < 100:
                told = percent
                self._printer.notice(f"Exporting: {percent} %")

        export = Export(room.link, room.room, room.narrator.agent, tell)
        room.heard.append(export.heard)
        try:
            path = await export.run(read_target(words))
        except CannotExport as trouble:
            self._printer.notice(str(trouble))
            return FAILED
        finally:
            room.heard.remove(export.heard)
        self._printer.notice(f"#{room.room} is in {clean_line(str(path))}")
        return ANSWERED
