"""Lean receivers: a hand-written WebSocket client that counts, so that the load costs less than what is measured."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import time
import uuid
from typing import TypeVar
from urllib.parse import urlsplit

STAMP = re.compile(rb"(\d+\.\d{6}) ")


class Receiver(asyncio.Protocol):
    """Counts bytes; a `probe` also keeps its frames' payloads and when they came."""

    def __init__(self, host: str, path: str, *, probe: bool = False, subprotocol: str = "") -> None:
        self.host, self.path, self.probe = host, path, probe
        self.subprotocol = subprotocol
        self.bytes = 0
        self.frames: list[tuple[float, bytes]] = []
        self.upgraded = asyncio.get_running_loop().create_future()
        self._buffer = bytearray()
        self._head = b""
        self.news = asyncio.Event()
        self.lost = asyncio.get_running_loop().create_future()
        self.until: bytes | None = None
        self.found = asyncio.Event()

    def connection_made(self, transport) -> None:
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        extra = f"Sec-WebSocket-Protocol: {self.subprotocol}\r\n" if self.subprotocol else ""
        transport.write(
            f"GET {self.path} HTTP/1.1\r\nHost: {self.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if not self.upgraded.done():
            self._head += data
            if b"\r\n\r\n" not in self._head:
                return
            head, _, data = self._head.partition(b"\r\n\r\n")
            if b" 101 " not in head.split(b"\r\n")[0]:
                self.upgraded.set_exception(ConnectionError(head[:100].decode()))
                return
            self.upgraded.set_result(None)
        self.bytes += len(data)
        if self.until is not None and self.until in data:
            self.found.set()
        if self.probe:
            self._buffer += data
            self._parse(time.monotonic())
        elif data[:1] == b"\x89":  # a ping that comes by itself, as nearly all do
            self._pong(data[2 : 2 + data[1]])

    def _pong(self, payload: bytes) -> None:
        self.transport.write(bytes([0x8A, 0x80 | len(payload)]) + b"\0\0\0\0" + payload)

    def _parse(self, now_s: float) -> None:
        buffer = self._buffer
        while len(buffer) >= 2:
            size, start = buffer[1] & 0x7F, 2
            if size == 126:
                if len(buffer) < 4:
                    return
                size, start = int.from_bytes(buffer[2:4], "big"), 4
            elif size == 127:
                if len(buffer) < 10:
                    return
                size, start = int.from_bytes(buffer[2:10], "big"), 10
            if len(buffer) < start + size:
                return
            if buffer[0] & 0x0F == 1:
                self.frames.append((now_s, bytes(buffer[start : start + size])))
                self.news.set()
            elif buffer[0] & 0x0F == 9:
                self._pong(bytes(buffer[start : start + size]))
            del buffer[: start + size]

    def connection_lost(self, exc) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
        self.news.set()
        self.found.set()

    def send(self, payload: bytes) -> None:
        """One masked text frame (mask of zeros: nothing to compute)."""
        size = len(payload)
        if size < 126:
            head = bytes([0x81, 0x80 | size])
        elif size < 65536:
            head = bytes([0x81, 0x80 | 126]) + size.to_bytes(2, "big")
        else:
            head = bytes([0x81, 0x80 | 127]) + size.to_bytes(8, "big")
        self.transport.write(head + b"\0\0\0\0" + payload)

    async def wait(self, needle: bytes, within_s: float = 60) -> tuple[float, bytes]:
        """(probe) The first frame that holds `needle`."""
        async with asyncio.timeout(within_s):
            place = 0
            while True:
                while place < len(self.frames):
                    place += 1
                    if needle in self.frames[place - 1][1]:
                        return self.frames[place - 1]
                if self.lost.done():
                    raise ConnectionError("closed")
                self.news.clear()
                await self.news.wait()

    def delays_ms(self) -> list[float]:
        """(probe) How old each stamped token was when it came."""
        return [
            (at_s - float(stamp)) * 1000
            for at_s, payload in self.frames
            if b'"token"' in payload or b"token" in payload[:40]
            for stamp in STAMP.findall(payload)
        ]


R = TypeVar("R", bound=Receiver)


async def open_receiver(
    address: str, path: str, *, probe: bool = False, hello: str = "", ours: bool = False, kind: type[R] = Receiver
) -> R:
    """Connect; with `ours` also say hello as `hello`."""
    parts = urlsplit(address)
    loop = asyncio.get_running_loop()
    subprotocol = "tui-agent.v1" if ours else ""
    _, receiver = await loop.create_connection(
        lambda: kind(parts.netloc, path, probe=probe, subprotocol=subprotocol), parts.hostname, parts.port
    )
    await receiver.upgraded
    if ours:
        about = {"type": "hello", "client": "bench/1", "device": str(uuid.uuid4()), "user": hello or "ada"}
        receiver.send(json.dumps(about).encode())
    return receiver


def message(content: str = "go") -> bytes:
    """A message command with a cid of its own."""
    return json.dumps({"type": "message", "cid": str(uuid.uuid4()), "content": content}).encode()
