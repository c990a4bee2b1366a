"""The delays between attempts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui_agent.link.backoff import ATTEMPTS, LIFE_S, Backoff

random = st.floats(0, 1, exclude_max=True)


@given(st.lists(random, min_size=ATTEMPTS, max_size=ATTEMPTS))
def test_five_delays_with_equal_jitter_then_none(numbers: list[float]) -> None:
    backoff = Backoff(iter(numbers).__next__)
    for n in range(1, ATTEMPTS + 1):
        delay_s = backoff.next_delay_s()
        assert delay_s is not None
        whole_s = min(30, 2**n)
        assert whole_s / 2 <= delay_s <= whole_s
    assert backoff.next_delay_s() is None


@given(random)
def test_all_attempts_together_outlast_an_outage_of_30_s(number: float) -> None:
    backoff = Backoff(lambda: number)
    assert sum(backoff.next_delay_s() or 0 for _ in range(ATTEMPTS)) >= 30


@given(st.booleans(), st.floats(0, 1000))
def test_the_count_goes_back_only_after_a_welcome_and_a_life(was_welcomed: bool, lived_s: float) -> None:
    backoff = Backoff(lambda: 0.0)
    backoff.next_delay_s()
    backoff.ended(was_welcomed=was_welcomed, lived_s=lived_s)
    assert backoff.attempt == (0 if was_welcomed and lived_s >= LIFE_S else 1)


@given(st.floats(0, 300), random)
def test_it_waits_at_least_what_the_server_asked(asked_s: float, number: float) -> None:
    delay_s = Backoff(lambda: number).next_delay_s(asked_s)
    assert delay_s is not None
    assert delay_s >= asked_s


def test_a_person_sets_the_count_back() -> None:
    backoff = Backoff(lambda: 0.0)
    while backoff.next_delay_s() is not None:
        pass
    backoff.reset()
    assert backoff.next_delay_s() == 1.0
