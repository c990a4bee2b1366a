"""The way to the model and back: the first token beside the SDK alone, and how soon an interrupt is upstream."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time

from bench.fanout import close, probe_done
from bench.load import Receiver, message, open_receiver
from bench.procs import ROOT, median, ours, percentile
from bench.table import Row
from tests.fakes.messages_api import FakeMessagesAPI
from tests.fakes.messages_replies import Endless, Sleep, block_stop, end, opened, stream

BLOCKS, ASKED = 3, 25


async def first_token() -> Row:
    """From the message's frame to the first token's, beside the SDK's call to its first delta; in turn.

    Both ask the same: one message and nothing before it, so each message is the first of a room of its own. (With 75
    exchanges before it the SDK copies and the fake API checks 2 ms longer, whoever asks.)
    """
    alone_ms, through_ms = [], []
    # A pause before the end: an answer that is whole at once has no tokens.
    reply = stream(opened("Hello"), Sleep(0.03), block_stop(), end())
    async with FakeMessagesAPI(reply) as api:
        with ours("--claude", api.url) as server:
            probes = [
                await open_receiver(server.address, f"/rooms/r{n}", probe=True, hello="ada", ours=True)
                for n in range(BLOCKS * ASKED + 1)
            ]
            await first_token_ms(probes[0])
            for block in range(BLOCKS):
                alone_ms += await sdk_alone(api.url)
                asked = probes[block * ASKED + 1 :][:ASKED]
                through_ms += [await first_token_ms(probe) for probe in asked]
            close(probes)
    more_ms = median(through_ms) - median(alone_ms)
    shown = f"{median(through_ms):.1f} ms against {median(alone_ms):.1f} ms, an fsync with it"
    return Row("first token through the server", "the SDK alone", f"+ {more_ms:.1f} ms", "≤ 3 ms", more_ms <= 3, shown)


async def first_token_ms(probe: Receiver) -> float:
    seen = len(probe.frames)
    began_s = time.monotonic()
    probe.send(message())
    await probe_done(probe, seen)
    at_s = next(at_s for at_s, payload in probe.frames[seen:] if payload.startswith(b'{"type":"token"'))
    return (at_s - began_s) * 1000


async def sdk_alone(url: str) -> list[float]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.baselines.sdk", url, str(ASKED), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    found: list[float] = json.loads(await process.stdout.read())
    await process.wait()
    return found


async def interrupts() -> list[Row]:
    """From the interrupt's frame to the end of the upstream connection: one room, then 100 rooms that all stream."""
    reply = stream(opened("Well, "), Endless("and so on ", 0.1))
    async with FakeMessagesAPI(reply) as api:
        with ours("--claude", api.url) as server:
            probes = [
                await open_receiver(server.address, f"/rooms/r{n}", probe=True, hello=f"u{n}", ours=True)
                for n in range(100)
            ]
            calm_ms = [await interrupt_ms(probes[0], api) for _ in range(40)]
            for probe in probes:
                await begin(probe)
            busy_ms = []
            for _ in range(2):
                for probe in random.sample(probes, len(probes)):
                    busy_ms.append(await interrupt_ms(probe, api, is_running=True))
                    await begin(probe)
            close(probes)
    late_ms = percentile(busy_ms, 0.99)
    shown = f"median {median(busy_ms):.1f} ms of {len(busy_ms)}"
    return [
        Row("interrupt frame in → upstream request closed", "–", f"{median(calm_ms):.1f} ms", "≤ 10 ms",
            median(calm_ms) <= 10, f"of {len(calm_ms)}"),
        Row("the same with 100 rooms running: p99", "–", f"{late_ms:.1f} ms", "≤ 50 ms", late_ms <= 50, shown),
    ]  # fmt: skip


async def begin(probe: Receiver) -> None:
    """Ask, and wait until the answer streams."""
    probe.frames.clear()
    probe.send(message(probe.path))
    await probe.wait(b'{"type":"token"')


async def interrupt_ms(probe: Receiver, api: FakeMessagesAPI, *, is_running: bool = False) -> float:
    if not is_running:
        await begin(probe)
    _, asked = await probe.wait(b'{"type":"status"')
    upstream = next(r for r in reversed(api.requests) if f">{probe.path}<" in json.dumps(r.body))
    assert not upstream.closed.is_set()
    run = json.loads(asked)["run"]
    began_s = time.monotonic()
    probe.send(json.dumps({"type": "interrupt", "cid": f"c{began_s}", "run": run}).encode())
    async with asyncio.timeout(10):
        await upstream.closed.wait()
    assert upstream.closed_at is not None
    await probe.wait(b'{"type":"interrupted"')
    return (upstream.closed_at - began_s) * 1000
