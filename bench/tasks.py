"""What tasks cost: submit to ack, the chat beside four running ones, a step to the screen, memory of an idle DBOS."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench.procs import median, ours, percentile
from bench.table import Row
from tests.fakes.wire_client import WireClient

ACKS = 60
ROUNDS = 3
TOKENS, PER_S = 400, 100
MIB = 1024 * 1024


async def submit(client: WireClient, prompt: str) -> tuple[str, float]:
    """(task, seconds to its ack)."""
    began_s = time.perf_counter()
    frame = await client.answer_to(await client.command("submit_task", prompt=prompt))
    assert frame["type"] == "ack", frame
    return frame["task"], time.perf_counter() - began_s


def ended(client: WireClient, task: str) -> Any:
    return client.wait(lambda f: f["type"] == "complete" and f["task"] == task, 60, from_start=True)


async def delays_s(client: WireClient) -> list[float]:
    """How old each piece of one answer is when it comes."""
    arrived: list[float] = []
    seen = len(client.frames)
    await client.say("go")
    while True:
        frame = await client.wait(lambda f: f["type"] in ("token", "done"), 30)
        if frame["type"] == "done":
            break
        now_s = time.monotonic()
        arrived += [now_s - float(stamp) for stamp in frame["content"].split()]
    del client.frames[:seen]
    client._seen = min(client._seen, len(client.frames))
    return arrived


async def tasks() -> list[Row]:
    """The four figures of one server."""
    with ours("--pieces", str(TOKENS), "--per-s", str(PER_S), "--stamped", "--worker") as server:
        async with WireClient(server.address, user="ada") as ada, WireClient(server.address, user="ben") as ben:
            await delays_s(ada)
            before = server.rss_bytes
            task, first_s = await submit(ada, "quick")
            await ended(ada, task)
            await asyncio.sleep(2)
            memory = server.rss_bytes - before
            acks = []
            for _ in range(ACKS):
                task, ack_s = await submit(ada, "quick")
                acks.append(ack_s)
                await ended(ada, task)
            alone: list[float] = []
            beside: list[float] = []
            news: list[float] = []
            for _ in range(ROUNDS):
                alone += await delays_s(ada)
                beside += await _beside(ada, ben, news)
    ratio = percentile(beside, 0.99) / percentile(alone, 0.99)
    return [
        Row("submit of a task to its ack", "–", f"{median(acks) * 1000:.1f} ms", "≤ 15 ms", median(acks) <= 0.015,
            f"DBOS running, {ACKS} tasks; the first, which starts it, {first_s * 1000:.1f} ms"),
        Row("token delivery p99 beside 4 tasks", "no task", f"{ratio:.2f}x", "≤ 1.2x", ratio <= 1.2,
            f"{percentile(alone, 0.99) * 1000:.1f} and {percentile(beside, 0.99) * 1000:.1f} ms, {PER_S} tokens/s"),
        Row("a step done to its progress at a client", "–", f"{median(news) * 1000:.1f} ms", "≤ 100 ms",
            median(news) <= 0.1, f"p95 {percentile(news, 0.95) * 1000:.1f} ms, recorded and on disk first"),
        Row("memory of an idle DBOS", "before the first task", f"+{memory / MIB:.0f} MiB", "≤ 60 MiB",
            memory <= 60 * MIB, f"{before / MIB:.0f} MiB before"),
    ]  # fmt: skip


async def _beside(ada: WireClient, ben: WireClient, news: list[float]) -> list[float]:
    """The same answer while four tasks work; their progress is timed too."""
    open_tasks = [(await submit(client, "slow"))[0] for client in (ada, ben, ada, ben)]
    ages: list[float] = []

    async def listen() -> None:
        while True:
            frame = await ben.wait(lambda f: f["type"] == "progress" and f["message"].startswith("at "), 60)
            ages.append(time.monotonic() - float(frame["message"].split()[1]))

    listening = asyncio.create_task(listen())
    await asyncio.sleep(1)
    ages.clear()
    measured = await delays_s(ada)
    news += ages
    listening.cancel()
    for task in open_tasks:
        await ada.command("cancel_task", task=task)
    for task in open_tasks:
        await ended(ada, task)
    return measured
