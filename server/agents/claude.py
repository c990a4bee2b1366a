"""The agent on the Messages API, through the `anthropic` SDK: one streamed answer a run, every failure told plainly.

The SDK is imported in a thread by `prepare()` (1.4 s), so a server can listen before; `answer` waits for it.
We use `messages.create(stream=True)` (26 us a token, against 52 for `messages.stream()`) and our own retries: the
SDK's would sleep silently. Close the stream of `answer` (`contextlib.aclosing`, or by cancelling the asyncio task that
awaits its next item) and the provider's connection is closed at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from server.agents.base import Cost, Exchange, Finished, Note, Question, Text
from server.agents.failures import NO_TOOL, REFUSAL, CutOff, Failure, duration, failure_of
from server.agents.pricing import Price, Prices, context_window_of
from server.agents.speakers import (
    Block,
    Turn,
    build_messages,
    estimate_question,
    estimate_tokens,
    first_kept,
    system_blocks,
)
from server.agents.stream import BadStream, Reading
from server.agents.watchdog import Watchdog
from server.errors import AgentTrouble
from server.protocol import Usage

log = logging.getLogger(__name__)

DEFAULT_MODEL: Final = "claude-sonnet-5-5"
DEFAULT_URL: Final = "https://api.anthropic.com"
LONGEST_PAUSE_S: Final = 60.0  # a service that asks for more gets no new try; the room is told at once
MOST_CONTINUATIONS: Final = 8  # of a paused turn
_PAGE_TOKENS: Final = 20_000
# What the SDK's parsing raises on events that are no events: bad JSON or UTF-8, deep nesting, wrong shapes.
_NOT_UNDERSTOOD: Final = (ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError)
_STOP_REASONS: Final = frozenset({"end_turn", "stop_sequence", "max_tokens", "model_context_window_exceeded"})


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
    prices: Mapping[str, Price] = field(default_factory=dict)


class ClaudeAgent:
    """Answers by a model that speaks the Messages API: Anthropic's, or a local server's."""

    name: Final = "claude"

    def __init__(self, config: ClaudeConfig) -> None:
        self._config = config
        # The SDK adds /v1 itself; many local servers print their address with it.
        self._url = (config.base_url or DEFAULT_URL).rstrip("/").removesuffix("/v1")
        self._window = config.context_window or context_window_of(config.model)
        # A small local window must hold the question too, not only the answer.
        self._max_tokens = max(256, min(config.max_tokens, self._window // 2))
        self._prices = Prices(config.model, config.prices)
        self._client: Any = None
        self._opening: asyncio.Future[Any] | None = None

    @property
    def model(self) -> str:
        return self._config.model

    async def prepare(self) -> None:
        """Import the SDK and make the client, both in a thread. Never raises: `answer` says what is wrong."""
        try:
            await self._ready()
        except Exception:
            log.exception("the anthropic SDK cannot be used")

    async def _ready(self) -> None:
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

        return sdk.open_client(self._url, self._config.api_key, self._config.silence_timeout_s)

    async def answer(self, question: Question) -> AsyncGenerator[Text | Note | Finished, None]:
        """Stream one answer. Raises AgentTrouble. See base.Agent."""
        await self._ready()
        run = _Run(self._kept(question))
        tries = 0
        while True:
            try:
                async with aclosing(self._stream(question, run)) as items:
                    async for item in items:
                        yield item
                return
            except Exception as trouble:
                failure = self._failure(question, run, trouble)
                if failure.prompt_too_long and run.is_fresh and run.history:
                    # The service counts better than our estimate, or its window is smaller than we know.
                    run.history = run.history[(len(run.history) + 1) // 2 :]
                    again = Note("The conversation is too long for the model; leaving out the oldest part")
                    pause_s = 0.0
                else:
                    tries += 1
                    pause_s = self._pause_s(failure, run, tries)
                    limit = self._config.max_retries
                    again = Note(f"{failure.what}; trying again in {duration(pause_s)} ({tries} of {limit})")
            yield again
            await asyncio.sleep(pause_s)

    def _kept(self, question: Question) -> Sequence[Exchange]:
        budget = self._window - self._max_tokens
        budget -= estimate_question(question, (), self._config.system_prompt) + self._window // 50
        return question.history[first_kept(question.history, max(budget, 0)) :]

    def _failure(self, question: Question, run: _Run, trouble: Exception) -> Failure:
        """The failure behind an exception; AgentTrouble and our own mistakes are raised on."""
        if isinstance(trouble, AgentTrouble):
            raise trouble
        failure = failure_of(
            trouble,
            model=self.model,
            host=urlsplit(self._url).hostname or self._url,
            silence_s=self._config.silence_timeout_s,
            now_unix_s=time.time(),
        )
        if failure is None:
            raise trouble
        log.warning("room %s run %s: %s, %s", question.room, question.run, failure.code, failure.for_log)
        return failure

    def _pause_s(self, failure: Failure, run: _Run, tries: int) -> float:
        """How long to wait before try number `tries`; raises AgentTrouble when there is to be none."""
        pause_s: float = self._config.first_pause_s * 2 ** (tries - 1)
        if failure.retry_after_s is not None:
            pause_s = max(pause_s, failure.retry_after_s)
        if not failure.is_passing or not run.is_fresh or tries > self._config.max_retries or pause_s > LONGEST_PAUSE_S:
            raise failure.trouble() from None
        return pause_s

    async def _stream(self, question: Question, run: _Run) -> AsyncGenerator[Text | Note | Finished, None]:
        """One try: the request, and those that continue it when the provider pauses the turn."""
        while True:
            reading = Reading(after_tool=run.used_tool, shown=run.last_shown)
            async with aclosing(self._request(question, run, reading)) as items:
                async for item in items:
                    run.is_fresh = False
                    yield item
            run.took(reading)
            if reading.stop_reason is None:
                raise CutOff(started=reading.started)
            if reading.stop_reason == "refusal":
                raise REFUSAL.trouble()
            if reading.stop_reason == "tool_use":
                raise NO_TOOL.trouble()
            if reading.stop_reason != "pause_turn" or run.continuations >= MOST_CONTINUATIONS:
                break
            run.continue_with(reading)
        known = reading.stop_reason in _STOP_REASONS or reading.stop_reason == "pause_turn"
        yield Finished(reading.stop_reason if known else "other", run.usage(reading, self._window))

    async def _request(self, question: Question, run: _Run, reading: Reading) -> AsyncGenerator[Text | Note, None]:
        """One HTTP request; its connection is closed when this generator ends, however it ends."""
        with Watchdog(self._config.silence_timeout_s) as watchdog:
            create = self._client.messages.create
            stream = await watchdog.step(create(**self._body(question, run), stream=True))
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

    def _body(self, question: Question, run: _Run) -> dict[str, Any]:
        history = run.history
        messages: list[Turn] = build_messages(history, question.asked, dropped=len(history) < len(question.history))
        if run.paused:
            messages.append({"role": "assistant", "content": run.paused})
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": self._max_tokens,
            "system": system_blocks(self._config.system_prompt, question.room),
            "messages": messages,
        }
        tools: list[dict[str, Any]] = []
        if self._config.web_search:
            tools.append({"type": "web_search_20250305", "name": "web_search", "max_uses": self._config.web_uses})
        if self._config.web_fetch:
            tools.append({"type": "web_fetch_20250910", "name": "web_fetch", "max_uses": self._config.web_uses})
        if tools:
            body["tools"] = tools
        return body

    def most(self, question: Question) -> Cost:
        """The estimated input, all of it written to the cache, and an answer of the full length. With web tools each
        use may bring a page of 20,000 tokens."""
        kept = self._kept(question)
        estimate = estimate_question(question, kept, self._config.system_prompt)
        estimate += _PAGE_TOKENS * self._config.web_uses * (self._config.web_search + self._config.web_fetch)
        return self.cost(Usage(cache_creation_input_tokens=estimate, output_tokens=self._max_tokens))

    def partial_cost(self, question: Question, answer: str) -> Cost:
        """The estimated input at the price of the cache's writing, and the text as far as it came."""
        estimate = estimate_question(question, self._kept(question), self._config.system_prompt)
        return self.cost(Usage(cache_creation_input_tokens=estimate, output_tokens=estimate_tokens(answer)))

    def cost(self, usage: Usage) -> Cost:
        """By the price table; see pricing."""
        return self._prices.cost(usage)

    async def close(self) -> None:
        """Close the connections. `answer` must not be called after."""
        if self._opening is not None:
            await self.prepare()  # a thread that is still importing ends with its client open
        if self._client is not None:
            await self._client.close()


class _Run:
    """What one answer has come to, over its tries and continuations."""

    def __init__(self, history: Sequence[Exchange]) -> None:
        self.history = history
        self.is_fresh = True  # nothing was shown, so a new try repeats nothing
        self.paused: list[Block] = []  # what the model has done before the provider paused the turn
        self.continuations = 0
        self.used_tool = False
        self.last_shown = ""
        self._input = self._output = self._read = self._created = 0

    def took(self, reading: Reading) -> None:
        """Count what a request used: each request of a paused turn is billed."""
        self._input += reading.input_tokens
        self._output += reading.output_tokens
        self._read += reading.cache_read_tokens
        self._created += reading.cache_creation_tokens

    def continue_with(self, reading: Reading) -> None:
        """Keep the paused turn's blocks, to be sent back as they came."""
        self.is_fresh = False
        self.continuations += 1
        self.used_tool, self.last_shown = reading.used_tool, reading.last_shown
        self.paused += [b for b in reading.blocks if b["type"] != "text" or b["text"].strip()]
        if self.paused and self.paused[-1]["type"] == "text":
            # The API refuses a last assistant turn that ends with white space.
            self.paused[-1] = self.paused[-1] | {"text": self.paused[-1]["text"].rstrip()}

    def usage(self, last: Reading, window: int) -> Usage:
        """The whole run's tokens; the context is what the last request held."""
        context = last.input_tokens + last.cache_read_tokens + last.cache_creation_tokens + last.output_tokens
        return Usage(
            input_tokens=self._input,
            output_tokens=self._output,
            cache_read_input_tokens=self._read,
            cache_creation_input_tokens=self._created,
            context_window=window,
            context_tokens=context,
        )


async def _drain(events: Any) -> None:
    try:
        async with asyncio.timeout(0.2):
            async for _ in events:
                pass
    except Exception:  # the answer is whole; what is wrong with the rest of the body does not matter
        log.debug("the body did not end with the message")
