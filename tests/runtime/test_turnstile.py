"""One at a time through the turnstile, in order, with the sockets looked at in between."""

from __future__ import annotations

import asyncio

from server.runtime.turnstile import Turnstile


async def test_each_waiter_has_a_step_of_the_loop_of_its_own() -> None:
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
    assert len({step for step, _ in passed}) == 50


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
