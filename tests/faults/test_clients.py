"""Killed clients keep what they said was sent (the short form; `make soak` kills 200)."""

from __future__ import annotations

from pathlib import Path

from tests.faults.clients import killed_clients


async def test_what_a_killed_client_showed_as_sent_arrives_once(tmp_path: Path) -> None:
    counted = await killed_clients(tmp_path, seed=4, kills=6)
    assert counted["promised"] >= 12
