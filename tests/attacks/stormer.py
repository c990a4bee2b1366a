"""A process that opens bursts of connections and drops them: `python stormer.py SOCKET BURST PAUSE_S`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path

from tests.attacks.raw import join


async def one(socket: Path, number: int) -> None:
    """Half of them come in for good and go at once; half drop in the middle of the upgrade."""
    with contextlib.suppress(OSError, AssertionError):
        if number % 2:
            raw = await join(socket, user=f"storm{number}", room="storm")
            await raw.reader.read(1)
            raw.abort()
        else:
            _, writer = await asyncio.open_unix_connection(str(socket))
            writer.write(b"GET /rooms/main HTTP/1.1\r\nHost: localhost\r\nUpg")
            await writer.drain()
            writer.transport.abort()


async def main() -> None:
    socket, burst, pause_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    os.write(1, b"storming\n")
    while True:
        began_s = time.monotonic()
        await asyncio.gather(*(one(socket, number) for number in range(burst)))
        os.write(1, b"%d in %.3f s\n" % (burst, time.monotonic() - began_s))
        await asyncio.sleep(pause_s)


if __name__ == "__main__":
    asyncio.run(main())
