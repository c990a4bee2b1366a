"""A fake Messages API, and the real SDK on it."""

from collections.abc import AsyncIterator, Callable

import pytest

from server.agents.claude import ClaudeAgent, ClaudeConfig
from tests.fakes.messages_api import FakeMessagesAPI

KEY = "sk-ant-very-secret"


@pytest.fixture
async def api() -> AsyncIterator[FakeMessagesAPI]:
    async with FakeMessagesAPI() as fake:
        yield fake


@pytest.fixture
async def claude_with(api) -> AsyncIterator[Callable[..., ClaudeAgent]]:
    """Makes agents on the fake, quick in their pauses; closes them."""
    made: list[ClaudeAgent] = []

    def make(**changes) -> ClaudeAgent:
        settings = {"base_url": api.url, "api_key": KEY, "first_pause_s": 0.01, "silence_timeout_s": 30.0}
        made.append(ClaudeAgent(ClaudeConfig(**(settings | changes))))
        return made[-1]

    yield make
    for agent in made:
        await agent.close()
