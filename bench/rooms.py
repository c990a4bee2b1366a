"""Connections and messages: memory, joins, resume, acknowledged messages a second."""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid

from bench.fanout import BARE, close, probe_done
from bench.load import Receiver, message, open_receiver
from bench.procs import Server, median, ours, started
from bench.table import Row


async def idle_memory() -> Row:
    """RSS a connection, 500 idle ones in 10 rooms."""
    ratios, costs = [], []
    for _ in range(3):
        with ours() as server:
            our = await memory(server, ours=True)
        with started(BARE) as server:
            bare = await memory(server, ours=False)
        ratios.append(our / bare)
        costs.append((our, bare))
    shown = f"{median([a for a, _ in costs]) / 1024:.1f} KiB against {median([b for _, b in costs]) / 1024:.1f} KiB"
    return Row("memory an idle connection", "bare websockets server", f"{median(ratios):.2f}x", "≤ 1.5x",
               median(ratios) <= 1.5, shown)  # fmt: skip


async def memory(server: Server, *, ours: bool) -> float:
    warm = [await open_receiver(server.address, f"/rooms/room{n}", hello=f"w{n}", ours=ours) for n in range(20)]
    await asyncio.sleep(0.5)
    before = server.rss_bytes
    receivers = [
        await open_receiver(server.address, f"/rooms/room{n % 10}", hello=f"u{n}", ours=ours) for n in range(500)
    ]
    await asyncio.sleep(1.0)
    grown = server.rss_bytes - before
    close(warm + receivers)
    return grown / 500


async def joins() -> Row:
    """300 members join one room; a bare server only shakes hands."""
    ratios, costs = [], []
    for _ in range(3):
        with ours() as server:
            our = await join_cost(server, ours=True)
        with started(BARE) as server:
            bare = await join_cost(server, ours=False)
        ratios.append(our / bare)
        costs.append((our, bare))
    shown = f"{median([a for a, _ in costs]):.2f} ms against {median([b for _, b in costs]):.2f} ms"
    return Row("300 members join one room: CPU a join", "bare handshake", f"{median(ratios):.2f}x", "≤ 3x",
               median(ratios) <= 3, shown)  # fmt: skip


async def join_cost(server: Server, *, ours: bool) -> float:
    first = await open_receiver(server.address, "/rooms/main", hello="first", ours=ours)
    await asyncio.sleep(0.3)
    before = server.cpu_s
    receivers = [await open_receiver(server.address, "/rooms/main", hello=f"u{n}", ours=ours) for n in range(300)]
    await asyncio.sleep(0.6)
    used = (server.cpu_s - before) / 300 * 1000
    close([first, *receivers])
    return used


async def resume() -> Row:
    """From the hello to the last of 1,000 missed events."""
    times_ms = []
    with ours() as server:
        writer = await open_receiver(server.address, "/rooms/main", probe=True, hello="ada", ours=True)
        _, welcome = await writer.wait(b'"welcome"')
        epoch = json.loads(welcome)["epoch"]
        for _ in range(510):
            seen = len(writer.frames)
            writer.send(message("a message of some forty characters, say"))
            await probe_done(writer, seen)
        for _ in range(15):
            reader = await open_receiver(server.address, "/rooms/main", probe=True)
            reader.transport.abort()
            reader = await raw(server.address)
            hello = {
                "type": "hello", "client": "bench/1", "device": str(uuid.uuid4()), "user": "ben",
                "resume": {"epoch": epoch, "after": 20},
            }  # fmt: skip
            started_s = time.monotonic()
            reader.send(json.dumps(hello).encode())
            at_s, _ = await reader.wait(b'"id":1020,')
            times_ms.append((at_s - started_s) * 1000)
            assert sum(b'"id":' in payload and b"welcome" not in payload for _, payload in reader.frames) == 1000
            reader.transport.abort()
        writer.transport.abort()
    return Row("resume of 1,000 missed events", "–", f"{median(times_ms):.1f} ms", "≤ 50 ms", median(times_ms) <= 50)


async def raw(address: str):
    from urllib.parse import urlsplit

    from bench.load import Receiver

    parts = urlsplit(address)
    _, receiver = await asyncio.get_running_loop().create_connection(
        lambda: Receiver(parts.netloc, "/rooms/main", probe=True, subprotocol="tui-agent.v1"),
        parts.hostname,
        parts.port,
    )
    await receiver.upgraded
    return receiver


async def throughput() -> list[Row]:
    """64 rooms, each with a member who sends the next message after the ack; the limiter off, an instant agent."""
    seconds, rates, shares, costs = 5.0, [], [], []
    for _ in range(3):
        with ours("--pieces", "1") as server:
            receivers = [
                await open_receiver(server.address, f"/rooms/r{n}", hello=f"u{n}", ours=True, kind=Chatter)
                for n in range(64)
            ]
            await asyncio.sleep(0.6)
            syncs, cpu_s, began_s = fsync_count(server), server.cpu_s, time.monotonic()
            for receiver in receivers:
                receiver.say()
            await asyncio.sleep(seconds)
            acks = sum(receiver.acks for receiver in receivers)
            rates.append(acks / (time.monotonic() - began_s))
            costs.append((server.cpu_s - cpu_s) / acks * 1e6)
            shares.append(acks / max(1, fsync_count(server) - syncs))
            close(receivers)
    return [
        Row("acknowledged messages a second, 64 rooms, instant agent", "–", f"{median(rates):,.0f}", "≥ 4,000",
            median(rates) >= 4000, f"{median(costs):.0f} us of server CPU each, its answer stored with it"),
        Row("the same: acks an fsync", "–", f"{median(shares):.1f}", "≥ 8", median(shares) >= 8),
    ]  # fmt: skip


class Chatter(Receiver):
    """Says the next thing when the last is acknowledged; as little work as can be."""

    acks = 0

    def say(self) -> None:
        self.send(b'{"type":"message","cid":"%b-%d","content":"hello there"}' % (self.path.encode(), self.acks))

    def data_received(self, data: bytes) -> None:
        if b'{"type":"ack"' in data:
            self.acks += 1
            self.say()
        elif b'"busy"' in data:
            asyncio.get_running_loop().call_later(0.001, self.say)
        else:
            super().data_received(data)


def fsync_count(server: Server) -> int:
    """Durable commits so far: the bench's server writes the count on SIGUSR1."""
    import signal

    os.kill(server.process.pid, signal.SIGUSR1)
    assert server.process.stdout is not None
    return int(server.process.stdout.readline().split()[1])
