"""One at a time through the turnstile, in order, with the sockets looked at in between."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from server.runtime.turnstile import Turnstile


async def test_each_waiter_has_a_step_of_the_loop_of_its_own_and_the_next_is_free() -> None:
    turnstile, steps, passed = Turnstile(), [0], list[tuple[int, int]]()
    loop = asyncio.get_running_loop()

    def count() -> None:
        steps[0] += 1
        if len(passed) < 50:
            loop.call_soon(count)

    async def one(number: int) -> None:
        await turnstile.wait_turn()
        passed.append((steps[0], number))

    loop.call_soon(count)
    await asyncio.gather(*(one(number) for number in range(50)))
    assert [number for _, number in passed] == list(range(50))
    steps_between = [later - sooner for (sooner, _), (later, _) in pairwise(passed)]
    assert min(steps_between) >= 2  # one with nobody, for what the last one set going


async def test_who_stops_waiting_holds_nobody_up() -> None:
    turnstile = Turnstile()
    waiting = [asyncio.ensure_future(turnstile.wait_turn()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[1].cancel()
    await waiting[2]
    await turnstile.wait_turn()
    assert [task.cancelled() for task in waiting] == [True, True, False]


async def test_a_call_comes_after_those_that_came_before() -> None:
    turnstile, order = Turnstile(), list[str]()
    turnstile.call(lambda: order.append("a"))
    turnstile.call(lambda: order.append("b"))
    await turnstile.wait_turn()
    assert order == ["a", "b"]
