"""Half-open links, sleep, restarts under a crowd, bad services (short forms of `make soak`)."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.fakes.wire_server import WireServer
from tests.faults.whole import bad_services, half_open, rolling_restart
from tui_agent.link.address import parse_address
from tui_agent.link.connection import RoomLink, Times

pytestmark = pytest.mark.timeout(150)


async def test_every_misbehaviour_of_a_service_ends_in_a_sentence_and_the_next_turn_works(tmp_path: Path) -> None:
    counted = await bad_services(tmp_path, seed=10, kinds=16)
    assert counted["misbehaviours"] >= 16


async def test_a_dead_wire_a_stopped_server_and_sleep_are_noticed_and_all_is_whole_again(tmp_path: Path) -> None:
    figures = await half_open(tmp_path, seed=11, rounds=3, is_quick=True)
    assert max(seconds for name, seconds in figures.items() if "noticed" in name) < 15


async def test_a_crowd_comes_back_after_a_restart_and_not_at_once(tmp_path: Path) -> None:
    figures = await rolling_restart(tmp_path, seed=12, clients=60, most_percent=35)
    assert figures["back"] == 60


async def test_a_clock_that_jumped_means_sleep_and_a_new_connection_at_once(tmp_path: Path) -> None:
    server, asleep_s = WireServer(), 0.0
    async with server.listen() as url:
        link = RoomLink(
            parse_address(url), "main", "ada", client="tui-agent/1.0", state_folder=tmp_path,
            times=Times(sleep_look_s=0.05), wall_s=lambda: time.time() + asleep_s,
        )  # fmt: skip
        running = asyncio.ensure_future(link.run())
        await server.wait(lambda: server.connected == 1)
        asleep_s = 3600.0
        await server.wait(lambda: server.connected == 2)
        await link.close()
        await running


def test_the_default_waits_notice_a_dead_wire_within_thirty_seconds() -> None:
    times = Times()
    assert times.ping_every_s + times.ping_timeout_s <= 30
