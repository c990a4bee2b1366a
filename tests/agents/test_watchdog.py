"""The limit on silence: it bites in time, it never bites what moves, and a cancel from outside stays one."""

import asyncio

import pytest

from server.agents.watchdog import Silence, Watchdog


async def test_a_step_that_takes_too_long_is_cancelled():
    clock = asyncio.get_running_loop().time
    cancelled = False

    async def slow() -> None:
        nonlocal cancelled
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            cancelled = True
            raise

    with Watchdog(0.1) as watchdog:
        await watchdog.step(asyncio.sleep(0.06))
        began_s = clock()
        with pytest.raises(Silence):
            await watchdog.step(slow())
    assert cancelled
    assert 0.09 <= clock() - began_s < 0.3
    assert asyncio.current_task().cancelling() == 0


async def test_steps_that_move_and_pauses_between_them_are_let_be():
    with Watchdog(1.0) as watchdog:
        for _ in range(5):
            assert await watchdog.step(asyncio.sleep(0.25, "moved")) == "moved"
        await asyncio.sleep(1.2)
        assert await watchdog.step(asyncio.sleep(0.05, "moved")) == "moved"


async def test_a_cancel_from_outside_stays_one():
    async def watched() -> None:
        with Watchdog(0.05) as watchdog:
            await watchdog.step(asyncio.sleep(5))

    task = asyncio.create_task(watched())
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_cancel_from_outside_goes_before_the_watchdogs_own():
    reached = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.sleep(5)
        finally:
            reached.set()
            await asyncio.sleep(0.05)

    async def watched() -> None:
        with Watchdog(0.02) as watchdog:
            await watchdog.step(stubborn())

    task = asyncio.create_task(watched())
    await reached.wait()  # the watchdog has cancelled, the step still cleans up
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_step_that_ends_in_spite_of_the_cancel_leaves_no_cancel_behind():
    async def stubborn() -> str:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            return "done all the same"
        return "never"

    with Watchdog(0.02) as watchdog:
        assert await watchdog.step(stubborn()) == "done all the same"
    assert asyncio.current_task().cancelling() == 0
    await asyncio.sleep(0)
