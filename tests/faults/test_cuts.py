"""Connections cut at any byte, and acks that get lost, change nothing (short forms; `make soak` tries every offset)."""

from __future__ import annotations

from pathlib import Path

from tests.faults.cuts import cut_everywhere, swallowed_acks


async def test_a_cut_at_any_byte_of_a_talk_loses_and_doubles_nothing(tmp_path: Path) -> None:
    counted = await cut_everywhere(tmp_path, seed=2, step=61)
    assert counted["offsets"] > 40


async def test_a_message_whose_ack_was_lost_counts_once(tmp_path: Path) -> None:
    counted = await swallowed_acks(tmp_path, seed=3, acks=30)
    assert counted == {"acks lost": 30, "sent again": 30, "messages": 30}
