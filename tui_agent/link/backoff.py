"""When to try again: five attempts with growing, jittered delays (docs/protocol.md, Reconnect). Pure.

Equal jitter (half fixed, half random) because with full jitter five attempts survive an outage of 30 s only half
of the time. The count goes back only after a welcome and 5 s of life, so a server that accepts and closes at once
is not hammered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

ATTEMPTS: Final = 5
LONGEST_DELAY_S: Final = 30.0
LIFE_S: Final = 5.0  # a welcomed connection that lived so long was a success


class Backoff:
    """Counts attempts. `random` gives a float in [0, 1)."""

    def __init__(self, random: Callable[[], float], *, attempts: int = ATTEMPTS) -> None:
        self._random = random
        self.attempts = attempts
        self.attempt = 0  # 0: none made since the last success

    def next_delay_s(self, at_least_s: float = 0.0) -> float | None:
        """Count one more attempt and say how long to wait before it; None when all are used up.

        `at_least_s` is what the server asked for (Retry-After); the jitter comes on top of it.
        """
        if self.attempt >= self.attempts:
            return None
        self.attempt += 1
        half_s = min(LONGEST_DELAY_S, 2.0**self.attempt) / 2
        jitter_s = half_s * self._random()
        return max(half_s, at_least_s) + jitter_s

    def ended(self, *, was_welcomed: bool, lived_s: float) -> None:
        """A connection ended; the count goes back if it was a good one."""
        if was_welcomed and lived_s >= LIFE_S:
            self.attempt = 0

    def reset(self) -> None:
        """The person asked for a new try."""
        self.attempt = 0
