"""The state machine over the server core, and the proof that it would notice (short forms)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.machine import RoomUnderFaults
from tests.faults.mutants import MUTANTS, noticed

SHORT = settings(max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))


def test_any_order_of_faults_leaves_the_room_whole() -> None:
    run_state_machine_as_test(RoomUnderFaults, settings=SHORT)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_server_is_noticed(name: str) -> None:
    assert noticed(name, most_examples=400), f"nobody noticed: {name}"
