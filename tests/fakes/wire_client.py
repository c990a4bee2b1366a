"""A client of the wire for tests, as somebody else would write it: raw JSON over `websockets`, nothing of ours."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect, unix_connect

Frame = dict[str, Any]


class WireClient:
    """One connection; `frames` keeps all that came. Use as an async context manager."""

    def __init__(
        self, address: str | Path, room: str = "main", user: str = "ada", *, resume: Frame | None = None,
        device: str | None = None, token: str | None = None, hello: bool = True,
        headers: dict[str, str] | None = None, subprotocols: list[str] | None = None,
    ) -> None:  # fmt: skip
        self.address = address
        self.room = room
        self.user = user
        self.resume = resume
        self.device = device or str(uuid.uuid4())
        self.frames: list[Frame] = []
        self._seen = 0
        self._hello = hello
        self._headers = dict(headers or {})
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._subprotocols = ["tui-agent.v1"] if subprotocols is None else subprotocols
        self.ws: ClientConnection
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self.closed = asyncio.Event()

    async def __aenter__(self) -> WireClient:
        options: Any = {
            "subprotocols": self._subprotocols, "compression": None, "max_size": 2**21, "proxy": None,
            "additional_headers": self._headers, "ping_interval": None,
        }  # fmt: skip
        if isinstance(self.address, Path):
            self.ws = await unix_connect(str(self.address), uri=f"ws://localhost/rooms/{self.room}", **options)
        else:
            self.ws = await connect(f"{self.address}/rooms/{self.room}", **options)
        if self._hello:
            hello: Frame = {"type": "hello", "client": "test/1.0", "device": self.device, "user": self.user}
            if self.resume is not None:
                hello["resume"] = self.resume
            await self.send(hello)
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.ws.close()
        if self._reader is not None:
            await self._reader

    async def _read(self) -> None:
        try:
            async for data in self.ws:
                async with self._news:
                    self.frames.append(json.loads(data))
                    self._news.notify_all()
        except Exception:
            pass
        finally:
            self.closed.set()
            async with self._news:
                self._news.notify_all()

    def cut(self) -> None:
        """The network is gone: no close frame."""
        self.ws.transport.abort()

    async def send(self, frame: Frame | str | bytes) -> None:
        await self.ws.send(json.dumps(frame) if isinstance(frame, dict) else frame)

    async def command(self, type: str, **fields: Any) -> str:
        """Send a command; returns its cid."""
        cid = fields.pop("cid", None) or str(uuid.uuid4())
        await self.send({"type": type, "cid": cid, **fields})
        return cid

    async def say(self, content: str, cid: str | None = None) -> Frame:
        """Send a message and wait for its ack or refusal."""
        cid = await self.command("message", content=content, cid=cid)
        return await self.answer_to(cid)

    async def answer_to(self, cid: str) -> Frame:
        """The ack, page, list or error of a command."""
        return await self.wait(lambda frame: frame.get("ref") == cid, from_start=True)

    async def wait(self, matches: Any, within_s: float = 20.0, *, from_start: bool = False) -> Frame:
        """The next frame (after those waited for before) that matches: a type's name or a function."""
        test = (lambda frame: frame["type"] == matches) if isinstance(matches, str) else matches
        place = 0 if from_start else self._seen
        async with asyncio.timeout(within_s), self._news:
            while True:
                while place < len(self.frames):
                    place += 1
                    if test(self.frames[place - 1]):
                        if not from_start:
                            self._seen = place
                        return self.frames[place - 1]
                if self.closed.is_set():
                    raise ConnectionError(f"closed {self.ws.close_code}, after {self.frames[-3:]}")
                await self._news.wait()

    def of(self, type: str) -> list[Frame]:
        """All frames of a type so far."""
        return [frame for frame in self.frames if frame["type"] == type]

    @property
    def durable(self) -> list[Frame]:
        """All durable events so far, also those inside a snapshot."""
        events: list[Frame] = []
        for frame in self.frames:
            if frame["type"] == "snapshot":
                events = list(frame["events"])
            elif "id" in frame and "time" in frame:
                events.append(frame)
        return events

    def text_of(self, run: str) -> str:
        """The tokens of a run put together; a gap or an overlap is a failure."""
        text = ""
        for frame in self.frames:
            if frame["type"] == "token" and frame["run"] == run:
                assert frame["offset"] == len(text), (frame, text)
                text += frame["content"]
        return text
