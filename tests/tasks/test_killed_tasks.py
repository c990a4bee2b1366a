"""A server killed anywhere in a task: it goes on at the step it was at, nothing is lost or done twice."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.tasks.kills import POINTS, kill_tasks


@pytest.mark.timeout(180)
async def test_a_server_killed_at_every_point_loses_and_doubles_no_step(tmp_path: Path) -> None:
    counted = await kill_tasks(tmp_path, [*POINTS, "random"])
    assert set(counted) == {*POINTS, "random"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_fifty_kills_lose_and_double_no_step(tmp_path: Path) -> None:
    plan = [*POINTS * 4, *["random"] * 14]
    random.Random(4).shuffle(plan)
    counted = await kill_tasks(tmp_path, plan, seed=4)
    assert counted.total() == 50
    assert all(counted[point] == 4 for point in POINTS)
