"""A WebSocket spoken by hand, so that everything that a library would not let one send can be sent."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.faults.proxy import Frames

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def frame(
    payload: bytes, *, opcode: int = 1, fin: bool = True, rsv: int = 0, masked: bool = True, size: int = -1
) -> bytes:
    """One frame; `size` lies about the length."""
    size = len(payload) if size < 0 else size
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    mask_bit = 0x80 if masked else 0
    if size < 126:
        head += bytes([mask_bit | size])
    elif size < 65_536:
        head += bytes([mask_bit | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([mask_bit | 127]) + size.to_bytes(8, "big")
    return head + (b"\0\0\0\0" if masked else b"") + payload  # a mask of zeros: nothing to compute


class Raw:
    """One connection; `closed_with` is the close code that came, 1006 for none."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.head = b""
        self.closed_with: int | None = None
        self._frames = Frames()

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1]) if self.head else 0

    async def frames(self) -> Iterator[bytes]:
        """Payloads of text frames as they come; empty at the end, with `closed_with` set."""
        while True:
            try:
                data = await self.reader.read(65_536)
            except OSError:
                data = b""
            if not data:
                self.closed_with = self.closed_with or 1006
                return
            for whole, payload in self._frames.feed(data):
                if payload is not None:
                    yield payload
                elif whole[:1] == b"\x88":
                    self.closed_with = int.from_bytes(whole[2:4], "big")
                elif whole[:1] == b"\x89":
                    self.writer.write(frame(whole[2:], opcode=0xA))

    async def wait_closed(self, within_s: float = 15) -> int:
        async with asyncio.timeout(within_s):
            async for _ in self.frames():
                pass
        assert self.closed_with is not None
        return self.closed_with

    def abort(self) -> None:
        self.writer.transport.abort()


async def dial(address: Path | str) -> Raw:
    """A connection with nothing said."""
    if isinstance(address, Path):
        return Raw(*await asyncio.open_unix_connection(str(address)))
    parts = urlsplit(address)
    return Raw(*await asyncio.open_connection(parts.hostname, parts.port))


async def upgrade(address: Path | str, path: str = "/rooms/main", *, headers: str = "", host: str = "localhost") -> Raw:
    """Ask for the upgrade; the head of the answer is in `head`."""
    raw = await dial(address)
    raw.writer.write(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}"
        f"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: tui-agent.v1\r\n{headers}\r\n".encode()
    )
    try:
        raw.head = await raw.reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        raw.head = b""
    raw._frames._is_upgraded = True
    return raw


async def join(address: Path | str, user: str = "mallory", room: str = "main", **options: str) -> Raw:
    """Upgraded and welcomed."""
    raw = await upgrade(address, f"/rooms/{room}", **options)
    assert raw.status == 101, raw.head
    raw.writer.write(frame(hello(user)))
    return raw


def hello(user: str) -> bytes:
    return json.dumps({"type": "hello", "client": "raw/1", "device": str(uuid.uuid4()), "user": user}).encode()


def rss_bytes(pid: int, what: str = "VmRSS") -> int:
    """What a process holds in memory; with "VmHWM" the most that it has held."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024
    return 0


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
