"""Where speech begins and ends in a stream of blocks. Pure: one probability a block in, what follows from it out.

    waiting  -- speech for START_BLOCKS --> speaking  -- silence for PAUSE_S --> pausing  -- for silence_s --> ended
       |                                       ^--------------- speech ------------'
       '-- nothing for nothing_s --> ended     (longest_s ends every state)

Silero's probability dips inside words, so a lower bound keeps speech going (hysteresis) and only silence that lasts
ends it (hangover). What lies just before speech was noticed belongs to it (pre-roll).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

BLOCK_SAMPLES: Final = 512
RATE: Final = 16_000
BLOCK_S: Final = BLOCK_SAMPLES / RATE  # 32 ms

SPEECH: Final = 0.5  # from here a block is speech
STILL_SPEECH: Final = 0.35  # above this it still is, once it was
START_BLOCKS: Final = 4  # a click is shorter
PRE_ROLL_BLOCKS: Final = 12  # 0.38 s
TAIL_BLOCKS: Final = 10  # 0.32 s after the last speech are kept
PAUSE_S: Final = 0.4  # what is said is whole by now, more often than not: worth beginning to transcribe
LEAST_SPEECH_BLOCKS: Final = 6  # 0.19 s of speech in all, or it was a cough
SURE: Final = 0.8  # voiced speech is; of 32 short sentences each has 17 such blocks or more, 800 clips of noise none
LEAST_SURE_BLOCKS: Final = 4

Step = Literal["", "began", "paused", "resumed", "silence", "nothing", "limit"]


@dataclass(frozen=True, slots=True)
class Span:
    """Blocks from `first` up to and without `end`."""

    first: int
    end: int


class Endpoint:
    """Feed it every block of one listening, in order."""

    def __init__(self, silence_s: float, nothing_s: float, longest_s: float) -> None:
        self._silence_blocks = round(silence_s / BLOCK_S)
        self._pause_blocks = min(self._silence_blocks, round(PAUSE_S / BLOCK_S))
        self._nothing_blocks = round(nothing_s / BLOCK_S)
        self._longest_blocks = round(longest_s / BLOCK_S)
        self.blocks = 0
        self._speech_blocks = 0
        self._sure_blocks = 0
        self._run = 0  # speech blocks in a row, before it began
        self._first: int | None = None
        self._last = 0  # the last block of speech
        self._is_speech = False

    @property
    def is_speech(self) -> bool:
        return self._is_speech

    @property
    def elapsed_s(self) -> float:
        return self.blocks * BLOCK_S

    @property
    def span(self) -> Span | None:
        """What to transcribe; None when nothing was said."""
        if self._first is None or not self._is_enough:
            return None
        first = max(0, self._first - PRE_ROLL_BLOCKS)
        return Span(first, min(self.blocks, self._last + 1 + TAIL_BLOCKS))

    @property
    def _is_enough(self) -> bool:
        return self._speech_blocks >= LEAST_SPEECH_BLOCKS and self._sure_blocks >= LEAST_SURE_BLOCKS

    @property
    def forgotten(self) -> int:
        """Blocks before this one are not needed any more."""
        return max(0, self.blocks - self._run - PRE_ROLL_BLOCKS) if self._first is None else 0

    def feed(self, probability: float) -> Step:
        """One block; what follows."""
        number = self.blocks
        self.blocks += 1
        self._is_speech = probability >= (STILL_SPEECH if self._is_speech else SPEECH)
        self._sure_blocks = self._sure_blocks + 1 if probability >= SURE else self._sure_blocks
        step = self._began(number) if self._first is None else self._went_on(number)
        if not step and self._longest_blocks and self.blocks >= self._longest_blocks:
            return "limit"
        return step

    def _began(self, number: int) -> Step:
        self._run = self._run + 1 if self._is_speech else 0
        if not self._run:
            self._sure_blocks = 0
        if self._run >= START_BLOCKS:
            self._first = number - self._run + 1
            self._last = number
            self._speech_blocks = self._run
            return "began"
        return "nothing" if self._nothing_blocks and self.blocks >= self._nothing_blocks and not self._run else ""

    def _went_on(self, number: int) -> Step:
        silent_before = number - 1 - self._last
        if self._is_speech:
            self._last = number
            self._speech_blocks += 1
            return "resumed" if silent_before >= self._pause_blocks else ""
        silent = number - self._last
        if silent >= self._silence_blocks:
            if self._is_enough:
                return "silence"
            self._first, self._run, self._speech_blocks, self._sure_blocks = None, 0, 0, 0  # a cough: wait on
            return ""
        return "paused" if silent == self._pause_blocks else ""
