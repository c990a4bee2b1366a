"""`tui-agent ask` from its start to the first token, beside a bare python + websockets client; server running.

Both are new processes on the same Unix socket and the same instant agent, taken in turn.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.table import Row
from server.agents.base import Agent
from tests.fakes.agents import InstantAgent
from tests.fakes.served import served

ROUNDS = 20
ROOT = Path(__file__).resolve().parents[1]

BARE = """
import asyncio, json, sys, uuid
from websockets.asyncio.client import unix_connect

async def main(path, room):
    async with unix_connect(path, f"ws://localhost/rooms/{room}", subprotocols=["tui-agent.v1"]) as socket:
        await socket.send(json.dumps({"type": "hello", "client": "bare/1", "device": str(uuid.uuid4()), "user": "ada"}))
        await socket.recv()
        await socket.send(json.dumps({"type": "message", "cid": str(uuid.uuid4()), "content": "hi"}))
        async for frame in socket:
            event = json.loads(frame)
            if event["type"] in ("token", "done"):  # an instant answer may be whole before its first piece is due
                sys.stdout.write(event["content"])
                sys.stdout.flush()
                return

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""
# What the console script does.
ASK = "import sys; from tui_agent.cli import main; sys.exit(main())"


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians, in ms."""

    bare_ms: float
    ask_ms: float
    python_ms: float  # an interpreter that does nothing, for the scale

    @property
    def ratio(self) -> float:
        return self.ask_ms / self.bare_ms


async def measure(rounds: int = ROUNDS) -> Figures:
    """Each round starts one of each; the first round is not counted."""
    with tempfile.TemporaryDirectory(prefix="ta") as name:
        folder = Path(name)
        agent: Agent = InstantAgent("Yes.\n")
        async with served(folder, agent) as server:
            path = str(server.address)
            bare: list[float] = []
            ask: list[float] = []
            python: list[float] = []
            for number in range(rounds + 1):
                room = f"room{number}"
                times = (
                    await _first_byte(folder, BARE, path, room),
                    await _first_byte(folder, ASK, "ask", "hi", "--server", f"unix:{path}", "--room", f"{room}a"),
                    await _first_byte(folder, "print('x', flush=True)"),
                )
                if number:
                    for taken, kept in zip(times, (bare, ask, python), strict=True):
                        kept.append(taken)
    return Figures(statistics.median(bare), statistics.median(ask), statistics.median(python))


async def _first_byte(folder: Path, code: str, *arguments: str) -> float:
    """Milliseconds from the start of the process to its first byte on stdout."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", code, *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, env=environ, cwd=folder,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            first = await process.stdout.read(1)
            taken_ms = (time.perf_counter() - began) * 1000
            await process.stdout.read()
            status = await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    if status != 0 or not first:
        raise RuntimeError("a client has failed; its stderr says why")
    return taken_ms


async def ask_to_first_token() -> Row:
    """The row of the table."""
    figures = await measure()
    shown = f"{figures.ask_ms:.0f} ms against {figures.bare_ms:.0f} ms; python alone {figures.python_ms:.0f} ms"
    return Row("`tui-agent ask` to first token, server running", "bare python + websockets client",
               f"{figures.ratio:.2f}x", "≤ 2x", figures.ratio <= 2, shown)  # fmt: skip
