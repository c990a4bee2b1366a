"""What a model costs and how much it can hold: the published list prices by model family, in microdollars.

Read from the provider's price page on 2026-11-24. An owner's own table goes before it (`Prices(own={...})`). A model
that no table knows, a local one for the most part, costs 0 dollars; its tokens count all the same.
Not in here: what a web search costs (1 cent each), since a usage does not say how many there were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from server.agents.base import Cost
from server.protocol import Usage


class Price(Struct, frozen=True):
    """Microdollars for a million tokens: 1 dollar a million is 1_000_000 here."""

    input: int
    output: int
    cache_read: int
    cache_write: int  # the 5 minute cache, the one we use

    @classmethod
    def dollars(cls, input: float, output: float, cache_read: float | None = None) -> Price:
        """From dollars a million tokens; a cache read is a tenth of the input where not given, a write 1.25 of it."""
        read = input / 10 if cache_read is None else cache_read
        return cls(*(round(d * 1_000_000) for d in (input, output, read, input * 1.25)))

    def of(self, usage: Usage) -> int:
        """Microdollars for an answer, rounded up."""
        total = (
            usage.input_tokens * self.input
            + usage.output_tokens * self.output
            + usage.cache_read_input_tokens * self.cache_read
            + usage.cache_creation_input_tokens * self.cache_write
        )
        return -(-total // 1_000_000)


FREE: Final = Price(0, 0, 0, 0)
# The longest prefix that fits counts.
_LIST: Final[Mapping[str, Price]] = {
    "claude-fable-": Price.dollars(10, 50),
    "claude-fable-5-1": Price.dollars(10, 50, 0.25),
    "claude-mythos-": Price.dollars(10, 50),
    "claude-mythos-5-1": Price.dollars(10, 50, 0.25),
    "claude-opus-": Price.dollars(5, 25),
    "claude-opus-5-5": Price.dollars(4, 20, 0.20),
    "claude-opus-4-1": Price.dollars(15, 75),
    "claude-opus-4-0": Price.dollars(15, 75),
    "claude-opus-4-2": Price.dollars(15, 75),  # claude-opus-4-20250514
    "claude-sonnet-": Price.dollars(3, 15),
    "claude-sonnet-5": Price.dollars(2, 10),
    "claude-sonnet-5-5": Price.dollars(2, 10, 0.10),
    "claude-haiku-": Price.dollars(1, 5),
    "claude-haiku-5-5": Price.dollars(0.10, 0.50),
}
# Haiku 5.5 costs five times as much once the prompt is over 100,000 tokens.
_LONG_PROMPTS: Final[Mapping[str, tuple[int, Price]]] = {
    "claude-haiku-5-5": (100_000, Price.dollars(0.50, 2.50)),
}
_WINDOWS: Final[Mapping[str, int]] = {
    "claude-": 200_000,
    "claude-fable-": 1_000_000,
    "claude-mythos-": 1_000_000,
    "claude-opus-4-6": 1_000_000,
    "claude-opus-4-7": 1_000_000,
    "claude-opus-4-8": 1_000_000,
    "claude-opus-5": 1_000_000,
    "claude-sonnet-4-6": 1_000_000,
    "claude-sonnet-5": 1_000_000,
    "claude-haiku-5": 1_000_000,
}
UNKNOWN_WINDOW: Final = 32_768


def context_window_of(model: str) -> int:
    """The size of the model's context in tokens; 32,768 for one we do not know."""
    prefix = _longest(model, _WINDOWS)
    return UNKNOWN_WINDOW if prefix is None else _WINDOWS[prefix]


def prices_from(table: Mapping[str, Mapping[str, float]]) -> dict[str, Price]:
    """An owner's table, `{"qwen3": {"input": 0.2, "output": 0.6, "cache_read": 0.02}}`, in dollars a million tokens;
    `cache_read` and `cache_write` may be left out. Raises ValueError with a sentence for a person."""
    prices = {}
    for model, row in table.items():
        unknown = set(row) - {"input", "output", "cache_read", "cache_write"}
        if unknown or not {"input", "output"} <= set(row) or not all(0 <= value < 1e6 for value in row.values()):
            raise ValueError(
                f"prices.{model} must have input and output, and may have cache_read and cache_write, "
                "each in dollars a million tokens."
            )
        price = Price.dollars(row["input"], row["output"], row.get("cache_read"))
        if "cache_write" in row:
            price = Price(price.input, price.output, price.cache_read, round(row["cache_write"] * 1_000_000))
        prices[model] = price
    return prices


class Prices:
    """The price of one model: the owner's table first (prefix of the model's name -> Price), then the list prices."""

    def __init__(self, model: str, own: Mapping[str, Price] | None = None) -> None:
        own = own or {}
        mine = _longest(model, own)
        listed = _longest(model, _LIST)
        long = _longest(model, _LONG_PROMPTS)
        self._price = own[mine] if mine is not None else _LIST[listed] if listed is not None else FREE
        self._long = _LONG_PROMPTS[long] if mine is None and long is not None else None

    def cost(self, usage: Usage) -> Cost:
        """What an answer with this usage costs."""
        prompt = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
        price = self._long[1] if self._long is not None and prompt > self._long[0] else self._price
        return Cost(usage.total_tokens, price.of(usage))


def _longest(model: str, table: Mapping[str, object]) -> str | None:
    return max((prefix for prefix in table if model.startswith(prefix)), key=len, default=None)
