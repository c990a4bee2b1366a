"""What the server may spend a day: an amount is reserved before a run and settled after it, so that spending stops
at the limit however many runs are open (overshoot: at most what one run costs above its own reservation).
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from msgspec import Struct


class Limit(Struct, frozen=True):
    """Per day (UTC); None is no limit."""

    tokens: int | None = None
    microdollars: int | None = None


def day_of(wall_s: float) -> str:
    """The day of the budget, in UTC: "2026-11-24"."""
    return _day(int(wall_s // 86_400))


@lru_cache(maxsize=4)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * 86_400, UTC).strftime("%Y-%m-%d")


class Budget:
    """Spending of the current day, reservations included. The store has the same sums."""

    def __init__(self, limit: Limit, day: str, tokens: int, microdollars: int) -> None:
        self.limit = limit
        self.day = day
        self.tokens = tokens
        self.microdollars = microdollars

    @property
    def is_limited(self) -> bool:
        return self.limit.tokens is not None or self.limit.microdollars is not None

    def reserve(self, day: str, tokens: int, microdollars: int) -> bool:
        """Whether a run that may cost so much can start on `day`; if so the amount counts as spent."""
        if day > self.day:  # a new day starts empty; runs of yesterday settle on yesterday
            self.day, self.tokens, self.microdollars = day, 0, 0
        limit = self.limit
        if limit.tokens is not None and self.tokens + tokens > limit.tokens:
            return False
        if limit.microdollars is not None and self.microdollars + microdollars > limit.microdollars:
            return False
        self.tokens += tokens
        self.microdollars += microdollars
        return True

    def settle(self, day: str, tokens: int, microdollars: int) -> None:
        """Correct the spending of `day` by a difference (negative: given back)."""
        if day == self.day:
            self.tokens += tokens
            self.microdollars += microdollars
