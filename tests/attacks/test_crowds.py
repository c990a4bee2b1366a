"""Others among idle connections, stopped readers, a flood and storms (the short form of `make soak`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.crowds import crowds


@pytest.mark.timeout(150)
async def test_others_do_not_notice_crowds_floods_and_storms(tmp_path: Path) -> None:
    figures = await crowds(
        tmp_path, seed=7, idle=100, storms=50, rounds=1, trips=60, rooms=3, members=4, pieces=60, let_pass_ms=100
    )
    assert sum(name.endswith("against calm") for name in figures) == 10
