"""Crowds: peers that never finish a handshake, idle connections by the thousand, storms; the others must not notice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from pathlib import Path
from typing import Any

from tests.attacks.raw import Raw, dial, frame, join, open_files, rss_bytes, upgrade
from tests.fakes.process import ServerProcess
from tests.fakes.wire_client import WireClient

LET_GO_S = 14.0  # the upgrade and the hello have 10 s each


async def slowloris(folder: Path, seed: int, peers: int) -> dict[str, float]:
    """A third says nothing, a third sends its request byte by byte, a third is upgraded and never says hello."""
    chance = random.Random(seed)
    async with ServerProcess(folder, "--agent", "demo", env={"TUI_AGENT_COMMAND_BURST": "0"}) as server:
        async with WireClient(server.socket, "calm", "guest") as guest:
            await guest.wait("snapshot")
            calm_ms = await _round_trips(guest, 100)
            files = open_files(server.process.pid)
            began_s = time.monotonic()
            crowd: list[Raw] = []
            for number in range(peers):
                crowd.append(await (upgrade(server.socket) if number % 3 == 2 else dial(server.socket)))
            dribbling = asyncio.ensure_future(_dribble(crowd[1::3], chance))
            attacked_ms = await _round_trips(guest, 100)
            let_go = await asyncio.gather(*(_gone(raw, began_s) for raw in crowd))
            dribbling.cancel()
            assert (await guest.say("here"))["type"] == "ack"
            for raw in crowd:
                raw.abort()
            async with asyncio.timeout(5):
                while open_files(server.process.pid) > files:
                    await asyncio.sleep(0.05)
    late = [seconds for seconds in let_go if seconds > LET_GO_S]
    assert not late, f"{len(late)} were still there after {LET_GO_S} s"
    return {
        "peers": peers,
        "let go": len(let_go),
        "after at most, s": round(max(let_go), 1),
        "p99 of a guest, calm, ms": round(calm_ms, 2),
        "p99 of a guest, attacked, ms": round(attacked_ms, 2),
    }


async def _dribble(crowd: list[Raw], chance: random.Random) -> None:
    request = b"GET /rooms/main HTTP/1.1\r\nHost: localhost\r\nX-Padding: " + b"x" * 500
    for place in range(len(request)):
        for raw in crowd:
            with contextlib.suppress(OSError):
                raw.writer.write(request[place : place + 1])
        await asyncio.sleep(chance.uniform(0.05, 0.2))


async def _gone(raw: Raw, began_s: float) -> float:
    await raw.wait_closed(LET_GO_S + 10)
    return time.monotonic() - began_s


async def _round_trips(guest: WireClient, count: int) -> float:
    """The p99 in milliseconds of a command that the server answers by itself."""
    delays_ms = []
    for _ in range(count):
        began_s = time.perf_counter()
        await guest.answer_to(await guest.command("interrupt", run="r0"))
        delays_ms.append((time.perf_counter() - began_s) * 1000)
    return sorted(delays_ms)[int(count * 0.99) - 1]


async def crowds(folder: Path, seed: int, idle: int, storms: int, trips: int) -> dict[str, float]:
    """A guest's p99 beside idle connections, a reader that stops, a flood and connection storms, each against calm."""
    env = {
        "TUI_AGENT_CONNECTIONS": str(idle + 500),
        "TUI_AGENT_CONNECTIONS_PER_USER": str(idle + 500),
        "TUI_AGENT_DEMO_TOKENS_PER_S": "200",
    }
    figures: dict[str, float] = {}
    async with ServerProcess(folder, "--agent", "demo", env=env) as server:
        guest = Pacer(server.socket)
        async with guest:
            await guest.p99_ms(trips)  # warm
            began_bytes = rss_bytes(server.process.pid)
            for name, disturb in (
                ("idle connections", idle_crowd(server, idle)),
                ("a reader that stops", stopped_reader(server)),
                ("a flood of frames", flood(server)),
                ("connection storms", storm(server, storms)),
            ):
                calm_ms = await guest.p99_ms(trips)
                async with disturb:
                    disturbed_ms = await guest.p99_ms(trips)
                calm_ms = max(calm_ms, await guest.p99_ms(trips))
                figures[f"p99 beside {name}, ms"] = round(disturbed_ms, 2)
                figures[f"p99 beside {name}, against calm"] = round(disturbed_ms / calm_ms, 2)
            figures["server grew, MiB"] = round((rss_bytes(server.process.pid) - began_bytes) / 2**20, 1)
    assert figures["server grew, MiB"] < 50, figures
    return figures


class Pacer:
    """A guest that asks something small 200 times a second; its own pace never depends on the answers of others."""

    def __init__(self, address: Path) -> None:
        self.client = WireClient(address, "guests", "guest")

    async def __aenter__(self) -> Pacer:
        await self.client.__aenter__()
        await self.client.wait("snapshot")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.client.__aexit__(*exc_info)

    async def p99_ms(self, trips: int) -> float:
        """Round trips of a WebSocket ping: answered by the same loop that serves the rooms."""
        delays_ms = []
        for _ in range(trips):
            began_s = time.perf_counter()
            await (await self.client.ws.ping())
            delays_ms.append((time.perf_counter() - began_s) * 1000)
            await asyncio.sleep(0.004)
        return sorted(delays_ms)[int(trips * 0.99) - 1]


@contextlib.asynccontextmanager
async def idle_crowd(server: ServerProcess, count: int) -> AsyncIterator[None]:
    """Welcomed connections that say nothing."""
    crowd = []
    for number in range(count):
        crowd.append(await join(server.socket, user=f"u{number % 97}", room=f"idle{number % 20}"))
    reading = [asyncio.ensure_future(raw.wait_closed(600)) for raw in crowd]
    try:
        yield
    finally:
        for raw, read in zip(crowd, reading, strict=True):
            read.cancel()
            raw.abort()
        await asyncio.gather(*reading, return_exceptions=True)


@contextlib.asynccontextmanager
async def stopped_reader(server: ServerProcess) -> AsyncIterator[None]:
    """A member that asks for long answers in the guest's room and reads nothing."""
    raw = await join(server.socket, room="guests")
    raw.writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.writer.transport.pause_reading()
    for number in range(4):
        raw.writer.write(frame(json.dumps({"type": "message", "cid": f"s{number}", "content": "long"}).encode()))
    try:
        yield
    finally:
        raw.abort()


@contextlib.asynccontextmanager
async def flood(server: ServerProcess) -> AsyncIterator[None]:
    """Four members that send as fast as they can, and come back when they are thrown out."""

    async def one(number: int) -> None:
        while True:
            with contextlib.suppress(OSError, AssertionError):
                raw = await join(server.socket, user=f"flood{number}", room="flooded")
                payload = b"".join(
                    frame(json.dumps({"type": "message", "cid": f"{n}", "content": "x" * 2000}).encode())
                    for n in range(50)
                )
                reading = asyncio.ensure_future(raw.wait_closed(60))
                while not reading.done():
                    raw.writer.write(payload)
                    await raw.writer.drain()
                    await asyncio.sleep(0.001)
                raw.abort()
            await asyncio.sleep(0.05)

    async with running(one(number) for number in range(4)):
        yield


@contextlib.asynccontextmanager
async def storm(server: ServerProcess, count: int) -> AsyncIterator[None]:
    """Another process that opens `count` connections at once, again and again."""
    script = Path(__file__).with_name("stormer.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", str(script), str(server.socket), str(count), "0.2", env=server.env,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield
    finally:
        process.kill()
        await process.communicate()


@contextlib.asynccontextmanager
async def running(work: Iterable[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
