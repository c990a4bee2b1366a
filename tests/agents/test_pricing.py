"""Prices by model family, and the sizes of contexts."""

import pytest

from server.agents.base import Cost
from server.agents.pricing import Price, Prices, context_window_of, prices_from
from server.protocol import Usage

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("model", "dollars"),
    [
        ("claude-sonnet-5-5", (2, 10, 0.10, 2.5)),
        ("claude-sonnet-5", (2, 10, 0.20, 2.5)),
        ("claude-sonnet-4-5-20250929", (3, 15, 0.30, 3.75)),
        ("claude-opus-5-5", (4, 20, 0.20, 5)),
        ("claude-opus-4-8", (5, 25, 0.50, 6.25)),
        ("claude-opus-4-20250514", (15, 75, 1.50, 18.75)),
        ("claude-haiku-4-5", (1, 5, 0.10, 1.25)),
    ],
)
def test_a_million_tokens_cost_the_list_price(model, dollars):
    prices = Prices(model)
    usages = (
        Usage(input_tokens=MILLION),
        Usage(output_tokens=MILLION),
        Usage(cache_read_input_tokens=MILLION),
        Usage(cache_creation_input_tokens=MILLION),
    )
    for usage, price in zip(usages, dollars, strict=True):
        assert prices.cost(usage) == Cost(MILLION, round(price * MILLION))


def test_haiku_costs_more_for_a_long_prompt():
    prices = Prices("claude-haiku-5-5")
    assert prices.cost(Usage(input_tokens=100_000)).microdollars == 10_000
    assert prices.cost(Usage(input_tokens=100_001)).microdollars == 50_001


def test_an_unknown_model_costs_no_dollars_but_its_tokens_count():
    assert Prices("qwen3:8b").cost(Usage(input_tokens=5, output_tokens=7)) == Cost(12, 0)


def test_the_owners_table_comes_first():
    own = {"claude-": Price.dollars(1, 1), "qwen3": Price.dollars(0.5, 2)}
    assert Prices("claude-haiku-5-5", own).cost(Usage(input_tokens=MILLION)).microdollars == MILLION
    assert Prices("qwen3:8b", own).cost(Usage(output_tokens=MILLION)).microdollars == 2 * MILLION


def test_a_part_of_a_microdollar_is_rounded_up():
    assert Prices("claude-sonnet-5-5").cost(Usage(cache_read_input_tokens=1)).microdollars == 1
    assert Prices("claude-sonnet-5-5").cost(Usage()).microdollars == 0


@pytest.mark.parametrize(
    ("model", "window"),
    [("claude-sonnet-5-5", 1_000_000), ("claude-haiku-4-5", 200_000), ("claude-new-1", 200_000), ("llama3", 32_768)],
)
def test_the_context_is_known_by_family(model, window):
    assert context_window_of(model) == window


def test_the_owners_table_is_read_in_dollars():
    table = {"qwen3": {"input": 0.2, "output": 0.6, "cache_write": 0}}
    assert prices_from(table) == {"qwen3": Price(200_000, 600_000, 20_000, 0)}


@pytest.mark.parametrize("row", [{"input": 1}, {"input": 1, "output": -1}, {"input": 1, "output": 2, "outptu": 2}])
def test_a_broken_table_is_named(row):
    with pytest.raises(ValueError, match="prices.qwen3 must have"):
        prices_from({"qwen3": row})
