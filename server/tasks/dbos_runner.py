"""The TaskRunner on DBOS: programs run on the server's loop, their steps are recorded by the recorder's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from server.core.task import Outcome, Program
from server.tasks.programs import BROKEN, Programs
from server.tasks.recorder import Recorder
from server.tasks.session import Request, Session


class DbosRunner:
    """See base.TaskRunner. DBOS is imported and launched for the first task, in a thread (about half a second)."""

    def __init__(self, path: Path, on_point: Callable[[str], None] | None = None) -> None:
        self._path = path
        self._on_point = on_point
        self._loop = asyncio.get_running_loop()
        self._programs = Programs()
        self._sessions: dict[str, Session] = {}
        self._on_end: dict[str, Callable[[Outcome], None]] = {}
        self._recorder: Recorder | None = None

    def start(self, id: str, program: Program, on_end: Callable[[Outcome], None]) -> None:
        if id in self._programs:
            return
        if self._recorder is None:
            self._recorder = Recorder(self._path, self._broken, self._on_point)
        recorder = self._recorder
        session = self._sessions[id] = Session(id)
        self._on_end[id] = on_end
        recorder.open(session)

        async def remember(name: str, step: Callable[[], Awaitable[Any]]) -> Any:
            request = Request(name, step)
            session.requests.append(request)
            recorder.poke(session)
            try:
                return await request.done
            finally:
                request.cancel()

        self._programs.start(id, program, remember, on_end)

    def cancel(self, id: str) -> None:
        self._programs.cancel(id)

    def forget(self, id: str) -> None:
        self._programs.cancel(id)
        self._on_end.pop(id, None)
        session = self._sessions.pop(id, None)
        if self._recorder is not None and session is not None:
            self._recorder.leave(session, forget=True)

    async def close(self) -> None:
        await self._programs.close()
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            await asyncio.to_thread(recorder.close)

    def _broken(self, session: Session) -> None:
        """(Recorder's thread)"""
        self._loop.call_soon_threadsafe(self._fail, session.id)

    def _fail(self, id: str) -> None:
        on_end = self._on_end.pop(id, None)
        if id in self._programs and on_end is not None:
            self._programs.cancel(id)
            on_end(Outcome("failed", "", "internal", BROKEN))
