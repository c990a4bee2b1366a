"""CPU of an app that idles in a room, beside Textual's hello world at the same time. 5 minutes; `UI_IDLE_S`: seconds.

`python -m bench.ui_idle`
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from bench.pty import Screen
from bench.table import Row
from bench.ui_start import HELLO, OURS, environment
from tests.fakes.agents import InstantAgent
from tests.fakes.served import served

REACH_PERCENT = 0.5
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def watch(code: str, words: str, folder: Path, span_s: float, *arguments: str) -> float:
    """Percent of a core over the span, after a settling time."""
    with Screen([sys.executable, "-P", "-c", code, *arguments], environment(folder)) as screen:
        screen.wait_for(words, 30)
        _read_for(screen, 5)
        before_s, began_s = cpu_s(screen.pid), time.monotonic()
        _read_for(screen, span_s)
        return (cpu_s(screen.pid) - before_s) / (time.monotonic() - began_s) * 100


def _read_for(screen: Screen, span_s: float) -> None:
    end_s = time.monotonic() + span_s
    while (left_s := end_s - time.monotonic()) > 0:
        screen.read(left_s)


async def idle() -> Row:
    span_s = float(os.environ.get("UI_IDLE_S", "300"))
    with tempfile.TemporaryDirectory(prefix="ta") as name:
        folder = Path(name)
        async with served(folder, InstantAgent()) as server:
            ours, hello = await asyncio.gather(
                asyncio.to_thread(watch, OURS, "live", folder, span_s, "--server", f"unix:{server.address}"),
                asyncio.to_thread(watch, HELLO, "Hello, world", folder, span_s),
            )
    return Row(
        "idle in a room", "hello world's own", f"{ours:.2f} % CPU", f"≤ {REACH_PERCENT} %", ours <= REACH_PERCENT,
        f"over {span_s:.0f} s; hello world {hello:.2f} %",
    )  # fmt: skip


if __name__ == "__main__":
    row = asyncio.run(idle())
    print(f"{row.what:<34}{row.figure:>12}  {row.reach:<8}{'ok' if row.is_reached else 'NOT REACHED'}  {row.detail}")
