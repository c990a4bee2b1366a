"""A whole server inside the test's event loop: real sockets, a real SQLite file, an agent of the test's choice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server import app
from server.agents.base import Agent
from server.agents.work import Worker
from server.config import ServerSettings
from tests.fakes.agents import InstantAgent


@dataclass
class Served:
    """Where it listens: a Path (Unix socket) or `ws://…`."""

    address: Any
    data_dir: Path


@asynccontextmanager
async def served(
    folder: Path, agent: Agent | None = None, *, tcp: bool = False, worker: Worker | None = None, **settings: Any
) -> AsyncIterator[Served]:
    """Serve until the block ends, then stop as on SIGTERM."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    socket_path = None if tcp else folder / "s.sock"
    options: dict[str, Any] = {"data_dir": str(folder / "data"), "command_burst": 1000, "port": 0 if tcp else None}
    task = asyncio.create_task(
        app.run(
            ServerSettings(**(options | settings)),
            socket_path,
            on_ready=ready.set_result,
            agent=agent or InstantAgent(),
            worker=worker,
        )
    )
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    address = await ready
    try:
        yield Served(socket_path or address, folder / "data")
    finally:
        if not task.done():
            os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(40):
            await task
