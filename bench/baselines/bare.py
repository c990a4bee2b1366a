"""Bare `websockets`: accept, and on the first frame's order broadcast. What the library alone costs.

An order: {"rooms": R, "frames": N, "per_s": P (0: as fast as it goes), "sizes": [..] or null (stamped tokens)}.
A client joins room `path`; a connection to /order gives the order and gets "done" when all was sent.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from contextlib import suppress

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

ROOMS: dict[str, set[ServerConnection]] = defaultdict(set)


async def stream(room: str, order: dict) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    offset = 0
    for number in range(order["frames"]):
        if order["per_s"]:
            await asyncio.sleep(max(0.0, started + number / order["per_s"] - loop.time()))
        else:
            await asyncio.sleep(0)
        if order["sizes"]:
            text = "x" * order["sizes"][number % len(order["sizes"])]
        else:
            content = f"{time.monotonic():.6f} "
            text = json.dumps({"type": "token", "run": "r1", "offset": offset, "content": content})
            offset += len(content)
        broadcast(ROOMS[room], text)


async def handler(connection: ServerConnection) -> None:
    assert connection.request is not None
    path = connection.request.path
    if path == "/order":
        order = json.loads(await connection.recv())
        async with asyncio.TaskGroup() as group:
            for number in range(order["rooms"]):
                group.create_task(stream(f"/rooms/room{number}", order))
        await connection.send("done")
        return
    ROOMS[path].add(connection)
    try:
        with suppress(ConnectionClosed):
            async for _ in connection:
                pass
    finally:
        ROOMS[path].discard(connection)


async def main() -> None:
    async with serve(
        handler, "127.0.0.1", 0, compression=None, max_size=65536, max_queue=4, backlog=512, ping_interval=None
    ) as server:
        print(f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}", flush=True)
        await asyncio.Future()


asyncio.run(main())
