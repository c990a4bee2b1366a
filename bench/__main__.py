"""`make bench`: every figure side by side in one run, as a table on stdout and in docs/bench.md and docs/bench.json.

python -m bench [NAME…]     only some of BENCHES (the others' rows stay as they were)
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from bench.machine import about
from bench.table import Row, table

ROOT = Path(__file__).resolve().parents[1]
# name -> module of this package and its function: `async def f() -> Row | list[Row]`. One line a figure.
BENCHES = {
    "flood": ("fanout", "flood"),
    "rooms": ("fanout", "many_rooms"),
    "stuck": ("fanout", "stuck_reader"),
    "memory": ("rooms", "idle_memory"),
    "joins": ("rooms", "joins"),
    "first-token": ("agent", "first_token"),
    "interrupt": ("agent", "interrupts"),
    "resume": ("rooms", "resume"),
    "acks": ("rooms", "throughput"),
    "ask": ("ask", "ask_to_first_token"),
    "tasks": ("tasks", "tasks"),
    "voice": ("voice", "voice"),
    "ui-start": ("ui_start", "start"),
    "ui-idle": ("ui_idle", "idle"),
    "ui-stream": ("ui", "stream"),
    "ui-long": ("ui", "long_stream"),
    "ui-history": ("ui", "history"),
    "ui-keys": ("ui", "keys"),
    "ui-escape": ("ui", "escape"),
}


def measure(name: str) -> list[Row]:
    """The rows of one bench; one that breaks is a row too, so that the others are still measured."""
    module, function = BENCHES[name]
    try:
        found = asyncio.run(getattr(importlib.import_module(f"bench.{module}"), function)())
    except Exception:
        traceback.print_exc()
        return [Row(name, "–", "could not be measured", "–", is_reached=False)]
    return found if isinstance(found, list) else [found]


def main() -> int:
    """Measure and print; 0 when every figure was reached, 1 when one was not."""
    wanted = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in wanted if name not in BENCHES]
    if unknown:
        print(f"There is no bench {unknown[0]}; choose from: {' '.join(BENCHES)}.", file=sys.stderr)
        return 2
    machine = about()
    print(machine, flush=True)
    known = read()
    rows: list[Row] = []
    for name in wanted:
        began_s = time.monotonic()
        new = measure(name)
        rows += new
        for row in new:
            verdict = "ok" if row.is_reached else "NOT REACHED"
            took_s = time.monotonic() - began_s
            print(
                f"{name:11} {row.what}: {row.figure} ({row.reach}) {verdict}  {row.detail} [{took_s:.0f} s]", flush=True
            )
        known[name] = {"machine": machine, "rows": [vars(row) for row in new]}
        write(known)
    print()
    print(table(rows))
    return 0 if all(row.is_reached for row in rows) else 1


def read() -> dict[str, Any]:
    """What the project keeps: for each bench its rows and the machine of its last run."""
    try:
        kept: dict[str, Any] = json.loads((ROOT / "docs" / "bench.json").read_text())
    except FileNotFoundError:
        return {}
    return kept


def write(known: dict[str, Any]) -> None:
    """Keep it, and render it for people."""
    docs = ROOT / "docs"
    docs.mkdir(exist_ok=True)
    known = {name: known[name] for name in BENCHES if name in known}
    (docs / "bench.json").write_text(json.dumps(known, indent=1) + "\n")
    by_machine: dict[str, list[Row]] = {}
    for bench in known.values():
        by_machine.setdefault(bench["machine"], []).extend(Row(**row) for row in bench["rows"])
    text = "# Figures\n\nWritten by `make bench`. Ratios are side by side in one run; medians.\n"
    for machine, rows in by_machine.items():
        text += f"\n{machine}.\n\n{table(rows)}\n"
    (docs / "bench.md").write_text(text)


if __name__ == "__main__":
    sys.exit(main())
