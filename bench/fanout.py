"""Delivering: CPU a frame, many rooms at once, one member that stops reading."""

from __future__ import annotations

import asyncio
import json
import socket

from bench.crowd import joined
from bench.load import Receiver, message, open_receiver
from bench.procs import median, ours, percentile, started
from bench.table import Row

BARE, LESSON, SIO = "bench.baselines.bare", "bench.baselines.lesson", "bench.baselines.sio"


async def flood(rounds: int = 3) -> Row:
    """100 members, as fast as it goes: the frames that our server sends, then the same ones by bare broadcast."""
    members, ratios, costs = 100, [], []
    for _ in range(rounds):
        with ours("--pieces", "1500", "--size", "300") as server:
            probe = await open_receiver(server.address, "/rooms/main", probe=True, hello="probe", ours=True)
            others = [
                await open_receiver(server.address, "/rooms/main", hello=f"u{n}", ours=True) for n in range(members - 1)
            ]
            await asyncio.sleep(0.6)
            cpu_s, first = server.cpu_s, len(probe.frames)
            for _ in range(4):
                seen = len(probe.frames)
                probe.send(message())
                await probe_done(probe, seen)
            our_s = server.cpu_s - cpu_s
            sizes = [len(payload) for _, payload in probe.frames[first:]]
            close([probe, *others])
        with started(BARE) as server:
            receivers = [await open_receiver(server.address, "/rooms/room0") for _ in range(members)]
            await asyncio.sleep(0.3)
            cpu_s = server.cpu_s
            await order(server.address, {"rooms": 1, "frames": len(sizes), "per_s": 0, "sizes": sizes})
            bare_s = server.cpu_s - cpu_s
            close(receivers)
        frames = len(sizes) * members
        costs.append((our_s / frames * 1e6, bare_s / frames * 1e6))
        ratios.append(our_s / bare_s)
    shown = f"{median([a for a, _ in costs]):.1f} us against {median([b for _, b in costs]):.1f} us"
    return Row("CPU a delivered frame, 100 members, flat out", "bare broadcast", f"{median(ratios):.2f}x", "≤ 1.3x",
               median(ratios) <= 1.3, shown)  # fmt: skip


async def probe_done(probe: Receiver, seen: int) -> None:
    """Until the terminal event of the next answer."""
    async with asyncio.timeout(60):
        while True:
            for _, payload in probe.frames[seen:]:
                if payload.startswith(b'{"type":"done"'):
                    return
            if probe.lost.done():
                raise ConnectionError("closed")
            seen = len(probe.frames)
            probe.news.clear()
            await probe.news.wait()


def close(receivers: list[Receiver]) -> None:
    for receiver in receivers:
        receiver.transport.abort()


async def order(address: str, what: dict) -> None:
    """Have a baseline send, and wait until it has."""
    boss = await open_receiver(address, "/order", probe=True)
    boss.send(json.dumps(what).encode())
    await boss.wait(b"done", 120)
    boss.transport.abort()


ROOMS, MEMBERS, PER_S, TOKENS = 10, 50, 100, 500


async def many_rooms() -> list[Row]:
    """10 rooms x 50 members x 100 tok/s, all stored: CPU a delivered token, and how old a token is when it comes.

    The age is that at a probe in each room. The other members live in a process of their own: in one with the probes
    their 490 reads a piece stand before a probe's, and a third of the age measured was the load's own queue.
    """
    ours_us, bare_us, lesson_us, sio_us, p99_ms = [], [], [], [], []
    for _ in range(2):
        with ours("--pieces", str(TOKENS), "--per-s", str(PER_S), "--stamped") as server:
            async with joined(server.address, "ours", ROOMS, MEMBERS) as probes:
                await asyncio.sleep(0.6)
                cpu_s = server.cpu_s
                for probe in probes:
                    probe.send(message())
                await asyncio.gather(*(probe_done(probe, 0) for probe in probes))
                ours_us.append(cost_us(server.cpu_s - cpu_s))
                p99_ms.append(percentile([d for probe in probes for d in probe.delays_ms()], 0.99))
        bare_us.append(await baseline(BARE))
        lesson_us.append(await baseline(LESSON, 150))
    sio_us.append(await baseline(SIO, 150))
    our = median(ours_us)
    rows = []
    for name, costs, reach in (
        ("broadcast per token", bare_us, 0.6),
        ("lesson's FastAPI server", lesson_us, 0.33),
        ("python-socketio", sio_us, 0.13),
    ):
        ratio = our / median(costs)
        shown = f"{our:.1f} us against {median(costs):.1f} us a token"
        rows.append(Row("CPU a delivered token, 10 rooms x 50 members x 100 tok/s, stored", name, f"{ratio:.2f}x",
                        f"≤ {reach}x", ratio <= reach, shown))  # fmt: skip
    late = median(p99_ms)
    rows.append(Row("the same: p99 of delivery", "–", f"{late:.0f} ms", "≤ 35 ms", late <= 35))
    return rows


def cost_us(cpu_s: float, tokens: int = TOKENS) -> float:
    return cpu_s / (ROOMS * MEMBERS * tokens) * 1e6


async def baseline(command: str, tokens: int = TOKENS) -> float:
    """CPU a delivered token; the slow ones get fewer tokens, or they would take minutes."""
    with started(command) as server:
        async with joined(server.address, "sio" if command == SIO else "bare", ROOMS, MEMBERS) as probes:
            await asyncio.sleep(0.3)
            cpu_s = server.cpu_s
            what = {"rooms": ROOMS, "frames": tokens, "per_s": PER_S, "sizes": None}
            if command == SIO:
                boss = probes[0]
                boss.send(f'42["order",{json.dumps(what)}]'.encode())
                await boss.wait(b'42["done"', 120)
            else:
                await order(server.address, what)
            return cost_us(server.cpu_s - cpu_s, tokens)


async def stuck_reader() -> list[Row]:
    """Ten members; one stops reading. The others' p99, and what the server holds for it."""
    ratios, grown = [], []
    for _ in range(2):
        p99 = {}
        for stuck in (False, True):
            with ours("--pieces", "800", "--per-s", "200", "--stamped", "--size", "600") as server:
                receivers = [
                    await open_receiver(server.address, "/rooms/main", probe=True, hello=f"u{n}", ours=True)
                    for n in range(10)
                ]
                bad = receivers.pop()
                await asyncio.sleep(0.6)
                if stuck:
                    bad.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    bad.transport.pause_reading()
                before = server.rss_bytes
                most = before
                for _ in range(2):
                    seen = len(receivers[0].frames)
                    receivers[0].send(message("x" * 50_000))
                    done = asyncio.ensure_future(probe_done(receivers[0], seen))
                    while not done.done():
                        await asyncio.sleep(0.1)
                        most = max(most, server.rss_bytes)
                p99[stuck] = percentile([d for r in receivers for d in r.delays_ms()], 0.99)
                if stuck:
                    grown.append((most - before) / 2**20)
                else:
                    calm = (most - before) / 2**20
                close([*receivers, bad])
        ratios.append(p99[True] / p99[False])
        grown[-1] -= calm
    return [
        Row("one member of ten stops reading: the others' p99", "without it", f"{median(ratios):.2f}x", "≤ 2x",
            median(ratios) <= 2),
        Row("the same: the server grows", "without it", f"{median(grown):.1f} MiB", "≤ 2 MiB", median(grown) <= 2),
    ]  # fmt: skip
