"""A burst of 10, then 2 a second; who goes on knocking is flooding."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.core.limiter import Limiter


def test_the_numbers_of_the_protocol() -> None:
    limiter = Limiter()
    assert [limiter.ask(0.0).retry_after_s for _ in range(10)] == [0.0] * 10
    refused = limiter.ask(0.0)
    assert refused.retry_after_s == 0.5
    assert limiter.ask(0.5).retry_after_s == 0.0
    assert limiter.ask(0.5).retry_after_s > 0


def test_ten_commands_before_retry_after_are_flooding() -> None:
    limiter = Limiter()
    for _ in range(10):
        limiter.ask(0.0)
    verdicts = [limiter.ask(0.0).is_flooding for _ in range(11)]
    assert verdicts == [False] * 10 + [True]


def test_who_waits_is_never_flooding() -> None:
    limiter, now_s = Limiter(), 0.0
    for _ in range(200):
        verdict = limiter.ask(now_s)
        assert not verdict.is_flooding
        now_s += verdict.retry_after_s


@given(st.lists(st.floats(0, 3), max_size=200))
def test_never_more_than_burst_and_rate(waits: list[float]) -> None:
    limiter, now_s, allowed = Limiter(), 0.0, 0
    for wait_s in waits:
        now_s += wait_s
        allowed += limiter.ask(now_s).retry_after_s == 0.0
    assert allowed <= 10 + 2 * now_s + 1e-6


def test_a_burst_of_zero_switches_it_off() -> None:
    limiter = Limiter(0)
    assert all(limiter.ask(0.0).retry_after_s == 0.0 for _ in range(1000))
