"""An open answer: when its text goes out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.agents.base import Question
from server.core import turn as turns
from server.core.room import RunInfo
from server.runtime.answer import OpenAnswer
from server.store.memory import MemoryEngine
from tests.fakes.agents import ScriptedAgent


class Screen:
    """Listens to one answer; `shown` is what has gone out, piece by piece, and `told` is all in its order."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.told: list[str] = []
        self.news = asyncio.Event()

    def answer_piece(self, answer: OpenAnswer, offset: int, text: str) -> None:
        self.shown.append(text)
        self.told.append("piece")
        self.news.set()

    def answer_status(self, answer: OpenAnswer, note: str | None) -> None:
        self.told.append("status")

    def answer_wants_task(self, answer: OpenAnswer, start: object, number: int) -> None:
        pass

    def answer_ended(self, answer: OpenAnswer) -> None:
        pass


async def test_256_characters_do_not_wait_for_the_end_of_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "FLUSH_S", 3600.0)
    screen, agent, loop = Screen(), ScriptedAgent(), asyncio.get_running_loop()
    answer = OpenAnswer("main", turns.Turn(RunInfo("r1", (1,), ("ada",))), MemoryEngine(), screen, loop.time)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        answer.start(agent, Question("main", "r1", (), ()), group)
        run = await agent.wait_run()
        run.say("a")
        await screen.news.wait()
        screen.news.clear()
        run.say("b")
        for _ in range(20):
            await asyncio.sleep(0)
        assert screen.shown == ["a"], "it gathers"
        run.say("c" * 256)
        await screen.news.wait()
        assert screen.shown == ["a", "b" + "c" * 256]
        answer.close()


async def test_the_first_piece_is_on_its_way_to_the_store_before_anybody_is_told_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen, agent, store, loop = Screen(), ScriptedAgent(), MemoryEngine(), asyncio.get_running_loop()
    append_piece = store.append_piece

    def noted(*piece: Any) -> asyncio.Future[None]:
        screen.told.append("stores")
        return append_piece(*piece)

    monkeypatch.setattr(store, "append_piece", noted)
    answer = OpenAnswer("main", turns.Turn(RunInfo("r1", (1,), ("ada",))), store, screen, loop.time)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        answer.start(agent, Question("main", "r1", (), ()), group)
        run = await agent.wait_run()
        for word in ("a", "b"):
            screen.news.clear()
            run.say(word)
            await screen.news.wait()
        assert screen.told == ["stores", "status", "piece", "stores", "piece"]
        answer.close()
