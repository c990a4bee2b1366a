"""What tasks cost: submit to ack, the chat beside four running ones, a step to the painted screen, an idle DBOS."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.procs import median, ours, percentile
from bench.table import Row
from bench.ui import Terminal
from bench.ui_start import OURS, environment
from tests.fakes.wire_client import WireClient

ACKS = 60
ROUNDS = 3
TOKENS, PER_S = 400, 100
WATCH_S = 12.0
MIB = 1024 * 1024
STAMP = re.compile(rb"at (\d+\.\d{6})")


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
    """The figures of one server."""
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
            for _ in range(ROUNDS):
                alone += await delays_s(ada)
                beside += await _beside(ada, ben)
            quiet, busy = await _painted(server.address, ada, ben)
    ratio = percentile(beside, 0.99) / percentile(alone, 0.99)
    return [
        Row("submit of a task to its ack", "–", f"{median(acks) * 1000:.1f} ms", "≤ 15 ms", median(acks) <= 0.015,
            f"DBOS running, {ACKS} tasks; the first, which starts it, {first_s * 1000:.1f} ms"),
        Row("token delivery p99 beside 4 tasks", "no task", f"{ratio:.2f}x", "≤ 1.2x", ratio <= 1.2,
            f"{percentile(alone, 0.99) * 1000:.1f} and {percentile(beside, 0.99) * 1000:.1f} ms, {PER_S} tokens/s"),
        Row("a step done to its progress painted: median · p95", "–",
            f"{median(quiet) * 1000:.0f} · {percentile(quiet, 0.95) * 1000:.0f} ms", "≤ 100 ms",
            percentile(quiet, 0.95) <= 0.1,
            f"4 tasks, {len(quiet)} steps, recorded and on disk first, read from the app's terminal; while an answer "
            f"streams {median(busy) * 1000:.0f} · {percentile(busy, 0.95) * 1000:.0f} ms"),
        Row("memory of an idle DBOS", "before the first task", f"+{memory / MIB:.0f} MiB", "≤ 60 MiB",
            memory <= 60 * MIB, f"{before / MIB:.0f} MiB before"),
    ]  # fmt: skip


async def _beside(ada: WireClient, ben: WireClient) -> list[float]:
    """The same answer while four tasks work."""
    open_tasks = await _four(ada, ben, "slow")
    await asyncio.sleep(1)
    measured = await delays_s(ada)
    await _end(ada, open_tasks)
    return measured


async def _four(ada: WireClient, ben: WireClient, prompt: str) -> list[str]:
    return [(await submit(client, prompt))[0] for client in (ada, ben, ada, ben)]


async def _end(ada: WireClient, open_tasks: list[str]) -> None:
    for task in open_tasks:
        await ada.command("cancel_task", task=task)
    for task in open_tasks:
        await ended(ada, task)


async def _painted(address: str, ada: WireClient, ben: WireClient) -> tuple[list[float], list[float]]:
    """How old each step is when the app has painted it into its panel: while the chat is quiet, while one streams."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        command = [sys.executable, "-P", "-c", OURS, "--server", address, "--user", "eve"]
        terminal = Terminal(command, environment(Path(name)))
        try:
            assert await asyncio.to_thread(terminal.read_until, b"live", 30)
            open_tasks = await _four(ada, ben, "steady")
            assert await asyncio.to_thread(terminal.read_until, b"at ", 30)
            await asyncio.to_thread(_ages_s, terminal, 2.0)
            quiet = await asyncio.to_thread(_ages_s, terminal, WATCH_S)
            streaming = asyncio.create_task(delays_s(ada))
            await asyncio.to_thread(_ages_s, terminal, 0.5)
            busy = await asyncio.to_thread(_ages_s, terminal, TOKENS / PER_S - 1.0)
            await streaming
            await _end(ada, open_tasks)
        finally:
            os.kill(terminal.pid, signal.SIGKILL)
            terminal.close()
    return quiet, busy


def _ages_s(terminal: Terminal, for_s: float) -> list[float]:
    """The ages of the steps whose stamps the app writes to its terminal in that time; each row counts once."""
    ages: list[float] = []
    known = set(STAMP.findall(terminal.tail))
    end_s = time.monotonic() + for_s
    while (left_s := end_s - time.monotonic()) > 0:
        carried = terminal.tail[-40:]
        data = terminal.read(left_s)
        now_s = time.monotonic()
        new = set(STAMP.findall(carried + data)) - known
        ages += [now_s - float(stamp) for stamp in new]
        known |= new
    return ages
