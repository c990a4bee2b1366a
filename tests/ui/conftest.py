"""The real app on a real server's socket, without a terminal."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from server.agents.base import Agent
from tests.fakes.agents import ScriptedAgent
from tests.fakes.served import served
from tui_agent.app import ChatApp
from tui_agent.config import Settings


async def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """Await a condition of the screen; the screen has no one event for all of them."""
    try:
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError("it never became so") from None


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folders of the test's own; short, because a socket's path has 108 bytes."""
    home = Path(tempfile.mkdtemp(prefix="tu"))
    for variable in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(home))
    for variable in ("TMUX", "DISPLAY", "WAYLAND_DISPLAY"):  # or a test would copy into the developer's clipboard
        monkeypatch.delenv(variable, raising=False)
    yield home
    shutil.rmtree(home, ignore_errors=True)


class Stage:
    """A server, its agent, and apps in its rooms."""

    def __init__(self, url: str, agent: Any) -> None:
        self.url = url
        self.agent = agent

    @asynccontextmanager
    async def app(
        self, size: tuple[int, int] = (120, 40), user: str = "ada", **settings: Any
    ) -> AsyncIterator[tuple[ChatApp, Pilot[int]]]:
        """An app that is live in its room."""
        app = ChatApp(Settings(user=user, server_url=self.url, **settings))
        async with app.run_test(size=size) as pilot:
            await until(lambda: app.conversation.is_live)
            await pilot.pause()
            yield app, pilot


@pytest.fixture
async def stage(home: Path) -> AsyncIterator[Stage]:
    agent = ScriptedAgent()
    async with served(home, agent) as server:
        yield Stage(f"unix:{server.address}", agent)


@asynccontextmanager
async def staged(home: Path, agent: Agent) -> AsyncIterator[Stage]:
    """A stage with an agent of the test's choice."""
    async with served(home, agent) as server:
        yield Stage(f"unix:{server.address}", agent)
