"""A model on the Messages API: the SDK's client, one streamed request, its failures and its price.

The SDK is imported in a thread by `prepare()` (1.4 s), so a server can listen before; `ready` waits for it. We use
`messages.create(stream=True)` (26 us a token, against 52 for `messages.stream()`) and our own retries: the SDK's would
sleep silently. What is to answer in a room (`claude`) and what works in the background (`claude_worker`) share one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from server.agents.base import Cost, Note, Text
from server.agents.failures import Failure, failure_of
from server.agents.pricing import Price, Prices, context_window_of
from server.agents.stream import BadStream, Reading
from server.agents.watchdog import Watchdog
from server.errors import AgentTrouble
from server.protocol import Usage

log = logging.getLogger(__name__)

DEFAULT_MODEL: Final = "claude-sonnet-5-5"
DEFAULT_URL: Final = "https://api.anthropic.com"
LONGEST_PAUSE_S: Final = 60.0  # a service that asks for more gets no new try; the room is told at once
PAGE_TOKENS: Final = 20_000  # what a use of a web tool may bring
# What the SDK's parsing raises on events that are no events: bad JSON or UTF-8, deep nesting, wrong shapes.
_NOT_UNDERSTOOD: Final = (ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaudeConfig:
    """How to reach the model and how to talk with it. `context_window` 0 means: as known for the model."""

    model: str = DEFAULT_MODEL
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)  # P7: in no log and no crash screen
    system_prompt: str = ""
    max_tokens: int = 16_000
    web_search: bool = False
    web_fetch: bool = False
    web_uses: int = 5  # searches, and fetches, that one answer may make
    silence_timeout_s: float = 120.0  # without any event but pings
    max_retries: int = 4
    first_pause_s: float = 1.0  # before the first new try; doubled for each
    context_window: int = 0
    can_start_tasks: bool = False
    prices: Mapping[str, Price] = field(default_factory=dict)


class Model:
    """One model at one address. Close the generator of `stream` and the provider's connection is closed at once."""

    def __init__(self, config: ClaudeConfig) -> None:
        self.config = config
        # The SDK adds /v1 itself; many local servers print their address with it.
        self._url = (config.base_url or DEFAULT_URL).rstrip("/").removesuffix("/v1")
        self.window = config.context_window or context_window_of(config.model)
        # A small local window must hold the question too, not only the answer.
        self.max_tokens = max(256, min(config.max_tokens, self.window // 2))
        self._prices = Prices(config.model, config.prices)
        self._client: Any = None
        self._opening: asyncio.Future[Any] | None = None

    @property
    def name(self) -> str:
        return self.config.model

    async def prepare(self) -> None:
        """Import the SDK and make the client, both in a thread. Never raises: `ready` says what is wrong."""
        try:
            await self.ready()
        except Exception:
            log.exception("the anthropic SDK cannot be used")

    async def ready(self) -> None:
        """The client is there. Raises what its opening raised."""
        if self._client is not None:
            return
        if self._opening is None:
            # Shielded, since whoever waits may be cancelled while others wait too.
            self._opening = asyncio.get_running_loop().run_in_executor(None, self._open)
        try:
            self._client = await asyncio.shield(self._opening)
        except Exception:
            self._opening = None
            raise

    def _open(self) -> Any:
        from server.agents import sdk

        return sdk.open_client(self._url, self.config.api_key, self.config.silence_timeout_s)

    def web_tools(self) -> list[dict[str, Any]]:
        """The provider's own tools that the settings allow."""
        tools: list[dict[str, Any]] = []
        if self.config.web_search:
            tools.append({"type": "web_search_20250305", "name": "web_search", "max_uses": self.config.web_uses})
        if self.config.web_fetch:
            tools.append({"type": "web_fetch_20250910", "name": "web_fetch", "max_uses": self.config.web_uses})
        return tools

    @property
    def web_tokens(self) -> int:
        """What the web tools may add to one request."""
        return PAGE_TOKENS * self.config.web_uses * (self.config.web_search + self.config.web_fetch)

    async def stream(self, body: dict[str, Any], reading: Reading) -> AsyncGenerator[Text | Note, None]:
        """One HTTP request; its connection is closed when this generator ends, however it ends. `ready` was awaited."""
        with Watchdog(self.config.silence_timeout_s) as watchdog:
            create = self._client.messages.create
            stream = await watchdog.step(create(**body, stream=True))
            try:
                events = stream.__aiter__()
                while True:
                    try:
                        # Pings do not come out of the SDK, so they do not count as life.
                        event = await watchdog.step(events.__anext__())
                    except StopAsyncIteration:
                        return
                    except _NOT_UNDERSTOOD as mistake:
                        raise BadStream(f"the SDK met a {type(mistake).__name__}") from None
                    shown = reading.feed(event)
                    if shown is not None:
                        yield shown
                    if reading.stopped:
                        # The rest is the end of the body: read, the connection can be used again.
                        await _drain(events)
                        return
            finally:
                await stream.close()

    def failure(self, trouble: Exception, whose: str) -> Failure:
        """The failure behind an exception; AgentTrouble and our own mistakes are raised on. `whose` is for the log."""
        if isinstance(trouble, AgentTrouble):
            raise trouble
        failure = failure_of(
            trouble,
            model=self.name,
            host=urlsplit(self._url).hostname or self._url,
            silence_s=self.config.silence_timeout_s,
            now_unix_s=time.time(),
        )
        if failure is None:
            raise trouble
        log.warning("%s: %s, %s", whose, failure.code, failure.for_log)
        return failure

    def pause_s(self, failure: Failure, tries: int) -> float | None:
        """How long to wait before try number `tries`; None when there is to be none."""
        pause_s: float = self.config.first_pause_s * 2 ** (tries - 1)
        if failure.retry_after_s is not None:
            pause_s = max(pause_s, failure.retry_after_s)
        if not failure.is_passing or tries > self.config.max_retries or pause_s > LONGEST_PAUSE_S:
            return None
        return pause_s

    def cost(self, usage: Usage) -> Cost:
        """By the price table; see pricing."""
        return self._prices.cost(usage)

    async def close(self) -> None:
        """Close the connections. Nothing may be asked after."""
        if self._opening is not None:
            await self.prepare()  # a thread that is still importing ends with its client open
        if self._client is not None:
            await self._client.close()


async def _drain(events: Any) -> None:
    try:
        async with asyncio.timeout(0.2):
            async for _ in events:
                pass
    except Exception:  # the answer is whole; what is wrong with the rest of the body does not matter
        log.debug("the body did not end with the message")
