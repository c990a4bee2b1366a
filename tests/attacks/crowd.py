"""A process that is a crowd: `python crowd.py KIND SOCKET COUNT`. Says `ready` when it stands; goes on until killed.

It gives way to whoever is measured (nice): real crowds bring processors of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from pathlib import Path

from tests.attacks.raw import Raw, frame, join

STORM_PAUSE_S = 0.2


async def idle(address: Path, count: int) -> None:
    """Welcomed connections that say nothing."""
    crowd = []
    for number in range(count):
        raw = await join(address, user=f"u{number % 97}", room=f"idle{number % 20}")
        await _wait_snapshot(raw)
        crowd.append(raw)
    reading = [asyncio.ensure_future(raw.wait_closed(600)) for raw in crowd]
    await asyncio.sleep(0.3)  # the last ones' joins are told to the others
    ready()
    await asyncio.gather(*reading)


async def stopped(address: Path, count: int) -> None:
    """Members that read nothing: in a room at work, and in one whose answers are fat; let go, they come again."""

    async def one(room: str, number: int) -> None:
        while True:
            with contextlib.suppress(OSError, AssertionError):
                raw = await join(address, user=f"stopped{number}", room=room)
                raw.writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                await asyncio.sleep(0.1)
                raw.writer.transport.pause_reading()
                if room == "fat":
                    for cid in range(3):
                        message = {"type": "message", "cid": f"s{cid}", "content": "fat"}
                        raw.writer.write(frame(json.dumps(message).encode()))
                ready()
                await asyncio.sleep(12)  # stuck for 10 s is what the server closes at the latest
                raw.abort()

    await asyncio.gather(*(one(("room0", "fat")[number % 2], number) for number in range(count)))


async def flood(address: Path, count: int) -> None:
    """Members that send as fast as they can, and come back when they are thrown out."""
    payload = b"".join(
        frame(json.dumps({"type": "message", "cid": f"{n}", "content": "x" * 2000}).encode()) for n in range(50)
    )

    async def one(number: int) -> None:
        while True:
            with contextlib.suppress(OSError, AssertionError):
                raw = await join(address, user=f"flood{number}", room="flooded")
                reading = asyncio.ensure_future(raw.wait_closed(60))
                ready()
                while not reading.done():
                    raw.writer.write(payload)
                    await raw.writer.drain()
                    await asyncio.sleep(0.001)
                raw.abort()
            await asyncio.sleep(0.05)

    await asyncio.gather(*(one(number) for number in range(count)))


async def storm(address: Path, count: int) -> None:
    """Bursts of connections: half of them come in and go at once, half drop in the middle of the upgrade."""

    async def one(number: int) -> None:
        with contextlib.suppress(OSError, AssertionError):
            if number % 2:
                raw = await join(address, user=f"storm{number}", room="storm")
                await raw.reader.read(1)
                raw.abort()
            else:
                _, writer = await asyncio.open_unix_connection(str(address))
                writer.write(b"GET /rooms/main HTTP/1.1\r\nHost: localhost\r\nUpg")
                await writer.drain()
                writer.transport.abort()

    while True:
        await asyncio.gather(*(one(number) for number in range(count)))
        ready()
        await asyncio.sleep(STORM_PAUSE_S)


async def _wait_snapshot(raw: Raw) -> None:
    async with asyncio.timeout(30):
        async for payload in raw.frames():
            if payload.startswith(b'{"type":"snapshot"'):
                return
    raise AssertionError(f"turned away with {raw.closed_with}")


_is_ready = False


def ready() -> None:
    """Tell whoever waits, once."""
    global _is_ready
    if not _is_ready:
        _is_ready = True
        os.write(1, b"ready\n")


KINDS = {crowd.__name__: crowd for crowd in (idle, stopped, flood, storm)}

if __name__ == "__main__":
    os.nice(10)
    asyncio.run(KINDS[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3])))
