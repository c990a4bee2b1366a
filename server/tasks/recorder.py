"""DBOS in a thread of its own: records the steps of sessions, and gives back those recorded by an earlier process.

Each session is one DBOS workflow that runs what the program asks for, step after step. The workflow stays open until
the task's end is on disk in the room; then its records are deleted. Facts of DBOS 3.4 that shape this:

- It blocks the thread that launches it and sets the executor of its loop: so it has a loop and a thread of its own.
- `executor_id` is fresh in each process: DBOS starts nothing by itself, the server resumes what is still open.
- An outcome that is an Exception would be recorded (and a failed record with it): what must not be recorded leaves the
  workflow as a BaseException. So a full disk ends a recording, and it is begun again until there is space; the step's
  result waits in its Request.
- The journal mode is set before DBOS opens the file: `delete` takes 10.9 ms a step, WAL 1.8.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from server.tasks.session import Session

log = logging.getLogger("server.tasks")

RECORDS_VERSION: Final = "1"  # changes when programs ask for other steps than before
RETRY_S: Final = 1.0
OPENING_TRIES: Final = 5
CLOSE_S: Final = 5.0


class _Leave(BaseException):
    """Ends a workflow without an outcome."""


class Recorder:
    """Starts its thread at once. Methods may be called from any thread."""

    def __init__(
        self, path: Path, on_broken: Callable[[Session], None], on_point: Callable[[str], None] | None = None
    ) -> None:
        self._path = path
        self._on_broken = on_broken  # (recorder's thread) a session that can never be recorded
        self._on_point = on_point
        self._sessions: dict[str, Session] = {}
        self._loop = asyncio.new_event_loop()
        self._ready: asyncio.Task[bool] | None = None
        self._is_open = False
        self._small: set[asyncio.Task[None]] = set()
        self._forgetting: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="task recorder", daemon=True)
        self._thread.start()

    def open(self, session: Session) -> None:
        """Record this session; call `poke` after each request."""
        self._call(self._open, session)

    def poke(self, session: Session) -> None:
        """It has a new request."""
        self._call(session.poke)

    def leave(self, session: Session, *, forget: bool) -> None:
        """Record no more of it; `forget` deletes its records too."""
        self._call(self._leave, session, forget)

    def close(self) -> None:
        """(Blocking) End the thread; open sessions stay as they are on disk."""
        future: Future[None] = asyncio.run_coroutine_threadsafe(self._end_all(), self._loop)
        with contextlib.suppress(Exception):
            future.result(CLOSE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_S)
        if self._is_open:  # here, since it shuts down the executor that the loop used
            self._close_dbos()

    # ---- in the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # closed: nobody waits any more
            self._loop.call_soon_threadsafe(function, *arguments)

    def _spawn(self, session: Session, *, forget: bool = False) -> None:
        task = self._loop.create_task(self._forget(session) if forget else self._begin(session))
        kind = self._forgetting if forget else self._small
        kind.add(task)
        task.add_done_callback(kind.discard)

    def _open(self, session: Session) -> None:
        self._sessions[session.id] = session
        self._spawn(session)

    def _leave(self, session: Session, forget: bool) -> None:
        session.is_closed = True
        session.poke()
        if self._sessions.get(session.id) is session:
            del self._sessions[session.id]
        if forget:
            self._spawn(session, forget=True)

    async def _launched(self) -> bool:
        """DBOS is there, launched at first need; False when it cannot be."""
        if self._ready is None:
            self._ready = self._loop.create_task(self._launch())
        return await asyncio.shield(self._ready)

    async def _launch(self) -> bool:
        for left in reversed(range(OPENING_TRIES)):
            try:
                self._open_dbos()
                self._is_open = True
                return True
            except Exception:
                log.exception("the task records %s cannot be opened", self._path.name)
                with contextlib.suppress(Exception):
                    self._close_dbos()
            if left:
                await asyncio.sleep(RETRY_S)
        self._ready = None  # the next task tries anew
        return False

    def _open_dbos(self) -> None:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._path.chmod(0o600)
        with contextlib.closing(sqlite3.connect(self._path)) as db:
            db.execute("PRAGMA journal_mode=WAL")
        quiet = logging.getLogger("dbos")  # it logs arguments and results: what people said
        quiet.addHandler(logging.NullHandler())
        quiet.propagate = False
        from dbos import DBOS, DBOSPortableJSONSerializer

        DBOS(
            config={
                "name": "tui-agent",
                "system_database_url": f"sqlite:///{self._path}",
                "application_version": RECORDS_VERSION,
                "executor_id": secrets.token_hex(8),
                "serializer": DBOSPortableJSONSerializer(),
                "log_level": "CRITICAL",
                "max_executor_threads": 4,
                "sys_db_pool_size": 4,
                "scheduler_polling_interval_sec": 300.0,
            }
        )

        async def record(id: str) -> None:
            await self._record(id)

        self._workflow = DBOS.workflow(name="task", max_recovery_attempts=None)(record)
        DBOS.launch()

    @staticmethod
    def _close_dbos() -> None:
        from dbos import DBOS

        DBOS.destroy(destroy_registry=True)

    async def _begin(self, session: Session) -> None:
        """Start the session's workflow, or resume the one that an earlier process, or a full disk, left."""
        if not await self._launched():
            self._on_broken(session)
            return
        from dbos import DBOS, SetWorkflowID

        while not session.is_closed:
            try:
                with SetWorkflowID(session.id):
                    handle = await DBOS.start_workflow_async(self._workflow, session.id)
                status = (await handle.get_status()).status
                if status in ("SUCCESS", "ERROR"):
                    log.error("task %s: its record has ended with %s", session.id, status)
                    self._on_broken(session)
                elif type(handle).__name__.endswith("Polling"):  # it was there before
                    await DBOS.resume_workflow_async(session.id)
                return
            except Exception as trouble:
                log.warning("task %s: no record can be made (%s)", session.id, type(trouble).__name__)
            await asyncio.sleep(RETRY_S)

    async def _record(self, id: str) -> None:
        """The workflow: what the program asks for, in order."""
        session = self._sessions.get(id)
        if session is None:
            raise _Leave
        index = 0
        while (request := await session.wait(index)) is not None:
            from dbos import DBOS

            async def step(request: Any = request) -> Any:
                if not request.has_value:
                    running = asyncio.run_coroutine_threadsafe(request.run(), request.loop)
                    await asyncio.wrap_future(running)
                if request.trouble is not None:
                    raise _Leave
                self._point("task.step.done")
                return {"value": request.value}

            try:
                recorded = await DBOS.run_step_async({"name": request.name}, step)
            except _Leave:
                request.settle(None)
                raise
            except Exception as trouble:
                if session.is_closed:
                    raise _Leave from None
                log.warning("task %s: step %d is not recorded (%s)", id, index, type(trouble).__name__)
                self._loop.call_later(RETRY_S, self._again, session)
                raise _Leave from None
            self._point("task.step.recorded")
            request.settle(recorded["value"])
            index += 1
        raise _Leave

    def _again(self, session: Session) -> None:
        if not session.is_closed:
            self._spawn(session)

    async def _forget(self, session: Session) -> None:
        if not await self._launched():
            return
        from dbos import DBOS

        try:
            await DBOS.delete_workflow_async(session.id)
        except Exception as trouble:  # it stays as waste; no promise depends on it
            log.warning("task %s: its records stay (%s)", session.id, type(trouble).__name__)

    async def _end_all(self) -> None:
        for session in list(self._sessions.values()):
            session.is_closed = True
            session.poke()
        if self._forgetting:  # what an ended task left is deleted before the end, where that is quick
            await asyncio.wait(self._forgetting, timeout=CLOSE_S / 2)
        for task in self._small:
            task.cancel()
        await asyncio.gather(*self._small, return_exceptions=True)
        current = asyncio.current_task()
        rest = [task for task in asyncio.all_tasks() if task is not current]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _point(self, name: str) -> None:
        if self._on_point is not None:
            self._on_point(name)
