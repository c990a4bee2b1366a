"""Killed servers lose nothing, double nothing and label what was cut (the short form; `make soak` kills 200 times)."""

from __future__ import annotations

from pathlib import Path

from tests.faults.crashes import crash_points


async def test_a_server_killed_at_every_point_loses_and_doubles_nothing(tmp_path: Path) -> None:
    counted = await crash_points(tmp_path, seed=1, kills=9)
    assert counted["messages"] > 9
