"""How many commands a connection may send: token buckets with `now` passed in.

A burst of 10, then 2 a second. Ten commands sent before a `retry_after` has passed are flooding (close 4429).
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

BURST: Final = 10
PER_SECOND: Final = 2.0
STRIKES: Final = 10


class Verdict(Struct, frozen=True):
    """`retry_after_s` 0 means allowed."""

    retry_after_s: float = 0.0
    is_flooding: bool = False


ALLOWED: Final = Verdict()


class Limiter:
    """A token bucket that also counts who goes on knocking. `burst` 0 switches it off."""

    __slots__ = ("_burst", "_level", "_per_s", "_refilled_s", "_strikes", "_strikes_allowed")

    def __init__(self, burst: int = BURST, per_s: float = PER_SECOND, strikes: int = STRIKES) -> None:
        self._burst = burst
        self._per_s = per_s
        self._strikes_allowed = strikes
        self._level = float(burst)
        self._refilled_s: float | None = None
        self._strikes = 0

    def ask(self, now_s: float) -> Verdict:
        """Whether one more command may pass at `now_s` (monotonic seconds)."""
        if self._burst == 0:
            return ALLOWED
        if self._refilled_s is not None:
            self._level = min(self._burst, self._level + max(0.0, now_s - self._refilled_s) * self._per_s)
        self._refilled_s = now_s
        if self._level >= 1.0:
            self._level -= 1.0
            self._strikes = 0
            return ALLOWED
        # The first refusal names the time; only what comes before it has passed is a strike.
        self._strikes += 1
        return Verdict((1.0 - self._level) / self._per_s, self._strikes > self._strikes_allowed)
