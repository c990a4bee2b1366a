"""A local Messages API that does what a test tells it, also all the wrong things, and checks what it is sent.

In a test: `async with FakeMessagesAPI() as api: api.will(text("Hello")); … base_url=api.url` (replies are made in
`messages_replies`). Each request takes the next reply of the script; when none is left, `default`. A request that the
real API would refuse is kept in `violations` and answered with 400; leaving the `async with` raises if there are any.

As a process: `python -m tests.fakes.messages_api --port-file F --pieces N --delay-ms D`. The port is written to F when
it listens. `GET /_requests` there tells what came (JSON), `POST /_will` with `{"reply": "overloaded"}` scripts it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import struct
import sys
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from tests.fakes.messages_replies import (
    NAMED,
    Cut,
    Endless,
    Hang,
    Pings,
    Reply,
    Reset,
    Send,
    Sleep,
    Step,
    Wait,
    event,
    status,
    text,
    text_delta,
)
from tests.fakes.messages_rules import violations_of


@dataclass
class Request:
    """One request as it came. `closed` is set when its connection ended, `closed_at` says when by the loop's clock."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    came_at: float
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    closed_at: float | None = None
    replied: bool = False  # the whole reply was written
    pieces_sent: int = 0

    @property
    def messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.body["messages"]
        return messages


class FakeMessagesAPI:
    """See the module's docstring."""

    def __init__(self, default: Reply | None = None) -> None:
        self.default = default or text("Hello", " from", " the", " fake.")
        self.requests: list[Request] = []
        self.violations: list[str] = []
        self.connections = 0
        self.port = 0
        self._script: deque[Reply] = deque()
        self._server: asyncio.Server | None = None
        self._open: set[_Connection] = set()
        self._came = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def will(self, *replies: Reply) -> None:
        """The next replies, in order."""
        self._script.extend(replies)

    def next_reply(self) -> Reply:
        return self._script.popleft() if self._script else self.default

    async def wait_requests(self, count: int, within_s: float = 20.0) -> None:
        """Until so many requests have come."""
        async with asyncio.timeout(within_s), self._came:
            await self._came.wait_for(lambda: len(self.requests) >= count)

    async def tell(self) -> None:
        async with self._came:
            self._came.notify_all()

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def drop_connections(self) -> None:
        """Close all connections, also those that wait for a next request."""
        for connection in list(self._open):
            await connection.end()
        await asyncio.sleep(0.02)  # until the client's side has seen it

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self.drop_connections()
        await self._server.wait_closed()

    async def __aenter__(self) -> FakeMessagesAPI:
        await self.open()
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        await self.close()
        if kind is None:
            assert self.violations == [], self.violations


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, just enough of it; one reply at a time."""

    def __init__(self, api: FakeMessagesAPI) -> None:
        self._api = api
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Task[None] | None = None
        self._request: Request | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not its subclasses
        self._api._open.add(self)
        self._api.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._api._open.discard(self)
        self._writable.set()
        if self._request is not None and not self._request.closed.is_set():
            self._request.closed_at = asyncio.get_running_loop().time()
            self._request.closed.set()
        if self._reply is not None:
            self._reply.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._next()

    def _next(self) -> None:
        if self._reply is not None and not self._reply.done():
            return
        head, found, rest = bytes(self._received).partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._received = bytearray(rest[length:])
        try:
            body: Any = json.loads(rest[:length]) if length else None
        except ValueError:
            body = None
        now = asyncio.get_running_loop().time()
        self._reply = asyncio.create_task(self._answer(Request(method, path, headers, body, now)))
        self._reply.add_done_callback(self._ended)

    def _ended(self, reply: asyncio.Task[None]) -> None:
        if reply.cancelled():
            return
        if (trouble := reply.exception()) is not None:
            self._api.violations.append(f"the fake itself failed: {trouble!r}")
            self._transport_now.abort()
            return
        self._next()

    @property
    def _transport_now(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    async def _answer(self, request: Request) -> None:
        path = request.path.partition("?")[0]
        if path == "/_requests":
            return self._tell(self._about())
        if path == "/_will":
            self._api.will(NAMED[request.body["reply"]]())
            return self._tell({"ok": True})
        self._request = request
        self._api.requests.append(request)
        await self._api.tell()
        if request.method != "POST" or path != "/v1/messages":
            return self._send(status(404, "not_found_error"))
        broken = violations_of(request.headers, request.body)
        if broken:
            self._api.violations += broken
            return self._send(status(400, "invalid_request_error", "; ".join(broken)))
        await self._play(request, self._api.next_reply())
        return None

    def _about(self) -> dict[str, Any]:
        return {
            "violations": self._api.violations,
            "requests": [
                {"body": r.body, "closed": r.closed.is_set(), "replied": r.replied, "pieces_sent": r.pieces_sent}
                for r in self._api.requests
            ],
        }

    def _tell(self, value: Any) -> None:
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self._transport_now.write(head.encode() + body)

    def _send(self, reply: Reply) -> None:
        """A reply that is all bytes."""
        body = b"".join(step.data for step in reply.steps if isinstance(step, Send))
        head = [f"HTTP/1.1 {reply.status} Fake", f"content-length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in reply.headers]
        self._transport_now.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        if self._request is not None:
            self._request.replied = True

    async def _play(self, request: Request, reply: Reply) -> None:
        for step in reply.before:
            if not await self._step(request, step):
                return
        if reply.status != 200:
            return self._send(reply)
        head = ["HTTP/1.1 200 OK", "transfer-encoding: chunked", "request-id: req_fake"]
        head += [f"{name}: {value}" for name, value in reply.headers]
        self._transport_now.write("\r\n".join(head).encode() + b"\r\n\r\n")
        for step in reply.steps:
            if not await self._step(request, step):
                return
        request.replied = True
        self._transport_now.write(b"0\r\n\r\n")

    async def _chunk(self, data: bytes) -> None:
        if data:
            self._transport_now.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            await self._writable.wait()

    async def _step(self, request: Request, step: Step) -> bool:
        """Do one step; False when the connection is over."""
        transport = self._transport_now
        match step:
            case Send(data):
                await self._chunk(data)
                request.pieces_sent += b'"text_delta"' in data
            case Sleep(seconds):
                await asyncio.sleep(seconds)
            case Wait(reached):
                await reached.wait()
            case Pings(every_s):
                while True:
                    await self._chunk(event("ping").data)
                    await asyncio.sleep(every_s)
            case Endless(piece, delay_s):
                data = text_delta(piece).data
                while True:
                    await self._chunk(data)
                    request.pieces_sent += 1
                    await asyncio.sleep(delay_s)
            case Hang():
                await asyncio.Event().wait()
            case Reset():
                # Wait until what was written has left, or the RST would overtake it.
                while transport.get_write_buffer_size():
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0.02)
                raw_socket: socket.socket = transport.get_extra_info("socket")
                raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                transport.abort()
                return False
            case Cut():
                transport.close()
                return False
        return True

    async def end(self) -> None:
        """Stop replying and close."""
        if self._reply is not None and not self._reply.done():
            self._reply.cancel()
            await asyncio.wait([self._reply])
        self._transport_now.abort()


# ---- as a process --------------------------------------------------------------------------------


async def _serve(port_file: Path, default: Reply) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    api = FakeMessagesAPI(default)
    await api.open()
    partial = port_file.with_name(port_file.name + ".part")
    partial.write_text(str(api.port))
    os.replace(partial, port_file)  # whoever waits for the file never reads half a number
    await stop.wait()
    await api.close()
    for violation in api.violations:
        print(violation, file=sys.stderr)
    if api.violations:
        raise SystemExit(1)


def main() -> None:
    """Serve until SIGTERM; exit status 1 when a request broke the API's rules."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.messages_api")
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--pieces", type=int, default=20, help="pieces of each answer")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="pause before each piece")
    parser.add_argument("--piece", default="word{n} ", help="the text of a piece; {n} is its number")
    given = parser.parse_args()
    pieces = [given.piece.replace("{n}", str(n)) for n in range(given.pieces)]
    asyncio.run(_serve(given.port_file, text(*pieces, delay_s=given.delay_ms / 1000, output_tokens=given.pieces)))


if __name__ == "__main__":
    main()
