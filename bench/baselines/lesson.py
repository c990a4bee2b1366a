"""The FastAPI server of the common tutorial: a ConnectionManager with a list, `send_text(json.dumps(...))` to each."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()


class ConnectionManager:
    def __init__(self) -> None:
        self.rooms: dict[str, list[WebSocket]] = {}

    async def connect(self, room: str, websocket: WebSocket) -> None:
        await websocket.accept()
        self.rooms.setdefault(room, []).append(websocket)

    async def broadcast(self, room: str, message: dict) -> None:
        for connection in self.rooms.get(room, []):
            await connection.send_text(json.dumps(message))


manager = ConnectionManager()


async def stream(room: str, order: dict) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    for number in range(order["frames"]):
        await asyncio.sleep(max(0.0, started + number / order["per_s"] - loop.time()))
        await manager.broadcast(room, {"type": "token", "run": "r1", "content": f"{time.monotonic():.6f} "})


@app.websocket("/order")
async def take_order(websocket: WebSocket) -> None:
    await websocket.accept()
    order = json.loads(await websocket.receive_text())
    await asyncio.gather(*(stream(f"room{number}", order) for number in range(order["rooms"])))
    await websocket.send_text("done")


@app.websocket("/rooms/{room}")
async def join(websocket: WebSocket, room: str) -> None:
    await manager.connect(room, websocket)
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        manager.rooms[room].remove(websocket)


if __name__ == "__main__":
    sock = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(f"ws://127.0.0.1:{sock.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        app, log_level="error", loop="asyncio", ws="websockets-sansio", ws_per_message_deflate=False
    )
    uvicorn.Server(config).run(sockets=[sock])
