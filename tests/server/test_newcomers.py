"""A crowd that comes at once is let in one at a time, so that a step of the loop is never full of it."""

from __future__ import annotations

import asyncio
import socket
from itertools import pairwise
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from tests.fakes.served import served


async def test_requests_are_read_one_at_a_time_with_a_free_step_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, step, read_in = asyncio.get_running_loop(), 0, list[int]()
    data_received = ServerConnection.data_received

    def noted(connection: ServerConnection, data: bytes) -> None:
        read_in.append(step)
        data_received(connection, data)

    def count() -> None:
        nonlocal step
        step += 1
        if len(read_in) < 20:
            loop.call_soon(count)

    monkeypatch.setattr(ServerConnection, "data_received", noted)
    async with served(tmp_path) as server:
        crowd = [socket.socket(socket.AF_UNIX) for _ in range(20)]
        for one in crowd:
            one.connect(str(server.address))
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            one.setblocking(False)
        count()
        async with asyncio.timeout(10):
            answers = [await loop.sock_recv(one, 12) for one in crowd]
        for one in crowd:
            one.close()
    assert answers == [b"HTTP/1.1 200"] * 20
    assert min(later - sooner for sooner, later in pairwise(read_in)) >= 2
