"""python-socketio on uvicorn: clients join a room, each token is one `emit` to it."""

from __future__ import annotations

import asyncio
import socket
import time

import socketio
import uvicorn

sio = socketio.AsyncServer(async_mode="asgi", ping_interval=3600)  # the load does not answer pings
app = socketio.ASGIApp(sio)


async def stream(room: str, order: dict) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    for number in range(order["frames"]):
        await asyncio.sleep(max(0.0, started + number / order["per_s"] - loop.time()))
        await sio.emit("token", {"run": "r1", "content": f"{time.monotonic():.6f} "}, room=room)


@sio.event
async def join(sid: str, room: str) -> None:
    await sio.enter_room(sid, room)


@sio.event
async def order(sid: str, what: dict) -> None:
    await asyncio.gather(*(stream(f"room{number}", what) for number in range(what["rooms"])))
    await sio.emit("done", to=sid)


if __name__ == "__main__":
    sock = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(f"ws://127.0.0.1:{sock.getsockname()[1]}", flush=True)
    uvicorn.Server(
        uvicorn.Config(app, log_level="error", loop="asyncio", ws="websockets-sansio", ws_per_message_deflate=False)
    ).run(sockets=[sock])
