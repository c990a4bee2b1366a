"""Crowds: peers that never finish a handshake, idle connections by the thousand, storms; the others must not notice."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from pathlib import Path

from tests.attacks.raw import Raw, dial, open_files, upgrade
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
