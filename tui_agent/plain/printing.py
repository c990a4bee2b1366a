"""Lines to stdout and stderr, from any thread, without a word of control: no colour, no cursor movement."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable
from typing import IO

from tui_agent.state.narrator import Line


class Printer:
    """At a terminal everything goes to stdout, in order; into a pipe only what is said does, notices to stderr."""

    def __init__(self, out: IO[str], err: IO[str], *, is_terminal: bool) -> None:
        self._out, self._err = out, err if not is_terminal else out
        self._is_terminal = is_terminal
        self._lock = threading.Lock()
        self.typed: Callable[[], str | None] = lambda: None  # the prompt and what is typed behind it; None: no prompt
        self.is_broken = False  # nobody reads any more

    def lines(self, lines: Iterable[Line]) -> None:
        """Print whole lines; what is being typed is shown again below them."""
        lines = list(lines)
        if not lines:
            return
        with self._lock:
            typed = self.typed() if self._is_terminal else None
            if typed is not None:
                self._write(self._out, _over(typed))
            for line in lines:
                self._write(self._out if line.kind == "talk" else self._err, line.text + "\n")
            if typed is not None:
                self._write(self._out, typed)
            self._flush()

    def end_line(self) -> None:
        """What was being typed ends here."""
        with self._lock:
            if self._is_terminal:
                self._write(self._out, "\n")
                self._flush()

    def notice(self, sentence: str) -> None:
        """One sentence about what goes on."""
        self.lines([Line(sentence, "notice")])

    def _write(self, stream: IO[str], text: str) -> None:
        if not self.is_broken:
            try:
                stream.write(text)
            except (OSError, ValueError):
                self._break(stream)

    def _flush(self) -> None:
        for stream in (self._out, self._err):
            if not self.is_broken:
                try:
                    stream.flush()
                except (OSError, ValueError):
                    self._break(stream)

    def _break(self, stream: IO[str]) -> None:
        """What is left in the buffer must not be tried again at the interpreter's end."""
        self.is_broken = True
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
        except (OSError, ValueError):
            pass


def _over(typed: str) -> str:
    """Clears one line of what is typed with spaces; a longer one is left above."""
    if len(typed) < shutil.get_terminal_size().columns and typed.isascii():
        return f"\r{' ' * len(typed)}\r"
    return "\n"
