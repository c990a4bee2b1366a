"""The terminal: Textual's driver with our parser and a writer that never makes the app wait."""

from __future__ import annotations

import os
import re
import selectors
import signal
import sys
import threading
from codecs import getincrementaldecoder
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from textual.drivers.linux_driver import LinuxDriver

from tui_agent.ui.terminal.ask import typed_ahead
from tui_agent.ui.terminal.glyphs import LINUX_CONSOLE
from tui_agent.ui.terminal.parser import KeyParser, escape_delay_s
from tui_agent.ui.terminal.title import RESTORE, SAVE, can_have_title, title_sequence

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_WAITING: Final = 512 * 1024  # bytes for a terminal that does not drain; a full screen is about 20 kB
LAST_WORDS_S: Final = 1.0  # how long the end waits for such a terminal
_OSC: Final = re.compile(r"\x1b\].*?(?:\x07|\x1b\\)", re.DOTALL)  # pointer shapes, clipboard: the console prints them
BEGIN_LOOK_S: Final = 0.02
READ_BYTES: Final = 64 * 1024


class Writer:
    """Writes in a thread of its own. Over the limit whole pieces are left out and `on_drained` asks for all of it anew.

    It writes to the descriptor, not to sys.stdout: a thread that hangs inside that one's lock would end the interpreter
    with a fatal error.
    """

    def __init__(self, fileno: int, on_drained: Callable[[], None]) -> None:
        self._fileno = fileno
        self._on_drained = on_drained
        self._pieces: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._has_left_out = False
        self._is_ending = False  # what comes now restores the terminal: none of it may be left out
        self._is_over = False
        self._is_gone = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="terminal-output", daemon=True)
        self._thread.start()

    def write(self, text: str) -> None:
        """Never waits."""
        data = text.encode("utf-8", "replace")
        with self._changed:
            if self._is_gone or (self._has_left_out and not self._is_ending):
                return
            if self._waiting_bytes + len(data) > MOST_WAITING and not self._is_ending:
                self._has_left_out = True
                return
            self._pieces.append(data)
            self._waiting_bytes += len(data)
            self._changed.notify()

    def prepare_end(self) -> None:
        """What still waits is of no use; what follows restores the terminal."""
        with self._changed:
            if self._waiting_bytes > MOST_WAITING // 8:
                self._pieces.clear()
                self._pieces.append(b"\x1b\\\x18")  # ends what may have been cut in its middle
                self._waiting_bytes = 2
            self._is_ending = True

    def end(self) -> None:
        """Write what waits, as long as that takes the terminal at most LAST_WORDS_S."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._thread.join(LAST_WORDS_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._pieces and not self._is_over:
                    if self._has_left_out:
                        self._has_left_out = False
                        self._on_drained()
                    self._changed.wait()
                if not self._pieces:
                    return
                data = b"".join(self._pieces)
                self._pieces.clear()
                self._waiting_bytes = 0
            if not self._write_all(data):
                return

    def _write_all(self, data: bytes) -> bool:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fileno, view[:4096]) :]
            except BlockingIOError:
                with selectors.DefaultSelector() as selector:
                    selector.register(self._fileno, selectors.EVENT_WRITE)
                    selector.select()
            except OSError:  # the terminal is gone
                with self._changed:
                    self._is_gone = True
                    self._pieces.clear()
                return False
        return True


class TerminalDriver(LinuxDriver):
    """See the module's docstring."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._writer: Writer | None = None
        self._wake: tuple[int, int] | None = None  # a pipe that ends the input thread's wait
        self._is_linux_console = os.environ.get("TERM") == "linux"
        self._has_title = can_have_title()
        self._title = ""
        self._may_read = threading.Event()

    # ---- output -----------------------------------------------------------------------------------------

    def write(self, data: str) -> None:
        if self._writer is not None:
            if self._is_linux_console:
                data = _OSC.sub("", data.translate(LINUX_CONSOLE))
            self._writer.write(data)

    def set_title(self, title: str) -> None:
        """Show it; the same one again costs nothing."""
        if self._has_title and title != self._title:
            self._title = title
            self.write(title_sequence(title))

    def start_application_mode(self) -> None:
        """Take the terminal. In the background it is not to be had: wait, stopped, for the shell's `fg`."""
        assert sys.__stdout__ is not None
        if self._is_in_background():
            os.kill(os.getpid(), signal.SIGSTOP)
            return  # what woke it, SIGCONT, has begun or will begin this anew
        # Textual's would be stderr; that is for errors, which a person may want in a file.
        self._writer = Writer(sys.__stdout__.fileno(), self._drained)
        self._wake = os.pipe()
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._has_title:
            self.write(SAVE)
            if self._title:
                self.write(title_sequence(self._title))

    def stop_application_mode(self) -> None:
        if self._writer is not None:
            self._writer.prepare_end()
        if self._has_title:
            self.write(RESTORE)
        super().stop_application_mode()

    def close(self) -> None:
        super().close()
        if self._writer is not None:
            self._writer.end()
            self._writer = None

    def _sigcont_application(self, *arguments: Any) -> None:
        """Go on. Who was stopped from without, by SIGSTOP, never gave the terminal back, and a shell has used it."""
        if self._auto_restart and self._writer is not None:
            self.suspend_application_mode()
            self._must_signal_resume = True
        super()._sigcont_application(*arguments)

    def _is_in_background(self) -> bool:
        """Whether the terminal is another job's now."""
        try:
            return os.tcgetpgrp(self.fileno) != os.getpgrp()
        except OSError:  # no terminal, or not the one that steers this process
            return False

    def _drained(self) -> None:
        """The terminal reads again, and parts of the screen were left out. Called in the writer's thread."""
        self._loop.call_soon_threadsafe(self._app.call_later, self._app.refresh)

    # ---- input ------------------------------------------------------------------------------------------

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except Exception as exc:
            self._loop.call_soon_threadsafe(self._app._handle_exception, exc)

    def begin_input(self) -> None:
        """The app takes keys from now on; what was typed before has waited in the terminal."""
        self._may_read.set()

    def run_input_thread(self) -> None:
        """Read until the app ends, or the terminal does: then the app is told to leave."""
        while not self._may_read.wait(BEGIN_LOOK_S):
            if self.exit_event.is_set():
                return
        parser = KeyParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        assert self._wake is not None
        wake = self._wake[0]
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            selector.register(wake, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                data = typed_ahead.pop(0) if typed_ahead else b""
                ready = [] if data else selector.select(escape_delay_s() if parser.is_waiting else None)
                if any(key.fd == self.fileno for key, _ in ready):
                    try:
                        data = os.read(self.fileno, READ_BYTES)
                    except OSError:
                        data = b""
                    if not data:
                        self._loop.call_soon_threadsafe(self._app.call_later, self._ended)
                        return
                text = decode(data)
                for message in parser.feed(text) if text else ():
                    self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)

    def disable_input(self) -> None:
        if self._wake is not None and not self.exit_event.is_set():
            os.write(self._wake[1], b"x")
            super().disable_input()
            for fd in self._wake:
                os.close(fd)
            self._wake = None

    def _ended(self) -> None:
        leave = getattr(self._app, "leave", self._app.exit)
        leave(129)
