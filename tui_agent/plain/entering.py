"""`tui-agent --plain`: the main thread reads lines (readline at a terminal), the event loop lives in another.

That way round because readline and Ctrl+C want the main thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from types import ModuleType
from typing import Any, Final, TypeVar

from tui_agent.config import Settings
from tui_agent.joining import CannotJoin
from tui_agent.paths import state_folder
from tui_agent.plain.printing import Printer
from tui_agent.plain.session import PlainSession
from tui_agent.state.history import is_worth_keeping
from tui_agent.state.lines import Gatherer
from tui_agent.writing import InputFile

QUIT_AGAIN_S: Final = 2.0
CLOSE_S: Final = 4.0
PROMPT: Final = "> "
MORE_PROMPT: Final = ". "
Result = TypeVar("Result")


class _Left(Exception):
    """SIGTERM or SIGHUP."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Lines:
    """Where lines come from: readline at a terminal, else as they are piped in."""

    def __init__(self, *, is_terminal: bool) -> None:
        self._is_terminal = is_terminal
        self._readline: ModuleType | None = _load_readline() if is_terminal else None
        self._prompt: str | None = None
        self._file = InputFile(state_folder())
        self._newest: str | None = None
        if self._readline is not None:
            for text in self._file.read():
                if "\n" not in text:
                    self._readline.add_history(text)

    def typed(self) -> str | None:
        """The prompt and what stands behind it; None while nothing is asked."""
        if self._prompt is None or self._readline is None:
            return None
        return f"{self._prompt}{self._readline.get_line_buffer()}"

    def read(self, prompt: str) -> str:
        """The next line without its end. Raises EOFError, KeyboardInterrupt."""
        if not self._is_terminal:
            line = sys.stdin.readline()
            if not line:
                raise EOFError
            return line.rstrip("\n")
        if self._readline is None:  # nobody could take the prompt away before another line is printed
            return input()
        self._prompt = prompt
        try:
            return input(prompt)
        finally:
            self._prompt = None

    def keep(self, text: str) -> None:
        """An input goes among the earlier ones."""
        if self._is_terminal and is_worth_keeping(text, self._newest):
            self._newest = text
            self._file.add(text, time.time())


def _load_readline() -> ModuleType | None:
    if os.environ.get("TERM", "dumb") in ("dumb", ""):
        return None  # the terminal's own line editing: nothing but characters goes out
    try:
        import readline
    except ImportError:
        return None
    readline.set_auto_history(True)
    return readline


class Entering:
    """Reads, enters, interrupts, until the end; `run` returns the exit status."""

    def __init__(self, settings: Settings, printer: Printer, lines: Lines, *, is_terminal: bool) -> None:
        self._settings, self._printer, self._lines = settings, printer, lines
        self._is_terminal = is_terminal
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rooms", daemon=True)
        self._session: PlainSession | None = None
        self._ctrl_c = CtrlC()
        self._asked_s = -QUIT_AGAIN_S
        self._status = 0

    def run(self) -> int:
        """Raises CannotJoin before anything was read."""
        self._thread.start()
        try:
            self._session = self._wait(self._begin())
            for problem in self._settings.problems:
                self._printer.notice(problem)
            try:
                with _leaving_by_signals(self._ctrl_c):
                    self._read_all(self._session)
            except _Left as left:
                self._status = left.status
            except KeyboardInterrupt:
                self._status = 130
            return self._status
        finally:
            self._end()

    async def _begin(self) -> PlainSession:
        session = PlainSession(self._settings, self._printer, is_terminal=self._is_terminal)
        session.start()
        return session

    def _read_all(self, session: PlainSession) -> None:
        gatherer = Gatherer()
        while not session.is_over and not self._printer.is_broken:
            try:
                self._ctrl_c.taken()
                line = self._lines.read(MORE_PROMPT if gatherer.is_open else PROMPT)
                text = gatherer.take(line)
                self._asked_s = -QUIT_AGAIN_S
                if text is not None:
                    self._lines.keep(text)
                    status = self._wait(session.enter(text, waits=not self._is_terminal))
                    self._status = 0 if self._is_terminal else max(self._status, status)
            except EOFError:
                text = gatherer.end()
                if text is not None:
                    self._status = max(self._status, self._wait(session.enter(text, waits=not self._is_terminal)))
                self._printer.end_line()
                self._wait(session.finish())
                return
            except KeyboardInterrupt:
                self._printer.end_line()
                gatherer = Gatherer()
                if self._interrupt(session):
                    continue
                raise

    def _interrupt(self, session: PlainSession) -> bool:
        """Ctrl+C: stop the answer; where there is none, the second time quits. False: quit."""
        if self._wait(session.interrupt(waits=not self._is_terminal)):
            return self._is_terminal
        if not self._is_terminal or time.monotonic() - self._asked_s < QUIT_AGAIN_S:
            return False
        self._asked_s = time.monotonic()
        self._printer.notice("Ctrl+C again quits.")
        return True

    def _wait(self, doing: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result()

    def _end(self) -> None:
        if self._session is not None:
            closing = asyncio.run_coroutine_threadsafe(self._session.close(), self._loop)
            with contextlib.suppress(TimeoutError, KeyboardInterrupt):
                closing.result(CLOSE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(1.0)
        if not self._thread.is_alive():
            self._loop.close()


class CtrlC:
    """Raises KeyboardInterrupt, once until it is `taken`: a second press that comes while the first is being obeyed is
    raised after it, and does not break out of what the first has begun."""

    def __init__(self) -> None:
        self._is_raised = self._came_again = False

    def pressed(self, _number: int, _frame: object) -> None:
        """The handler of SIGINT."""
        if self._is_raised:
            self._came_again = True
            return
        self._is_raised = True
        raise KeyboardInterrupt

    def taken(self) -> None:
        """The last one has been obeyed. Raises KeyboardInterrupt where another came meanwhile."""
        self._is_raised = False
        if self._came_again:
            self._came_again = False
            self.pressed(signal.SIGINT, None)


@contextlib.contextmanager
def _leaving_by_signals(ctrl_c: CtrlC) -> Iterator[None]:
    def leave(number: int, _frame: object) -> None:
        raise _Left(128 + number)

    old = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    old[signal.SIGINT] = signal.signal(signal.SIGINT, ctrl_c.pressed)
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def main(settings: Settings) -> int:
    """The line mode; returns the exit status: 0 done, 1 something failed, 2 usage, 3 no server, 130 interrupted."""
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    printer = Printer(sys.stdout, sys.stderr, is_terminal=is_terminal)
    lines = Lines(is_terminal=is_terminal)
    printer.typed = lines.typed
    try:
        return Entering(settings, printer, lines, is_terminal=is_terminal).run()
    except CannotJoin as trouble:
        printer.notice(str(trouble))
        return 2
