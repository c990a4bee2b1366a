"""A server killed anywhere in a task: it goes on at the step it was at, nothing is lost, done or billed twice.

The short form; `make soak` kills 50 times.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tasks.kills import KINDS, killed_tasks


@pytest.mark.timeout(240)
async def test_a_server_killed_at_every_point_of_a_task_loses_and_doubles_no_step(tmp_path: Path) -> None:
    counted = await killed_tasks(tmp_path, seed=1, kills=len(KINDS))
    assert all(counted[f"at {kind}"] == 1 for kind in KINDS)
    assert counted["tasks cut in mid-work"] >= len(KINDS)
