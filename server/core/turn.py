"""One answer being made: its text, what of it was shown, when the next piece is due, and its end.

    thinking --first text--> streaming --end()--> ended      (end() works from every state; the first end counts)

Offsets count Unicode code points of the raw answer. Time is an argument, in seconds of a monotonic clock.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import Struct

from server.core.room import RunInfo
from server.protocol import ANSWER_BYTES, Code, InterruptReason, Usage

FLUSH_S: Final = 0.020
FLUSH_CHARACTERS: Final = 256


class Finished(Struct, frozen=True):
    stop_reason: str
    usage: Usage


class Failed(Struct, frozen=True):
    code: Code
    message: str


class Stopped(Struct, frozen=True):
    by: str | None
    reason: InterruptReason


Ending = Finished | Failed | Stopped


class Turn:
    """The text of one run. `add` takes what the agent wrote, `take` hands out what is due to be stored and shown."""

    __slots__ = (
        "_due_s",
        "_encoded_bytes",
        "_last_take_s",
        "_parts",
        "_waiting",
        "_waiting_characters",
        "ending",
        "info",
        "offset",
        "used",
        "used_at",
    )

    def __init__(self, info: RunInfo) -> None:
        self.info = info
        self.ending: Ending | None = None
        self.offset = 0  # code points handed out by take()
        self.used: Usage | None = None  # what the agent said that it has used, when the text was `used_at` long
        self.used_at = 0
        self._parts: list[str] = []  # handed out
        self._waiting: list[str] = []
        self._waiting_characters = 0
        self._encoded_bytes = 0
        self._last_take_s = float("-inf")
        self._due_s = 0.0  # when the waiting text should go out

    @property
    def run(self) -> str:
        return self.info.run

    @property
    def status(self) -> Literal["thinking", "streaming"]:
        return "streaming" if self._parts or self._waiting else "thinking"

    @property
    def taken(self) -> str:
        """The text handed out so far."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    @property
    def content(self) -> str:
        """All text, also what was not handed out yet."""
        return self.taken + "".join(self._waiting)

    def add(self, text: str, now_s: float) -> bool:
        """Take text of the agent; False when the answer is full with it (cut to what fits) or has ended.

        Text that comes 20 ms or more after the last piece is due at once. Text that comes sooner is due 20 ms after it
        came, not 20 ms after that piece: no token waits longer, and at 100 tokens a second three share a piece instead
        of two, so a third of the frames is saved.
        """
        if self.ending is not None:
            return False
        size_bytes = len(msgspec.json.encode(text)) - 2
        fits = self._encoded_bytes + size_bytes <= ANSWER_BYTES
        if not fits:
            text = cut(text, ANSWER_BYTES - self._encoded_bytes)
            size_bytes = len(msgspec.json.encode(text)) - 2
        self._encoded_bytes += size_bytes
        if text:
            if not self._waiting:
                self._due_s = now_s if now_s - self._last_take_s >= FLUSH_S else now_s + FLUSH_S
            self._waiting.append(text)
            self._waiting_characters += len(text)
        return fits

    def note_used(self, usage: Usage) -> None:
        """The agent says what it has used so far."""
        self.used, self.used_at = usage, self.offset + self._waiting_characters

    def due_in_s(self, now_s: float) -> float | None:
        """How long until the waiting text should go out: 0 at once, None when there is none."""
        if not self._waiting:
            return None
        if self._waiting_characters >= FLUSH_CHARACTERS:
            return 0.0
        return max(0.0, self._due_s - now_s)

    def take(self, now_s: float) -> tuple[int, str]:
        """(offset, text) of all that waits."""
        offset, text = self.offset, "".join(self._waiting)
        self._waiting.clear()
        self._waiting_characters = 0
        self._last_take_s = now_s
        self._parts.append(text)
        self.offset += len(text)
        return offset, text

    def end(self, ending: Ending) -> bool:
        """Close the answer; False when it had ended before (the first end counts)."""
        if self.ending is not None:
            return False
        self.ending = ending
        return True


def cut(text: str, limit_bytes: int) -> str:
    """The longest beginning of `text` whose JSON is within `limit_bytes`."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if len(msgspec.json.encode(text[:middle])) - 2 <= limit_bytes:
            low = middle
        else:
            high = middle - 1
    return text[:low]
