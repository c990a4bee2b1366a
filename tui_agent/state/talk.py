"""Talking: one press of F2 and what follows, or hands-free until F2. Pure: time comes in, effects go out.

    push-to-talk   off -F2-> opening -> listening -silence, F2-> transcribing -text-> off   (sent, or to check)
    hands-free     … transcribing -text, sent-> waiting -answer spoken-> resting -200 ms-> opening …

| in            | off     | opening, listening | transcribing | waiting | resting |
| ------------- | ------- | ------------------ | ------------ | ------- | ------- |
| F2            | listen  | finish             | says wait    |         |         |
| F2 hands-free |         | ends the loop, in every state                         |
| Esc           |         | discard            | discard      |         |         |
| Esc hands-free|         | discard, listen anew (resting)    |         |         |

A terminal tells a held key as many presses: what comes closer than a person presses is a repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

REPEAT_DELAY_S: Final = 0.75  # a keyboard begins to repeat after at most 0.66 s
REPEAT_GAP_S: Final = 0.2  # and then every 0.02 to 0.1 s
REST_S: Final = 0.2  # after speech, until the microphone may open
OPENING_S: Final = 15.0
TRANSCRIBING_S: Final = 120.0

Phase = Literal["off", "opening", "listening", "transcribing", "waiting", "resting"]


@dataclass(frozen=True, slots=True)
class Listen:
    gen: int


@dataclass(frozen=True, slots=True)
class Finish:
    gen: int


@dataclass(frozen=True, slots=True)
class Discard:
    gen: int


@dataclass(frozen=True, slots=True)
class Hush:
    """Stop speaking, and say no more of the answers so far."""


@dataclass(frozen=True, slots=True)
class Send:
    text: str


@dataclass(frozen=True, slots=True)
class Insert:
    text: str


@dataclass(frozen=True, slots=True)
class Say:
    """A sentence for the status line."""

    sentence: str


Effect = Listen | Finish | Discard | Hush | Send | Insert | Say

NOTHING_HEARD: Final = "Nothing was heard, so nothing was sent. F2 tries again."
NOT_UNDERSTOOD: Final = "No words could be made out, so nothing was sent. F2 tries again."
STILL_TRANSCRIBING: Final = "What was said before is still being transcribed; Esc drops it."
LONGEST: Final = "A recording takes at most 60 s; this much was taken."
LOOP_ENDED: Final = "Hands-free has ended."
NOT_OPENED: Final = "The microphone did not open in time. Check it: tui-agent voice doctor"
NOT_TRANSCRIBED: Final = "Transcribing took too long and was given up. A smaller model is faster: /voice model tiny"


class Talk:
    """`is_auto`: what was said is sent at once, not put into the input."""

    def __init__(self, *, is_auto: bool) -> None:
        self.is_auto = is_auto
        self.phase: Phase = "off"
        self.is_hands_free = False
        self.gen = 0
        self.level = 0.0
        self.elapsed_s = 0.0
        self._has_heard = False
        self._since_s = 0.0
        self._last_key_s = float("-inf")
        self._is_repeating = False

    @property
    def is_mic_open(self) -> bool:
        return self.phase in ("opening", "listening")

    # ---- what a person does --------------------------------------------------------------------------

    def press(self, now_s: float) -> list[Effect]:
        """F2."""
        gap_s, self._last_key_s = now_s - self._last_key_s, now_s
        if gap_s < (REPEAT_GAP_S if self._is_repeating else REPEAT_DELAY_S):
            self._is_repeating = gap_s < REPEAT_GAP_S or self._is_repeating
            return []
        self._is_repeating = False
        if self.is_hands_free:
            return self.stop()
        match self.phase:
            case "opening" | "listening":
                return [Finish(self.gen)]
            case "transcribing":
                return [Say(STILL_TRANSCRIBING)]
            case _:
                return [Hush(), self._listen(now_s)]

    def start_hands_free(self, now_s: float) -> list[Effect]:
        """Listen, send, speak, listen again."""
        self.is_hands_free = True
        return [] if self.phase != "off" else [self._listen(now_s)]

    def stop(self) -> list[Effect]:
        """End the loop, and what is being recorded."""
        was_hands_free, self.is_hands_free = self.is_hands_free, False
        effects = [*self._discard(), Hush()]
        self.phase = "off"
        return [*effects, Say(LOOP_ENDED)] if was_hands_free else effects

    def escape(self, now_s: float) -> list[Effect]:
        """Discard a recording. Nothing: there was none."""
        effects = self._discard()
        if effects:
            self._rest(now_s) if self.is_hands_free else self._go("off", now_s)
        return effects

    def make_way(self, now_s: float) -> list[Effect]:
        """There is something to speak. A loop that has heard nothing yet closes its microphone for it."""
        if not (self.is_hands_free and self.is_mic_open and not self._has_heard):
            return []
        effects = self._discard()
        self._go("waiting", now_s)
        return effects

    # ---- what the voice process tells -------------------------------------------------------------------

    def listening(self, gen: int, now_s: float) -> list[Effect]:
        if gen == self.gen and self.phase == "opening":
            self._go("listening", now_s)
        return []

    def heard(self, gen: int, level: float, is_speech: bool, elapsed_s: float) -> None:
        """How loud it is."""
        if gen == self.gen:
            self.level, self.elapsed_s = level, elapsed_s
            self._has_heard = self._has_heard or is_speech

    def ended(self, gen: int, why: str, now_s: float) -> list[Effect]:
        """The microphone is closed."""
        if gen != self.gen or not self.is_mic_open:
            return []
        if why == "lost":
            self.is_hands_free = False
            self._go("off", now_s)
            return []
        if why == "nothing":
            return self._nothing(NOTHING_HEARD, now_s)
        self._go("transcribing", now_s)
        return [Say(LONGEST)] if why == "limit" else []

    def text(self, gen: int, text: str, now_s: float, *, is_troubled: bool = False) -> list[Effect]:
        """What was said; "" when that was told as trouble already, or no words could be made out."""
        if gen != self.gen or self.phase != "transcribing":
            return []
        if not text:
            return self._nothing("" if is_troubled else NOT_UNDERSTOOD, now_s)
        if self.is_hands_free:
            self._go("waiting", now_s)
            return [Send(text)]
        self._go("off", now_s)
        return [Send(text) if self.is_auto else Insert(text)]

    def gone(self, now_s: float) -> list[Effect]:
        """The voice process ended; what it had heard is lost."""
        if self.phase in ("opening", "listening", "transcribing"):
            self.is_hands_free = False
            self._go("off", now_s)
        return []

    # ---- what time and answers do ------------------------------------------------------------------------

    def quiet(self, now_s: float) -> None:
        """No answer is due any more, and everything was spoken."""
        if self.is_hands_free and self.phase == "waiting":
            self._rest(now_s)

    def tick(self, now_s: float) -> list[Effect]:
        """Call it often."""
        age_s = now_s - self._since_s
        if self.phase == "resting" and age_s >= REST_S:
            return [self._listen(now_s)]
        if self.phase == "opening" and age_s > OPENING_S:
            self.is_hands_free = False
            effects: list[Effect] = [*self._discard(), Say(NOT_OPENED)]
            self._go("off", now_s)
            return effects
        if self.phase == "transcribing" and age_s > TRANSCRIBING_S:
            return [*self._discard(), *self._nothing(NOT_TRANSCRIBED, now_s)]
        return []

    # ---- inside ------------------------------------------------------------------------------------------

    def _go(self, phase: Phase, now_s: float) -> None:
        self.phase, self._since_s = phase, now_s

    def _listen(self, now_s: float) -> Listen:
        self.gen += 1
        self.level = self.elapsed_s = 0.0
        self._has_heard = False
        self._go("opening", now_s)
        return Listen(self.gen)

    def _rest(self, now_s: float) -> None:
        self._go("resting", now_s)

    def _discard(self) -> list[Effect]:
        if self.phase in ("opening", "listening", "transcribing"):
            return [Discard(self.gen)]
        return []

    def _nothing(self, sentence: str, now_s: float) -> list[Effect]:
        if self.is_hands_free:
            self._rest(now_s)
        else:
            self._go("off", now_s)
        return [Say(sentence)] if sentence else []
