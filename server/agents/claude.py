"""The agent on the Messages API, through the `anthropic` SDK: one streamed answer a run, every failure told plainly.

Close the stream of `answer` (`contextlib.aclosing`, or by cancelling the asyncio task that
awaits its next item) and the provider's connection is closed at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final

from msgspec.structs import replace

from server.agents.base import Cost, Exchange, Finished, Item, Note, Question, StartTask, Used
from server.agents.estimate import estimate_tokens
from server.agents.failures import NO_TOOL, REFUSAL, CutOff, Failure, duration
from server.agents.model import ClaudeConfig, Model
from server.agents.speakers import Block, Turn, build_messages, estimate_question, first_kept, system_blocks
from server.agents.stream import Reading
from server.agents.tools import START_TASK, start_task_of, tool_result
from server.agents.used import used
from server.protocol import Usage

MOST_CONTINUATIONS: Final = 8  # of a paused turn, and of one that used a tool
_TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_STOP_REASONS: Final = frozenset({"end_turn", "stop_sequence", "max_tokens", "model_context_window_exceeded"})


class ClaudeAgent:
    """Answers by a model that speaks the Messages API: Anthropic's, or a local server's."""

    name: Final = "claude"

    def __init__(self, config: ClaudeConfig) -> None:
        self._model = Model(config)
        self._config = config

    @property
    def model(self) -> str:
        return self._model.name

    @property
    def provider(self) -> Model:
        """The same client, for work in the background."""
        return self._model

    async def prepare(self) -> None:
        """Import the SDK and make the client, in a thread. Never raises: `answer` says what is wrong."""
        await self._model.prepare()

    async def answer(self, question: Question) -> AsyncGenerator[Item | Finished, None]:
        """Stream one answer. Raises AgentTrouble. See base.Agent."""
        await self._model.ready()
        run = _Run(self._kept(question))
        tries = 0
        while True:
            try:
                async with aclosing(self._stream(question, run)) as items:
                    async for item in items:
                        yield item
                return
            except Exception as trouble:
                failure = self._model.failure(trouble, f"room {question.room} run {question.run}")
                run.took(used(run.reading, self._input_estimate(question, run), failure))
                yield Used(run.usage())
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
        budget = self._model.window - self._model.max_tokens
        budget -= estimate_question(question, (), self._config.system_prompt) + self._model.window // 50
        return question.history[first_kept(question.history, max(budget, 0)) :]

    def _pause_s(self, failure: Failure, run: _Run, tries: int) -> float:
        """How long to wait before try number `tries`; raises AgentTrouble when there is to be none."""
        pause_s = self._model.pause_s(failure, tries)
        if pause_s is None or not run.is_fresh:
            raise failure.trouble() from None
        return pause_s

    async def _stream(self, question: Question, run: _Run) -> AsyncGenerator[Item | Finished, None]:
        """One try: the request, and those that continue it when the provider pauses the turn."""
        while True:
            reading = run.reading = Reading(after_tool=run.used_tool, shown=run.last_shown)
            is_told = False
            async with aclosing(self._model.stream(self._body(question, run), reading)) as items:
                async for item in items:
                    if not is_told:  # the service has told what the question takes
                        is_told = True
                        so_far = used(reading, self._input_estimate(question, run))
                        yield Used(run.usage(replace(so_far, output_tokens=reading.output_tokens)))
                    run.is_fresh = False
                    yield item
            if reading.stop_reason is not None:
                run.took(used(reading, self._input_estimate(question, run)))
                yield Used(run.usage())
            if reading.stop_reason is None:
                raise CutOff(started=reading.started)
            if reading.stop_reason == "refusal":
                raise REFUSAL.trouble()
            if reading.stop_reason == "tool_use":
                if not self._config.can_start_tasks or run.continuations >= MOST_CONTINUATIONS:
                    raise NO_TOOL.trouble()
                run.continue_with(reading)
                results = []
                for use in reading.blocks:
                    if use["type"] != "tool_use":
                        continue
                    wish = start_task_of(use)
                    if isinstance(wish, str):
                        results.append(tool_result(use, wish, is_error=True))
                        continue
                    start = StartTask(*wish, asyncio.get_running_loop().create_future())
                    yield start
                    results.append(tool_result(use, await start.done))
                run.answer_tools(results)
                continue
            if reading.stop_reason != "pause_turn" or run.continuations >= MOST_CONTINUATIONS:
                break
            run.continue_with(reading)
        known = reading.stop_reason in _STOP_REASONS or reading.stop_reason == "pause_turn"
        yield Finished(reading.stop_reason if known else "other", run.whole_usage(self._model.window))

    def _body(self, question: Question, run: _Run) -> dict[str, Any]:
        history = run.history
        messages: list[Turn] = build_messages(
            history, question.asked, news=question.news, dropped=len(history) < len(question.history)
        )
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": self._model.max_tokens,
            "system": system_blocks(self._config.system_prompt, question.room),
            "messages": messages + run.turns,
        }
        tools = [START_TASK] if self._config.can_start_tasks else []
        tools += self._model.web_tools()
        if tools:
            body["tools"] = tools
        return body

    def _input_estimate(self, question: Question, run: _Run) -> int:
        turns = estimate_tokens(str(run.turns)) if run.turns else 0
        return estimate_question(question, run.history, self._config.system_prompt) + turns

    def most(self, question: Question) -> Cost:
        """The estimated input, all of it written to the cache, and an answer of the full length. With web tools each
        use may bring a page of 20,000 tokens."""
        kept = self._kept(question)
        estimate = estimate_question(question, kept, self._config.system_prompt)
        estimate += self._model.web_tokens
        return self.cost(Usage(cache_creation_input_tokens=estimate, output_tokens=self._model.max_tokens))

    def partial_cost(self, question: Question, answer: str) -> Cost:
        """The estimated input at the price of the cache's writing, and the text as far as it came."""
        estimate = estimate_question(question, self._kept(question), self._config.system_prompt)
        return self.cost(Usage(cache_creation_input_tokens=estimate, output_tokens=estimate_tokens(answer)))

    def cost(self, usage: Usage) -> Cost:
        """By the price table; see pricing."""
        return self._model.cost(usage)

    async def close(self) -> None:
        """Close the connections. `answer` must not be called after."""
        await self._model.close()


class _Run:
    """What one answer has come to, over its tries and continuations."""

    def __init__(self, history: Sequence[Exchange]) -> None:
        self.history = history
        self.is_fresh = True  # nothing was shown, so a new try repeats nothing
        self.turns: list[Turn] = []  # what the model has done before it paused or used a tool, and the results
        self.continuations = 0
        self.used_tool = False
        self.last_shown = ""
        self.reading = Reading()  # of the last request
        self._used = Usage()

    def took(self, usage: Usage) -> None:
        """Count what a request used: each request of a paused turn is billed, and one that broke off."""
        self._used = self.usage(usage)

    def continue_with(self, reading: Reading) -> None:
        """Keep the blocks of a turn that goes on, to be sent back as they came."""
        self.is_fresh = False
        self.continuations += 1
        self.used_tool, self.last_shown = reading.used_tool, reading.last_shown
        blocks = [b for b in reading.blocks if b["type"] != "text" or b["text"].strip()]
        if self.turns and self.turns[-1]["role"] == "assistant":
            blocks = self.turns.pop()["content"] + blocks
        if blocks:
            if blocks[-1]["type"] == "text":
                # The API refuses a last assistant turn that ends with white space.
                blocks[-1] = blocks[-1] | {"text": blocks[-1]["text"].rstrip()}
            self.turns.append({"role": "assistant", "content": blocks})

    def answer_tools(self, results: list[Block]) -> None:
        """Every use of our tools gets its result, in the turn that follows."""
        self.used_tool = True
        self.turns.append({"role": "user", "content": results})

    def usage(self, more: Usage | None = None) -> Usage:
        """The run's tokens so far, and `more`."""
        so_far = self._used
        return Usage(*(getattr(so_far, name) + getattr(more or Usage(), name) for name in _TOKENS))

    def whole_usage(self, window: int) -> Usage:
        """The whole run's tokens; the context is what the last request held."""
        last = self.reading
        context = last.input_tokens + last.cache_read_tokens + last.cache_creation_tokens + last.output_tokens
        return replace(self._used, context_window=window, context_tokens=context)
