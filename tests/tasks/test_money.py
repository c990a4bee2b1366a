"""Money of requests that have no result: canceled, failed and killed in their middle, in tasks and in the chat."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from pathlib import Path
from typing import Any

from server.agents.base import Cost
from server.agents.estimate import tokens_of_bytes
from server.agents.work import Assignment, Site
from server.core.task import Outcome
from tests.fakes.messages_api import FakeMessagesAPI
from tests.fakes.messages_replies import (
    Cut,
    Hang,
    Reply,
    Sleep,
    block_stop,
    error_event,
    opened,
    plan,
    search,
    status,
    stream,
    text,
)
from tests.fakes.process import ServerProcess
from tests.fakes.served import served
from tests.fakes.wire_client import WireClient
from tests.tasks.kills import held, spent_tokens
from tests.tasks.test_real_loop import claude
from tests.tasks.test_tasks_over_the_wire import submit, until

STEPS = ("Searching for relevant sources", "Analyzing 12 documents")
WORDS = "Six sources were found, and they agree on most of it. " * 8
STREAMED = tokens_of_bytes(len(WORDS))
PLAN, STEP = 25 + 15, 25 + 15  # what the fake says that a whole reply used


def in_the_middle(*steps: Any) -> Reply:
    """A reply that told 700 tokens of input and wrote WORDS, then does these."""
    return stream(*opened(WORDS, input_tokens=700), *steps)


async def test_a_task_canceled_in_mid_request_pays_the_input_it_was_told_and_the_text_that_came(tmp_path: Path) -> None:
    async with FakeMessagesAPI() as api:
        agent, worker = claude(api)
        async with served(tmp_path, agent, worker=worker) as server, WireClient(server.address) as ada:
            api.will(plan(*STEPS), in_the_middle(block_stop(), *search(index=1), Hang()))
            task = (await submit(ada, "research"))["task"]
            await ada.wait(lambda frame: frame["type"] == "progress" and "found 2 web pages" in frame["message"], 40)
            assert held(server.data_dir / "rooms.db")
            await ada.command("cancel_task", task=task)
            await ada.wait("complete")
        paid = spent_tokens(server.data_dir / "rooms.db") - PLAN - 700
        assert STREAMED < paid < STREAMED + 40, "the text, and the query of the search"


async def test_a_task_canceled_before_the_model_answers_pays_an_estimate_of_the_question(tmp_path: Path) -> None:
    async with FakeMessagesAPI() as api:
        agent, worker = claude(api)
        async with served(tmp_path, agent, worker=worker) as server, WireClient(server.address) as ada:
            api.will(plan(*STEPS), stream(Sleep(60)))
            task = (await submit(ada, "research"))["task"]
            await api.wait_requests(2, 40)
            await ada.command("cancel_task", task=task)
            await ada.wait("complete")
        assert PLAN + 2000 < spent_tokens(server.data_dir / "rooms.db") < PLAN + 3000


async def test_tries_that_break_in_their_middle_are_paid_and_refused_ones_are_not(tmp_path: Path) -> None:
    async with FakeMessagesAPI() as api:
        agent, worker = claude(api)
        async with served(tmp_path, agent, worker=worker) as server, WireClient(server.address) as ada:
            broken = [in_the_middle(error_event("overloaded_error")), in_the_middle(Cut())]
            api.will(plan(*STEPS), status(529, "overloaded_error"), *broken, text("Six."), text("Two."), text("So."))
            await submit(ada, "research")
            done = await ada.wait("complete", 40)
            assert (done["status"], done["result"]) == ("completed", "So.")
            assert len(api.requests) == 7
        assert spent_tokens(server.data_dir / "rooms.db") == PLAN + 3 * STEP + 2 * (700 + STREAMED)


async def test_a_task_that_fails_in_mid_request_pays_for_it(tmp_path: Path) -> None:
    async with FakeMessagesAPI() as api:
        agent, worker = claude(api, max_retries=0)
        async with served(tmp_path, agent, worker=worker) as server, WireClient(server.address) as ada:
            api.will(plan(*STEPS), in_the_middle(error_event("overloaded_error")))
            await submit(ada, "research")
            assert (await ada.wait("complete", 40))["code"] == "model_overloaded"
        assert spent_tokens(server.data_dir / "rooms.db") == PLAN + 700 + STREAMED


async def test_an_answer_stopped_or_broken_in_its_middle_pays_what_it_was_told_and_a_refused_one_nothing(
    tmp_path: Path,
) -> None:
    async with FakeMessagesAPI() as api:
        agent, worker = claude(api, max_retries=0)
        async with served(tmp_path, agent, worker=worker) as server, WireClient(server.address) as ada:
            spent = partial(spent_tokens, server.data_dir / "rooms.db")
            api.will(in_the_middle(Hang()))
            run = (await ada.say("hello"))["run"]
            await until(lambda: ada.text_of(run) == WORDS)
            await ada.command("interrupt", run=run)
            await ada.wait("interrupted")
            stopped = spent()
            assert 700 + STREAMED <= stopped <= 700 + STREAMED + 1, "message_start's one token of output may be in it"
            api.will(in_the_middle(error_event("api_error")))
            await ada.say("and now?")
            await ada.wait(lambda frame: frame["type"] == "error" and "run" in frame)
            assert spent() - stopped == 700 + STREAMED
            before = spent()
            api.will(status(401, "authentication_error"))
            await ada.say("and again?")
            await ada.wait(lambda frame: frame["type"] == "error" and frame["code"] == "model_auth")
            assert spent() == before


def process(folder: Path, api: FakeMessagesAPI) -> ServerProcess:
    """The server as people start it, on the fake service."""
    return ServerProcess(folder, env={"ANTHROPIC_BASE_URL": api.url, "ANTHROPIC_API_KEY": "sk-x"})


async def test_a_task_killed_in_mid_request_has_its_reservation_spent_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "data" / "rooms.db"
    async with FakeMessagesAPI() as api:
        server = process(tmp_path, api)
        await server.start()
        api.will(plan(*STEPS), in_the_middle(Hang()))
        async with WireClient(server.socket) as ada:
            with contextlib.suppress(ConnectionError):
                await submit(ada, "research")
                await api.wait_requests(2, 40)
            await server.kill()
        ((task, calls, lost),) = held(path)
        assert (task, calls, lost) == ("t1", 1, 0), "on disk before the request went out"
        reserved = spent_tokens(path) - PLAN
        assert reserved > 16_000, "the question, and an answer of the full length"
        api.will(text("Six sources."), text("They agree."), text("It began in 1980."))
        async with server, WireClient(server.socket) as ada:
            done = await ada.wait(lambda frame: "It began in 1980." in str(frame), 40)
            assert done["type"] in ("complete", "snapshot")
        assert len(api.requests) == 5, "the plan was not asked for again"
        assert spent_tokens(path) == PLAN + reserved + 3 * STEP
        assert not held(path)


class Unhurried:
    """A worker whose request never ends; in its second life it does not come to it."""

    def __init__(self) -> None:
        self.is_under_way = asyncio.Event()

    async def work(self, assignment: Assignment, site: Site) -> Outcome:
        async def request() -> None:
            assert not self.is_under_way.is_set()
            await site.reserve(Cost(1000, 10), lambda: Cost(0, 0))
            self.is_under_way.set()
            await asyncio.Event().wait()

        if not self.is_under_way.is_set():
            await site.remember("request", request)
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_task_canceled_before_it_comes_back_to_the_request_it_died_in_has_paid_for_it(tmp_path: Path) -> None:
    worker, path = Unhurried(), tmp_path / "data" / "rooms.db"
    async with served(tmp_path, worker=worker) as server, WireClient(server.address) as ada:
        task = (await submit(ada, "research"))["task"]
        async with asyncio.timeout(40):
            await worker.is_under_way.wait()
    assert held(path) == {(task, 0, 0)}
    async with served(tmp_path, worker=worker) as server, WireClient(server.address) as ada:
        await ada.command("cancel_task", task=task)
        await ada.wait("complete", 40)
    assert spent_tokens(path) == 1000


async def test_an_answer_killed_in_its_middle_is_in_the_days_spending(tmp_path: Path) -> None:
    path = tmp_path / "data" / "rooms.db"
    async with FakeMessagesAPI() as api:
        server = process(tmp_path, api)
        await server.start()
        api.will(stream(*opened(WORDS), Hang()))
        async with WireClient(server.socket) as ada:
            run = (await ada.say("hello"))["run"]
            await until(lambda: ada.text_of(run) == WORDS)
            await server.kill()
        async with server, WireClient(server.socket) as ada:
            await ada.wait(lambda _: any(event["type"] == "interrupted" for event in ada.durable))
        assert spent_tokens(path) > STREAMED
