"""A TCP proxy that does to a connection what networks do: cut, stall, delay, split, lose single frames, go half-open.

`async with Proxy(upstream) as proxy:` listens on `proxy.address` (ws://127.0.0.1:PORT) and passes bytes on to a Unix
socket or a `ws://…` address. `proxy.faults` holds for every connection, open ones too, from the moment it is set.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

READ_BYTES: Final = 65_536


@dataclass
class Faults:
    """Bytes count from the beginning of each connection, the upgrade included. None and 0 mean: does not happen."""

    cut_up_after: int | None = None  # client to server
    cut_down_after: int | None = None  # server to client
    delay_s: float = 0.0  # before each read is passed on
    split_bytes: int = 0  # pass on in bits of so many bytes
    swallow: Callable[[bytes], bool] | None = None  # payloads of text frames to the client that are lost
    is_refusing: bool = False  # new connections are torn down at once


@dataclass(eq=False)
class Piped:
    """One connection through the proxy."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    up: int = 0
    down: int = 0
    frames: Frames = field(default_factory=lambda: Frames())

    def cut(self) -> None:
        """Both sides get a reset, as when a cable is pulled and the peer comes back."""
        for writer in (self.client, self.server):
            reset(writer)


class Frames:
    """Splits what a server sends into the upgrade's head and whole frames; `feed` yields (bytes, text payload)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._is_upgraded = False

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes | None]]:
        self._buffer += data
        if not self._is_upgraded:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._is_upgraded = True
            yield self._take(end + 4), None
        while (sizes := self._sizes()) is not None:
            head, size = sizes
            if len(self._buffer) < head + size:
                return
            whole = self._take(head + size)
            yield whole, whole[head:] if whole[0] == 0x81 else None

    def _sizes(self) -> tuple[int, int] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size = buffer[1] & 0x7F
        if size < 126:
            return 2, size
        extra = 2 if size == 126 else 8
        if len(buffer) < 2 + extra:
            return None
        return 2 + extra, int.from_bytes(buffer[2 : 2 + extra], "big")

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Proxy:
    """Use as an async context manager; leaving it ends every connection."""

    def __init__(self, upstream: Path | str, *, sees_frames: bool = False) -> None:
        """`sees_frames` passes on whole frames only and lets `faults.swallow` lose some."""
        self.upstream = upstream
        self.sees_frames = sees_frames
        self.faults = Faults()
        self.accepted = 0
        self.accepted_at_s: list[float] = []
        self.swallowed = 0
        self.last_up = 0  # bytes that went through the connection that ended last
        self.last_down = 0
        self._open: set[Piped] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server
        self.address = ""

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=512)
        self.address = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        self.resume()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def cut(self) -> None:
        """Cut every open connection."""
        for piped in list(self._open):
            piped.cut()

    def stall(self) -> None:
        """From now on nothing goes through and nobody is told: half-open."""
        self._flowing.clear()

    def resume(self) -> None:
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.accepted += 1
        self.accepted_at_s.append(asyncio.get_running_loop().time())
        if self.faults.is_refusing:
            reset(writer)
            return
        try:
            up_reader, up_writer = await self._connect()
        except OSError:
            reset(writer)
            return
        piped = Piped(writer, up_writer)
        self._open.add(piped)
        pumps = [asyncio.ensure_future(self._up(reader, piped)), asyncio.ensure_future(self._down(up_reader, piped))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._open.discard(piped)
            self.last_up, self.last_down = piped.up, piped.down
            piped.client.close()
            piped.server.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.upstream, Path):
            return await asyncio.open_unix_connection(str(self.upstream))
        parts = urlsplit(self.upstream)
        return await asyncio.open_connection(parts.hostname, parts.port)

    async def _up(self, reader: asyncio.StreamReader, piped: Piped) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(READ_BYTES):
                allowed = self._allowed(self.faults.cut_up_after, piped.up, data)
                piped.up += len(allowed)
                await self._pass_on(piped.server, allowed)
                if len(allowed) < len(data) or piped.up == self.faults.cut_up_after:
                    piped.cut()
                    return

    async def _down(self, reader: asyncio.StreamReader, piped: Piped) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(READ_BYTES):
                if self.sees_frames:
                    data = self._without_swallowed(piped, data)
                allowed = self._allowed(self.faults.cut_down_after, piped.down, data)
                piped.down += len(allowed)
                await self._pass_on(piped.client, allowed)
                if len(allowed) < len(data) or piped.down == self.faults.cut_down_after:
                    piped.cut()
                    return

    def _without_swallowed(self, piped: Piped, data: bytes) -> bytes:
        kept = bytearray()
        for whole, payload in piped.frames.feed(data):
            if payload is not None and self.faults.swallow is not None and self.faults.swallow(payload):
                self.swallowed += 1
            else:
                kept += whole
        return bytes(kept)

    @staticmethod
    def _allowed(limit: int | None, passed: int, data: bytes) -> bytes:
        return data if limit is None else data[: max(0, limit - passed)]

    async def _pass_on(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        faults = self.faults
        if faults.delay_s:
            await asyncio.sleep(faults.delay_s)
        step = faults.split_bytes or max(1, len(data))
        for place in range(0, len(data), step):
            await self._flowing.wait()
            writer.write(data[place : place + step])
            await writer.drain()
            if faults.split_bytes:
                await asyncio.sleep(0)
