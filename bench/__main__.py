"""`make bench`: every figure side by side in one run, as a table on stdout and in docs/bench.md.

python -m bench [NAME…]     only some: flood rooms stuck memory joins resume acks …
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench import fanout, rooms
from bench.table import Row, table

ROOT = Path(__file__).resolve().parents[1]
BENCHES: dict[str, Callable[[], Awaitable[Any]]] = {
    "flood": fanout.flood,
    "rooms": fanout.many_rooms,
    "stuck": fanout.stuck_reader,
    "memory": rooms.idle_memory,
    "joins": rooms.joins,
    "resume": rooms.resume,
    "acks": rooms.throughput,
}


def main() -> None:
    wanted = sys.argv[1:] or list(BENCHES)
    rows: list[Row] = []
    for name in wanted:
        started_s = time.monotonic()
        found = asyncio.run(BENCHES[name]())  # type: ignore[arg-type]
        new = found if isinstance(found, list) else [found]
        rows += new
        for row in new:
            print(f"{name:8} {row.what}: {row.figure} ({row.reach}) {'ok' if row.is_reached else 'NOT REACHED'} "
                  f"{row.detail} [{time.monotonic() - started_s:.0f} s]", flush=True)  # fmt: skip
    print()
    print(table(rows))
    if wanted == list(BENCHES):
        about = f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores"
        text = f"# Figures\n\nWritten by `make bench` ({about}). Ratios are side by side in one run; medians.\n\n"
        (ROOT / "docs" / "bench.md").write_text(text + table(rows) + "\n")
        (ROOT / "docs" / "bench.json").write_text(json.dumps([vars(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
