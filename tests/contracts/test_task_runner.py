"""What every TaskRunner promises, tried on each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from server.core.task import Outcome, Program, Remember
from server.errors import AgentTrouble
from server.tasks.base import TaskRunner
from server.tasks.dbos_runner import DbosRunner
from server.tasks.memory import MemoryRunner, Steps

Opener = Callable[[], AbstractAsyncContextManager[TaskRunner]]


@pytest.fixture(params=["dbos", "memory"])
def opened(request, tmp_path: Path) -> Opener:
    """Each opening is the next process on the same records."""
    steps: Steps = {}

    @asynccontextmanager
    async def open_one() -> AsyncIterator[TaskRunner]:
        runner: TaskRunner = DbosRunner(tmp_path / "tasks.db") if request.param == "dbos" else MemoryRunner(steps)
        try:
            yield runner
        finally:
            await runner.close()

    return open_one


class Work:
    """A program of three steps that counts what it does, and can wait in one."""

    def __init__(self, wait_in: int | None = None) -> None:
        self.wait_in = wait_in
        self.done: list[int] = []
        self.results: list[int] = []
        self.waiting = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, remember: Remember) -> Outcome:
        for number in range(3):

            async def step(number: int = number) -> dict[str, int]:
                if number == self.wait_in:
                    self.waiting.set()
                    try:
                        await asyncio.Event().wait()
                    except asyncio.CancelledError:
                        self.cancelled.set()
                        raise
                self.done.append(number)
                return {"number": number}

            self.results.append((await remember(f"step {number}", step))["number"])
        return Outcome("completed", "".join(map(str, self.results)))


async def ending(runner: TaskRunner, id: str, program: Program) -> Outcome:
    """Run a program to its end."""
    end: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    runner.start(id, program, end.set_result)
    async with asyncio.timeout(20):
        return await end


async def test_a_program_runs_to_its_end(opened: Opener) -> None:
    async with opened() as runner:
        work = Work()
        assert await ending(runner, "e/r/t1", work) == Outcome("completed", "012")
        assert work.done == [0, 1, 2]


async def test_steps_that_were_remembered_do_not_run_again_in_the_next_process(opened: Opener) -> None:
    first = Work(wait_in=2)
    async with opened() as runner:
        runner.start("e/r/t1", first, lambda outcome: pytest.fail("it has not ended"))
        await asyncio.wait_for(first.waiting.wait(), 20)
    assert first.cancelled.is_set(), "what was open is stopped, and not remembered"
    async with opened() as runner:
        second = Work()
        assert await ending(runner, "e/r/t1", second) == Outcome("completed", "012")
        assert (second.done, second.results) == ([2], [0, 1, 2])
    async with opened() as runner:
        third = Work()
        assert await ending(runner, "e/r/t1", third) == Outcome("completed", "012")
        assert third.done == [], "its end was not forgotten yet"


async def test_a_forgotten_program_begins_at_the_beginning(opened: Opener) -> None:
    async with opened() as runner:
        await ending(runner, "e/r/t1", Work())
        runner.forget("e/r/t1")
        runner.forget("never heard of")
    async with opened() as runner:
        work = Work()
        await ending(runner, "e/r/t1", work)
        assert work.done == [0, 1, 2]


async def test_a_start_of_what_runs_already_changes_nothing(opened: Opener) -> None:
    async with opened() as runner:
        work = Work(wait_in=1)
        runner.start("e/r/t1", work, lambda outcome: None)
        await asyncio.wait_for(work.waiting.wait(), 20)
        again = Work()
        runner.start("e/r/t1", again, lambda outcome: pytest.fail("a second program"))
        await asyncio.sleep(0)
        assert again.done == []


async def test_a_cancel_reaches_the_step_at_once_and_a_second_one_is_harmless(opened: Opener) -> None:
    async with opened() as runner:
        work = Work(wait_in=1)
        runner.start("e/r/t1", work, lambda outcome: pytest.fail("a canceled program has no end"))
        await asyncio.wait_for(work.waiting.wait(), 20)
        began_s = asyncio.get_running_loop().time()
        runner.cancel("e/r/t1")
        runner.cancel("e/r/t1")
        await asyncio.wait_for(work.cancelled.wait(), 1)
        assert asyncio.get_running_loop().time() - began_s < 0.2
        runner.forget("e/r/t1")
        assert await ending(runner, "e/r/t2", Work()) == Outcome("completed", "012"), "others go on"


async def test_a_step_that_raises_ends_the_program_and_is_not_remembered(opened: Opener) -> None:
    tries = []

    async def program(remember: Remember) -> Outcome:
        async def step() -> str:
            tries.append(1)
            if len(tries) == 1:
                raise AgentTrouble("model_overloaded", "The model is overloaded.")
            return "fine"

        return Outcome("completed", await remember("step", step))

    async with opened() as runner:
        assert await ending(runner, "e/r/t1", program) == Outcome(
            "failed", "", "model_overloaded", "The model is overloaded."
        )
    async with opened() as runner:
        assert await ending(runner, "e/r/t1", program) == Outcome("completed", "fine")


async def test_a_mistake_in_a_program_is_told_plainly(opened: Opener, caplog) -> None:
    async def program(remember: Remember) -> Outcome:
        raise ZeroDivisionError("secret words")

    async with opened() as runner:
        outcome = await ending(runner, "e/r/t1", program)
    assert (outcome.status, outcome.code) == ("failed", "internal")
    assert "secret" not in outcome.message
    caplog.clear()


async def test_many_programs_run_side_by_side(opened: Opener) -> None:
    async with opened() as runner:
        works = [Work() for _ in range(6)]
        outcomes = await asyncio.gather(*(ending(runner, f"e/r/t{n}", work) for n, work in enumerate(works)))
        assert {outcome.result for outcome in outcomes} == {"012"}
