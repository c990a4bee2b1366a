"""The server broken on purpose, one way at a time: the state machine must notice each."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
import multiprocessing
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import hypothesis
import msgspec
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from server.core import room_tasks
from server.core.log import Log
from server.runtime.audience import Audience
from server.runtime.room_runner import RoomRunner
from server.runtime.task_desk import TaskDesk
from server.store.base import Append
from server.store.memory import MemoryEngine
from tests.faults.machine import RoomUnderFaults
from tests.faults.world import HeldStore

STEPS = 40


def _changed(
    owner: type | ModuleType, method: str, *changes: tuple[str, str]
) -> contextlib.AbstractContextManager[Any]:
    """A method with some words of its source replaced; the words must be there."""
    function = getattr(owner, method)
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in changes:
        assert old in source, f"{owner.__name__}.{method} has changed: {old!r} is not there"
        source = source.replace(old, new)
    names: dict[str, Any] = {}
    exec(compile(source, f"<mutant {method}>", "exec"), function.__globals__, names)
    return patch.object(owner, method, names[method])


def _no_dedupe() -> contextlib.AbstractContextManager[Any]:
    append = MemoryEngine.append

    def blind(self: MemoryEngine, room: str, what: Append) -> asyncio.Future[bytes | None]:
        return append(self, room, msgspec.structs.replace(what, key=None))

    return patch.object(MemoryEngine, "append", blind)


def _ack_before_disk() -> contextlib.AbstractContextManager[Any]:
    hold = HeldStore._hold

    def hasty(self: HeldStore, write: Callable[[], asyncio.Future[Any]]) -> asyncio.Future[Any]:
        future = hold(self, write)
        early: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        early.set_result(None)
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return early

    return patch.object(HeldStore, "_hold", hasty)


MUTANTS: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
    "no dedupe": _no_dedupe,
    "await before registering": lambda: _changed(
        Audience,
        "admit",
        ("self._outlets[outlet] = None", "self._loop.call_soon(self._outlets.__setitem__, outlet, None)"),
    ),
    "no window check": lambda: _changed(
        Log,
        "since",
        ("or missing > len(self._payloads)", ""),
        ("len(self._payloads) - missing", "max(0, len(self._payloads) - missing)"),
    ),
    "epoch ignored": lambda: _changed(RoomRunner, "join", ("and resume.epoch == epoch", "")),
    "acknowledged before it is on disk": _ack_before_disk,
    "offset of the open answer ignored": lambda: _changed(
        RoomRunner, "join", ("known = resume.offset if resume.run == answer.run else 0", "known = answer.shown")
    ),
    "a task may end twice": lambda: _changed(
        room_tasks, "complete", ("tuple(kept for kept in state.tasks if kept is not old)", "state.tasks")
    ),
    "a crash ends no task and starts none": lambda: _changed(
        TaskDesk, "restore", ("self.submitted(room, task)", "pass")
    ),
}


@contextlib.contextmanager
def mutated(name: str) -> Iterator[None]:
    with MUTANTS[name]():
        yield


def noticed(name: str, *, most_examples: int) -> bool:
    """Whether the state machine fails on the broken server within so many examples."""
    with mutated(name):
        try:
            run_state_machine_as_test(RoomUnderFaults, settings=_looking(most_examples, derandomize=True))
        except AssertionError:
            return True
    return False


def _looking(examples: int, *, derandomize: bool) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=derandomize,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def all_noticed(folder: Path, seed: int, examples: int) -> dict[str, int]:
    """Every mutant within `examples` examples each."""
    missed = [name for name in MUTANTS if not noticed(name, most_examples=examples)]
    assert not missed, f"nobody noticed: {missed}"
    return {"mutants": len(MUTANTS), "noticed": len(MUTANTS)}


CHUNK = 500  # hypothesis remembers all that it has tried in one go, and gets slower by it


def any_order(folder: Path, seed: int, examples: int, processes: int = 2) -> dict[str, int]:
    """The sound server under `examples` orders of faults, in chunks with a seed each, some processes at once."""
    seeds = [seed * 1000 + number for number in range(math.ceil(examples / CHUNK))]
    sizes = [min(CHUNK, examples - place * CHUNK) for place in range(len(seeds))]
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        ran = list(pool.map(_some_orders, seeds, sizes))
    assert sum(ran) >= examples, f"{sum(ran)} of {examples} were tried"
    return {"examples": examples, "steps each, at most": STEPS, "falsified": 0}


def _some_orders(seed: int, examples: int) -> int:
    """How many orders were tried to their end. Raises AssertionError, with the steps that lead to it."""
    ran = 0

    class Counted(RoomUnderFaults):
        def teardown(self) -> None:
            nonlocal ran
            super().teardown()
            ran += 1

    run_state_machine_as_test(hypothesis.seed(seed)(Counted), settings=_looking(examples, derandomize=False))
    return ran
