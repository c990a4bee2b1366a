"""Crowds: peers that never finish a handshake, idle connections by the thousand, storms; the others must not notice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from statistics import median

from tests.attacks.raw import Raw, dial, frame, join, open_files, rss_bytes, upgrade
from tests.fakes.process import ServerProcess
from tests.fakes.wire_client import WireClient

LET_GO_S = 14.0  # the upgrade and the hello have 10 s each
SERVER = str(Path(__file__).with_name("stamping_server.py"))
CROWD = str(Path(__file__).with_name("crowd.py"))
STAMP = re.compile(rb"(\d+\.\d{6}) ")
REACH = 1.5
AGAINST = ", against calm"
NAMES = {
    "idle": "idle connections",
    "stopped": "readers that stop",
    "flood": "a flood of frames",
    "storm": "connection storms",
}
ELSEWHERE = f"{NAMES['storm']} at another server"


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


async def crowds(
    folder: Path,
    seed: int,
    idle: int,
    storms: int,
    rounds: int,
    trips: int,
    rooms: int,
    members: int,
    pieces: int,
    let_pass_ms: float = 0,
) -> dict[str, float]:
    """Others' p99 beside each crowd, against calm: of a ping to a server with nothing else to do, and of the age of a
    token at a server at work (`rooms` x `members`, 100 tokens a second in each room).

    A storm takes processors from whoever measures, wherever it goes. So it also goes to another server: what that does
    to the others is the machine's part.

    Raises AssertionError where one is REACH times calm, and beside a storm also REACH times the machine's part;
    `let_pass_ms` lets smaller ones pass (a machine that is shared).
    """
    sizes = {"idle": idle, "stopped": 2, "flood": 4, "storm": storms}
    figures: dict[str, float] = {}
    grown_bytes = 0
    for at_work in (True, False):
        place = folder / ("work" if at_work else "quiet")
        other_place = place / "other"
        other_place.mkdir(parents=True)
        async with (
            ServerProcess(place, script=SERVER, env={"PIECES": str(pieces)}) as server,
            ServerProcess(other_place, script=SERVER, env={"PIECES": str(pieces)}) as other,
        ):
            async with at_server(server, rooms if at_work else 0, members) as work, Pacer(server.socket) as guest:
                measure = work.p99_age_ms if at_work else partial(guest.p99_ms, trips)
                await measure()  # warm
                began_bytes = rss_bytes(server.process.pid)
                what = "token's age at work" if at_work else "ping, idle server"
                for kind, count in sizes.items():
                    calm_ms, disturbed_ms, ratio = await against_calm(server, kind, count, rounds, measure)
                    figures[f"{what}: p99 beside {NAMES[kind]}, ms"] = round(disturbed_ms, 2)
                    figures[f"{what}: p99 calm then, ms"] = round(calm_ms, 2)
                    figures[f"{what}: beside {NAMES[kind]}{AGAINST}"] = round(ratio, 2)
                _, disturbed_ms, ratio = await against_calm(other, "storm", storms, rounds, measure)
                figures[f"{what}: p99 beside {ELSEWHERE}, ms"] = round(disturbed_ms, 2)
                figures[f"{what}: beside {ELSEWHERE}{AGAINST}"] = round(ratio, 2)
                grown_bytes = max(grown_bytes, rss_bytes(server.process.pid) - began_bytes)
    figures["server grew, MiB"] = round(grown_bytes / 2**20, 1)
    late = [
        name
        for name, ratio in figures.items()
        if name.endswith(AGAINST)
        and ELSEWHERE not in name
        and ratio >= REACH * _machines_part(name, figures)
        and figures[name.replace(": beside", ": p99 beside").replace(AGAINST, ", ms")] >= let_pass_ms
    ]
    assert not late, f"too late: {late}: {figures}"
    assert figures["server grew, MiB"] < 50, figures
    return figures


def _machines_part(name: str, figures: dict[str, float]) -> float:
    return max(1.0, figures[name.replace(NAMES["storm"], ELSEWHERE)]) if NAMES["storm"] in name else 1.0


async def against_calm(
    server: ServerProcess, kind: str, count: int, rounds: int, measure: Callable[[], Awaitable[float]]
) -> tuple[float, float, float]:
    """Medians of so many rounds: calm, beside the crowd, and their ratio (each round's calm is before and after it)."""
    calms_ms, disturbed_ms, ratios = [await measure()], [], []
    for _ in range(rounds):
        async with crowd(server, kind, count):
            disturbed_ms.append(await measure())
        calms_ms.append(await measure())
        ratios.append(disturbed_ms[-1] / ((calms_ms[-2] + calms_ms[-1]) / 2))
    return median(calms_ms), median(disturbed_ms), median(ratios)


@contextlib.asynccontextmanager
async def crowd(server: ServerProcess, kind: str, count: int) -> AsyncIterator[None]:
    """Another process that is a crowd while the block runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", CROWD, kind, str(server.socket), str(count), env=server.env,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"ready\n", "the crowd broke up"
        yield
        assert process.returncode is None, "the crowd broke up"
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


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
        return p99(delays_ms)


def p99(values: list[float]) -> float:
    return sorted(values)[max(0, int(len(values) * 0.99) - 1)]


class Work:
    """Rooms at work: one member of each asks and looks how old each token is, the others only read."""

    def __init__(self, probes: list[Raw]) -> None:
        self._probes = probes

    async def p99_age_ms(self) -> float:
        """One answer in every room; the 99th percentile of the tokens' ages when they came."""
        ages_ms = await asyncio.gather(*(self._ask(probe) for probe in self._probes))
        return p99([age_ms for room in ages_ms for age_ms in room])

    @staticmethod
    async def _ask(probe: Raw) -> list[float]:
        message = {"type": "message", "cid": str(uuid.uuid4()), "content": "go"}
        probe.writer.write(frame(json.dumps(message).encode()))
        ages_ms: list[float] = []
        async with asyncio.timeout(60):
            async for payload in probe.frames():
                now_s = time.monotonic()
                if payload.startswith(b'{"type":"token"'):
                    ages_ms += [(now_s - float(stamp)) * 1000 for stamp in STAMP.findall(payload)]
                elif payload.startswith(b'{"type":"done"'):
                    return ages_ms
        raise AssertionError(f"a room at work ended with {probe.closed_with}")


class Sink(asyncio.Protocol):
    """A member that reads and looks at nothing, as cheaply as it goes; pings are answered."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data[:1] == b"\x89":  # they come by themselves
            self.transport.write(frame(data[2 : 2 + data[1]], opcode=0xA))


@contextlib.asynccontextmanager
async def at_server(server: ServerProcess, rooms: int, members: int) -> AsyncIterator[Work]:
    """`members` in each of `rooms` rooms."""
    probes, sinks = [], []
    for number in range(rooms):
        for member in range(members):
            raw = await join(server.socket, user=f"w{member}", room=f"room{number}")
            if member == 0:
                probes.append(raw)
            else:
                sinks.append(raw)
                sink = Sink()
                raw.writer.transport.set_protocol(sink)
                sink.connection_made(raw.writer.transport)
    try:
        yield Work(probes)
    finally:
        for raw in probes + sinks:
            raw.abort()
