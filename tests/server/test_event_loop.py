"""The server's loop: uvloop where it is, asyncio's own where it is not."""

from __future__ import annotations

import asyncio
import sys

import pytest

from server import event_loop


def loop_used() -> str:
    used = []

    async def main() -> None:
        used.append(type(asyncio.get_running_loop()).__module__)

    event_loop.run(main())
    return used[0].partition(".")[0]


def test_the_server_runs_on_uvloop() -> None:
    assert loop_used() == "uvloop"


def test_it_runs_on_asyncio_where_uvloop_cannot_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loop_used() == "asyncio"
