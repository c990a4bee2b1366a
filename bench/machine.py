"""What kind of machine a bench ran on: absolute figures say little without it."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time

# Where the reaches were set (docs/design.md): an fdatasync took 0.4 ms, a frame of bare `websockets.broadcast` 6.4 us.
THERE = "0.4 ms where the reaches were set; a frame of bare broadcast, in the first row, took 6.4 us there"


def about() -> str:
    """One sentence for the head of the table."""
    system = f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores"
    load = f"load {os.getloadavg()[0]:.1f} at the start"
    return f"{system}, {load}; an fdatasync of 32 KiB takes {fdatasync_ms():.1f} ms ({THERE})"


def fdatasync_ms() -> float:
    """The median of 100, appending."""
    taken = []
    with tempfile.TemporaryFile() as file:
        for number in range(100):
            os.pwrite(file.fileno(), b"x" * 32_768, number * 32_768)
            began_s = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - began_s) * 1000)
    return statistics.median(taken)
