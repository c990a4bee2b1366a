"""A small server of PROTOCOL's wire whose faults a test can script. No model, no store: a list of events.

`answer` (text -> pieces) makes the run of each message by itself; with None a test says what happens (`log`, `token`).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve, unix_serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from server import protocol as wire

TIME = "2026-11-24T12:00:00.000Z"


class WireServer:
    """Everything that a test may look at or set is a plain attribute."""

    def __init__(self) -> None:
        self.epoch = "e1"
        self.events: list[Any] = []  # durable, in order
        self.open_run: str | None = None
        self.text = ""  # of the open run
        self.acks: dict[tuple[str, str], wire.Ack] = {}
        self.commands: list[wire.Command] = []  # all that came, also again
        self.hellos: list[wire.Hello] = []
        self.headers: list[Any] = []
        self.connections: set[ServerConnection] = set()
        self.connected = 0  # so many, ever
        self.changed = asyncio.Condition()
        # ---- faults
        self.refuse: Callable[[Request], tuple[int, dict[str, str]] | None] = lambda request: None
        self.subprotocols: list[str] | None = [wire.SUBPROTOCOL]
        self.swallow_acks = 0
        self.cut_after_frames: int | None = None  # of each connection
        self.close_at_once: int | None = None  # a close code in place of a welcome
        self.stay_silent = False  # no welcome
        self.first_frame: str | bytes | None = None  # in place of a welcome
        self.refusals: list[wire.Error] = []  # each refuses one command (its ref is filled in)
        self.lose_log = False  # the next resume finds nothing: a snapshot
        self.version = "tui-agent/1.0.0"
        self.answer: Callable[[str], list[str]] | None = None
        self.piece_wait_s = 0.0
        self._server: Any = None
        self._runs: set[asyncio.Task[None]] = set()

    # ---- life -------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def listen(self, *, port: int = 0, path: Path | None = None, ssl: Any = None) -> AsyncIterator[str]:
        """Yields the URL."""
        options: dict[str, Any] = {
            "subprotocols": self.subprotocols,
            "compression": None,
            "process_request": self._check,
            "ping_interval": None,
            "close_timeout": 0.2,
            "max_size": wire.CLIENT_FRAME_BYTES,
        }
        if path is not None:
            server = await unix_serve(self._handle, str(path), **options)
            url = f"unix:{path}"
        else:
            server = await serve(self._handle, "127.0.0.1", port, ssl=ssl, **options)
            url = f"{'wss' if ssl else 'ws'}://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        try:
            yield url
        finally:
            for run in list(self._runs):
                run.cancel()
            for connection in list(self.connections):
                connection.transport.abort()
            server.close()
            await server.wait_closed()

    def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        self.headers.append(request.headers)
        refused = self.refuse(request)
        if refused is None:
            return None
        status, headers = refused
        response = connection.respond(HTTPStatus(status), "\x1b]0;evil\x07 no\n")
        response.headers.update(headers)
        return response

    async def _handle(self, connection: ServerConnection) -> None:
        self.connections.add(connection)
        self.connected += 1
        try:
            await self._serve(connection)
        except ConnectionClosed:
            pass
        finally:
            self.connections.discard(connection)
            await self._tell()

    async def _serve(self, connection: ServerConnection) -> None:
        if connection.subprotocol is None and self.subprotocols is None:
            await connection.close(wire.Close.UNSUPPORTED_VERSION)
            return
        hello = wire.decode_hello(await connection.recv())
        self.hellos.append(hello)
        await self._tell()
        if self.close_at_once is not None:
            await connection.close(self.close_at_once)
            return
        if self.stay_silent:
            await connection.wait_closed()
            return
        if self.first_frame is not None:
            await connection.send(self.first_frame)
            await connection.wait_closed()
            return
        left = [self.cut_after_frames]
        await self._welcome(connection, hello, left)
        async for frame in connection:
            command = wire.decode_command(frame)
            self.commands.append(command)
            await self._obey(connection, hello.user or "", command, left)
            await self._tell()

    async def _welcome(self, connection: ServerConnection, hello: wire.Hello, left: list[int | None]) -> None:
        resume = hello.resume
        is_recovered = (
            resume is not None and resume.epoch == self.epoch and resume.after <= len(self.events) and not self.lose_log
        )
        run = None
        if self.open_run is not None:
            run = wire.OpenRun(self.open_run, "streaming", [1], ["ada"])
        frames: list[Any] = [
            wire.Welcome(
                self.version, "main", hello.user or "", "c1", self.epoch, len(self.events), is_recovered,
                [], 1, run, [], [], wire.AgentInfo("fake", "fake-1"), wire.Limits(),
            )
        ]  # fmt: skip
        if is_recovered:
            assert resume is not None
            frames += self.events[resume.after :]
            if self.open_run is not None:
                offset = resume.offset if resume.run == self.open_run else 0
                if self.text[offset:]:
                    frames.append(wire.Token(self.open_run, offset, self.text[offset:]))
        else:
            if run is not None:
                run = wire.OpenRun(run.run, run.status, run.asked, run.users, self.text)
            frames.append(wire.Snapshot(self.epoch, len(self.events), self.events[-50:], len(self.events) > 50, run))
        for event in frames:
            await self.send_one(connection, event, left)

    async def send_one(self, connection: ServerConnection, event: Any, left: list[int | None] | None = None) -> None:
        if left is not None and left[0] is not None:
            if left[0] == 0:
                connection.transport.abort()
                raise ConnectionClosed(None, None)
            left[0] -= 1
        await connection.send(event if isinstance(event, str | bytes) else wire.encode(event).decode())

    async def _obey(self, connection: ServerConnection, user: str, command: Any, left: list[int | None]) -> None:
        if isinstance(command, wire.Typing):
            return
        if self.refusals:
            refusal = self.refusals.pop(0)
            refusal.ref = command.cid
            await self.send_one(connection, refusal, left)
            return
        match command:
            case wire.Message():
                known = self.acks.get((user, command.cid))
                if known is None:
                    run = f"r{len(self.acks) + 1}"
                    known = wire.Ack(command.cid, False, len(self.events) + 1, run)
                    self.acks[user, command.cid] = known
                    await self.log(
                        wire.UserMessage(len(self.events) + 1, TIME, user, command.cid, command.content, run),
                        but=connection if self.swallow_acks else None,
                    )
                    is_fresh = True
                else:
                    known = wire.Ack(known.ref, True, known.id, known.run)
                    is_fresh = False
                if self.swallow_acks:
                    self.swallow_acks -= 1
                    connection.transport.abort()
                else:
                    await self.send_one(connection, known, left)
                if is_fresh and self.answer is not None:
                    task = asyncio.create_task(self.play(str(known.run), self.answer(command.content)))
                    self._runs.add(task)
                    task.add_done_callback(self._runs.discard)
            case wire.History():
                older = [event for event in self.events if event.id < command.before][-command.limit :]
                page = wire.Page(command.cid, older, bool(older) and older[0].id > 1)
                await self.send_one(connection, page, left)
            case wire.Interrupt(run=run):
                await self.send_one(connection, wire.Ack(command.cid), left)
                if run == self.open_run:
                    await self.end(
                        wire.Interrupted(len(self.events) + 1, TIME, run, [1], [user], user, "user", self.text)
                    )
            case _:
                await self.send_one(connection, wire.Ack(command.cid, False), left)

    # ---- what a test makes happen -----------------------------------------------------------------

    async def log(self, event: Any, but: ServerConnection | None = None) -> None:
        """Append a durable event and show it."""
        self.events.append(event)
        await self.show(event, but)

    async def say(self, text: str, user: str = "ben") -> None:
        """Another person's message, without an answer."""
        id = len(self.events) + 1
        await self.log(wire.UserMessage(id, TIME, user, f"other-{id}", text, f"q{id}"))

    async def show(self, event: Any, but: ServerConnection | None = None) -> None:
        """Send something to all, as it is."""
        for connection in list(self.connections):
            if connection is not but:
                with contextlib.suppress(ConnectionClosed):
                    await self.send_one(connection, event)

    async def begin(self, run: str) -> None:
        self.open_run, self.text = run, ""
        await self.show(wire.Status(run, "thinking", [1], ["ada"]))

    async def token(self, text: str) -> None:
        """The next piece of the open run."""
        assert self.open_run is not None
        offset, self.text = len(self.text), self.text + text
        await self.show(wire.Token(self.open_run, offset, text))

    async def end(self, event: Any) -> None:
        """The last event of the open run."""
        self.open_run, self.text = None, ""
        await self.log(event)
        await self._tell()

    def done(self, run: str, text: str) -> wire.Done:
        return wire.Done(len(self.events) + 1, TIME, run, [1], ["ada"], text, "end_turn", wire.Usage())

    async def play(self, run: str, pieces: list[str]) -> None:
        """A whole answer."""
        await self.begin(run)
        for piece in pieces:
            if self.open_run != run:
                return  # interrupted
            await self.token(piece)
            await asyncio.sleep(self.piece_wait_s)
        if self.open_run == run:
            await self.end(self.done(run, "".join(pieces)))

    def cut(self) -> None:
        """Every connection breaks without a word."""
        for connection in list(self.connections):
            connection.transport.abort()

    def freeze(self) -> None:
        """Half-open: the connections stay, nothing is read or answered any more."""
        for connection in list(self.connections):
            connection.transport.pause_reading()

    async def close_all(self, code: int) -> None:
        for connection in list(self.connections):
            await connection.close(code)

    async def wait(self, condition: Callable[[], bool], within_s: float = 20.0) -> None:
        """Until something about this server is so."""
        async with asyncio.timeout(within_s), self.changed:
            await self.changed.wait_for(condition)

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
