"""Reserved before, settled after; never over the limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.core.budget import Budget, Limit, day_of


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50))))
def test_reservations_never_exceed_the_limit(runs: list[tuple[int, int]]) -> None:
    budget, spent = Budget(Limit(tokens=100), "2026-01-01", 0, 0), 0
    for most, actual in runs:
        if budget.reserve("2026-01-01", most, 0):
            assert budget.tokens <= 100
            used = min(most, actual)
            budget.settle("2026-01-01", used - most, 0)
            spent += used
    assert budget.tokens == spent <= 100


def test_dollars_count_too_and_a_new_day_starts_empty() -> None:
    budget = Budget(Limit(microdollars=10), "2026-01-01", 0, 9)
    assert not budget.reserve("2026-01-01", 5, 2)
    assert budget.reserve("2026-01-02", 5, 2)
    budget.settle("2026-01-01", 0, 100)
    assert budget.microdollars == 2
    assert day_of(0.0) == "1970-01-01"
