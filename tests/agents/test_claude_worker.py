"""Long work on the real SDK against the fake Messages API, which checks the tool loop at every request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from server.agents.base import Cost
from server.agents.claude_worker import ClaudeWorker, Limits
from server.agents.model import ClaudeConfig, Model
from server.agents.work import Assignment, Line
from server.core.task import Moved, Outcome
from tests.agents.conftest import KEY
from tests.fakes.messages_api import FakeMessagesAPI
from tests.fakes.messages_replies import (
    Hang,
    Reply,
    block_start,
    block_stop,
    end,
    plan,
    search,
    start,
    status,
    stream,
    text,
    text_block,
    tool,
)

FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
STEPS = ("Searching for relevant sources", "Analyzing 12 documents")
ASKED = Assignment("main", "t1", 7, "ada", "Quantum", "Research the history of </task> quantum computing")


class Site:
    """A site whose remembered steps outlive it, as they do on disk."""

    def __init__(self, steps: list[Any] | None = None, budget: int = 10**9) -> None:
        self.steps: list[Any] = [] if steps is None else steps
        self.names: list[str] = []
        self.told: list[Moved] = []
        self.found = ""
        self.asked: list[tuple[int, int]] = []
        self.cost_of_lost: list[Cost] = []
        self._done = 0
        self._budget = budget

    async def remember(self, name: str, step: Callable[[], Awaitable[Any]]) -> Any:
        self.names.append(name)
        if self._done == len(self.steps):
            self.steps.append(await step())
        self._done += 1
        return self.steps[self._done - 1]

    def report(self, moved: Moved, partial: str) -> None:
        self.told.append(moved)
        self.found = partial

    async def transcript(self, before: int, limit: int) -> list[Line]:
        self.asked.append((before, limit))
        return [Line(1, "", "ben", "I like <b> qubits"), Line(2, "", "", "So do I.")]

    async def reserve(self, most: Cost, so_far: Callable[[], Cost]) -> bool:
        self._so_far = so_far
        return most.tokens <= self._budget

    def lost(self) -> None:
        self.cost_of_lost.append(self._so_far())


@pytest.fixture
async def work(api: FakeMessagesAPI):
    models = []

    async def do(site: Site, **changes: Any) -> Outcome:
        limits = changes.pop("limits", Limits())
        given = {"base_url": api.url, "api_key": KEY, "first_pause_s": 0.01, "silence_timeout_s": 5.0}
        model = Model(ClaudeConfig(**(given | changes)))
        models.append(model)
        return await ClaudeWorker(model, limits).work(ASKED, site)

    yield do
    for model in models:
        await model.close()


async def test_a_task_is_planned_then_done_step_by_step_then_put_together(api: FakeMessagesAPI, work) -> None:
    api.will(plan(*STEPS), text("Found ", "six."), text("They agree."), text("# History\n", "It began in 1980."))
    site = Site()
    assert await work(site) == Outcome("completed", "# History\nIt began in 1980.")
    assert site.names == ["plan", "step 1", "step 2", "synthesis"]
    shown = [(moved.percent, moved.message) for moved in site.told]
    assert list(dict.fromkeys(shown)) == [
        (0, "Making a plan…"),
        (25, "Searching for relevant sources…"),
        (50, "Analyzing 12 documents…"),
        (75, "Synthesizing…"),
    ]
    assert site.told[-1].tokens == sum(sum(step["usage"].values()) for step in site.steps)
    first, *_, last = api.requests
    assert first.body["tool_choice"] == {"type": "tool", "name": "plan"}
    assert first.messages[0]["content"][0]["text"].startswith('<task from="ada" title="Quantum">Research')
    assert "&lt;/task&gt;" in first.messages[0]["content"][0]["text"]
    assert last.body["tool_choice"] == {"type": "none"}


async def test_a_restart_sends_no_finished_request_again(api: FakeMessagesAPI, work) -> None:
    api.will(plan(*STEPS), text("Found six."), stream(start(), Hang()))
    first = Site()
    running = asyncio.create_task(work(first))
    await api.wait_requests(3)
    running.cancel()
    await asyncio.wait([running])
    await asyncio.wait_for(api.requests[2].closed.wait(), 1)
    api.will(text("They agree."), text("The result."))
    second = Site(first.steps)
    assert await work(second) == Outcome("completed", "The result.")
    assert len(api.requests) == 5
    assert api.requests[3].body == api.requests[2].body, "the open request is made again as it was"


async def test_tools_of_ours_and_of_the_provider_get_their_results(api: FakeMessagesAPI, work) -> None:
    paused = stream(start(), search()[:-2], end("pause_turn"))
    api.will(
        plan("Reading the room", "Searching"),
        tool("room_transcript", {"last": 5}, say="I look."),
        tool("launch_rockets", {}, use_id="toolu_2"),
        text("Ben likes qubits."),
        paused,
        stream(start(), block_start(0, FOUND), block_stop(0), text_block(["Found."], 1), end()),
        text("Done."),
    )
    site = Site()
    assert (await work(site, web_search=True, web_fetch=True)).result == "Done."
    assert site.asked == [(7, 5)]
    results = [
        block for message in api.requests[-1].messages for block in message["content"] if block["type"] == "tool_result"
    ]
    assert [(r["tool_use_id"], r.get("is_error", False)) for r in results] == [
        ("toolu_plan", False), ("toolu_1", False), ("toolu_2", True)
    ]  # fmt: skip
    assert '<message from="ben">I like &lt;b&gt; qubits</message>' in results[1]["content"]
    assert {tool["name"] for tool in api.requests[0].body["tools"]} == {
        "plan", "room_transcript", "web_search", "web_fetch"
    }  # fmt: skip
    assert any("searching the web" in moved.message for moved in site.told)


async def test_a_model_that_makes_no_plan_does_the_task_in_one_step(api: FakeMessagesAPI, work) -> None:
    api.will(text("I would rather begin."), text("Worked."), text("The result."))
    site = Site()
    assert (await work(site)).result == "The result."
    assert site.told[-1].steps == ("Working on the task",)
    for broken in (plan(), plan("", " "), tool("plan", {"steps": "x"}), tool("dance", {"steps": ["a"]})):
        api.will(broken, text("Worked."), text("The result."))
        assert (await work(Site())).status == "completed"


async def test_a_passing_failure_is_tried_again_with_growing_pauses_and_told(api: FakeMessagesAPI, work) -> None:
    api.will(plan("One"), status(529, "overloaded_error"), status(529, "overloaded_error"), text("ok"), text("R"))
    site = Site()
    assert (await work(site)).status == "completed"
    told = [moved.message for moved in site.told if "trying again" in moved.message]
    assert [line.split("again in ")[1] for line in told] == ["0.1 s (1 of 4)", "0.1 s (2 of 4)"]
    assert all("The model is overloaded" in line for line in told)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (status(529, "overloaded_error"), "model_overloaded"),
        (status(401, "authentication_error"), "model_auth"),
        (stream(start(), end("refusal")), "model_refused"),
        (stream(start()), "model_error"),
    ],
)
async def test_a_failure_that_stays_keeps_what_was_found(api: FakeMessagesAPI, work, reply: Reply, code: str) -> None:
    api.will(plan(*STEPS), text("Found six."))
    api.default = reply
    outcome = await work(Site(), max_retries=1)
    assert (outcome.status, outcome.code) == ("failed", code)
    assert outcome.result == "## Searching for relevant sources\n\nFound six."
    assert "kept" in outcome.message
    assert "SECRET" not in outcome.message


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(tokens=100), "100 tokens"),
        (Limits(calls=2), "2 requests"),
        (Limits(minutes=0.005), "minutes"),
    ],
)
async def test_a_limit_ends_the_task_as_failed(api: FakeMessagesAPI, work, limits: Limits, words: str) -> None:
    api.will(plan(*STEPS), text("Found six.", input_tokens=80))
    api.default = stream(start(), Hang())
    outcome = await work(Site(), limits=limits)
    assert (outcome.status, outcome.code) == ("failed", "budget_exceeded")
    assert words in outcome.message
    assert outcome.result.endswith("Found six.")


async def test_a_day_without_budget_asks_nothing(api: FakeMessagesAPI, work) -> None:
    outcome = await work(Site(budget=10))
    assert (outcome.status, outcome.code) == ("failed", "budget_exceeded")
    assert api.requests == []
