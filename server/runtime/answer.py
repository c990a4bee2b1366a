"""The open answer of a room: the agent's asyncio task, and the way of its text to the store and then to the screens.

Text goes out gathered (core.turn), one piece at a time: while one is on its way to the store, the next gathers. It is
shown when it is stored. The first end counts, wherever it comes from: the agent, an interrupt, a full disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import Protocol

from server import protocol as wire
from server.agents.base import Agent, Finished, Note, Question, StartTask, Text, Used
from server.core import turn as turns
from server.core.turn import Turn
from server.errors import Trouble
from server.store.base import RoomEngine

log = logging.getLogger("server.answer")


class Listener(Protocol):
    """What the room wants to know of its answer; called on the event loop, outside the room's own task."""

    def answer_status(self, answer: OpenAnswer, note: str | None) -> None: ...
    def answer_wants_task(self, answer: OpenAnswer, start: StartTask, number: int) -> None: ...
    def answer_piece(self, answer: OpenAnswer, offset: int, text: str) -> None: ...
    def answer_ended(self, answer: OpenAnswer) -> None: ...


class OpenAnswer:
    """One run while it is open. `start` it or `end` it unasked; `close` it when its terminal event is on disk."""

    def __init__(
        self, room: str, turn: Turn, store: RoomEngine, listener: Listener, monotonic_s: Callable[[], float]
    ) -> None:
        self.turn = turn
        self.shown = 0  # code points that are stored and shown
        self.was_asked = False  # whether the agent was asked at all
        self._room = room
        self._store = store
        self._listener = listener
        self._monotonic_s = monotonic_s
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._flush_timer: asyncio.Handle | None = None
        self._is_flush_due = False  # the timer is not one, but the end of this step
        self._is_piece_on_its_way = False

    @property
    def run(self) -> str:
        return self.turn.run

    def shown_text(self, offset: int = 0) -> str:
        """What everybody has seen, from `offset` on."""
        return self.turn.taken[offset : self.shown]

    def start(self, agent: Agent, question: Question, group: asyncio.TaskGroup) -> None:
        """Ask the agent, in an asyncio task of `group`."""
        self.was_asked = True
        self._task = group.create_task(self._ask(agent, question), name=f"answer {self._room} {self.run}")

    def end(self, ending: turns.Ending) -> None:
        """End it from outside. The provider's stream is closed at the next step of the loop."""
        self._end(ending)
        if self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        """Nothing of it happens any more."""
        if self._task is not None:
            self._task.cancel()
        if self._flush_timer is not None:
            self._flush_timer.cancel()

    def _end(self, ending: turns.Ending) -> None:
        if self.turn.end(ending):
            self._listener.answer_ended(self)

    async def _ask(self, agent: Agent, question: Question) -> None:
        """What the agent yields, until it ends or is cancelled."""
        ending: turns.Ending = turns.Failed(
            "model_error", "The model's answer broke off without an end; what came is kept. Ask again to go on."
        )
        tasks = 0
        try:
            async with aclosing(agent.answer(question)) as items:
                async for item in items:
                    match item:
                        case Text():
                            if not self.turn.add(item.content, self._monotonic_s()):
                                ending = turns.Finished("size_limit", wire.Usage())
                                break
                            self._schedule_flush()
                        case Note():
                            self._listener.answer_status(self, item.content)
                        case Used():
                            self.turn.note_used(item.usage)
                        case StartTask():
                            tasks += 1
                            self._listener.answer_wants_task(self, item, tasks)
                        case Finished():
                            ending = turns.Finished(item.stop_reason, item.usage)
                            break
        except Trouble as trouble:
            ending = turns.Failed(trouble.code, trouble.message)
        except Exception:
            log.exception("room %s: the agent failed in run %s", self._room, self.run)
            ending = turns.Failed(
                "internal", "The agent failed inside the server; its log says why. Ask again to retry."
            )
        self._end(ending)

    def _schedule_flush(self) -> None:
        if self._is_piece_on_its_way:
            return
        due_s = self.turn.due_in_s(self._monotonic_s())
        if due_s is None:
            return
        if self._flush_timer is not None:
            if due_s > 0 or self._is_flush_due:
                return
            self._flush_timer.cancel()  # enough has come: it need not wait for its time
        # "At once" is the end of this step of the loop: an answer that is already whole needs no pieces.
        self._is_flush_due = due_s == 0
        if self._is_flush_due:
            self._flush_timer = self._loop.call_soon(self._flush)
        else:
            self._flush_timer = self._loop.call_later(due_s, self._flush)

    def _flush(self) -> None:
        self._flush_timer = None
        if self.turn.ending is not None:
            return
        offset, text = self.turn.take(self._monotonic_s())
        self._is_piece_on_its_way = True
        stored = self._store.append_piece(self._room, self.run, offset, text)
        if offset == 0:  # while the store's thread works
            self._loop.call_soon(self._listener.answer_status, self, None)
        stored.add_done_callback(partial(self._show, offset, text))

    def _show(self, offset: int, text: str, stored: asyncio.Future[None]) -> None:
        self._is_piece_on_its_way = False
        if stored.cancelled():
            return
        trouble = stored.exception()
        if isinstance(trouble, Trouble):
            self.end(turns.Failed(trouble.code, trouble.message))
        elif trouble is not None:
            raise trouble
        else:
            self.shown = offset + len(text)
            self._listener.answer_piece(self, offset, text)
            if self.turn.ending is None:
                self._schedule_flush()
