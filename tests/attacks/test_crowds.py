"""A guest among idle connections, a stopped reader, a flood and storms (the short form of `make soak`)."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.crowds import crowds


async def test_a_guest_does_not_notice_crowds_floods_and_storms(tmp_path: Path) -> None:
    figures = await crowds(tmp_path, seed=7, idle=100, storms=50, trips=60)
    for name, figure in figures.items():
        if name.endswith(", ms"):
            assert figures[name.replace(", ms", ", against calm")] < 1.5 or figure < 100, figures
    assert figures["server grew, MiB"] < 50
