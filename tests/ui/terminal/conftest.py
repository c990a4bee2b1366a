"""A server for programs on terminals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.agents import ScriptedAgent
from tests.fakes.served import served


@pytest.fixture
async def place(home: Path) -> AsyncIterator[tuple[Path, ScriptedAgent, tuple[str, ...]]]:
    agent = ScriptedAgent()
    async with served(home, agent) as server:
        yield home, agent, ("--server", f"unix:{server.address}")
