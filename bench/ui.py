"""The transcript on a pty of 120x40: streaming beside Textual's MarkdownStream, a long history beside a short, keys.

Each scene is a process of its own (bench.ui_play); what is compared runs in turn, medians of the rounds.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pty
import select
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from bench.procs import ROOT, percentile
from bench.table import Row

ROUNDS = 3
KEYS = 200
ESCAPES = 12


def played(scene: str, *numbers: int, act: Callable[[Terminal], None] | None = None) -> dict[str, Any]:
    """What a scene found."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        result = Path(folder) / "result.json"
        places = {f"XDG_{name}": folder for name in ("RUNTIME_DIR", "STATE_HOME", "DATA_HOME", "CONFIG_HOME")}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TUI_AGENT", "XDG_"))}
        environ = {**kept, **places, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        command = [sys.executable, "-P", "-m", "bench.ui_play", scene, str(result), *map(str, numbers)]
        terminal = Terminal(command, environ)
        try:
            if act is not None:
                act(terminal)
            terminal.drain()
        finally:
            terminal.close()
        if not result.exists():
            raise RuntimeError(f"{scene} did not end well:\n{terminal.tail.decode(errors='replace')[-2000:]}")
        found: dict[str, Any] = json.loads(result.read_text())
        return found


class Terminal:
    """A program on a pty of 120x40 that is read as fast as it writes."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environ)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.tail = b""
        self.is_over = False

    def read(self, within_s: float) -> bytes:
        """What comes next; nothing when nothing comes in that time, or it is over."""
        if not select.select([self.fd], [], [], max(0.0, within_s))[0]:
            return b""
        try:
            data = os.read(self.fd, 65536)
        except OSError as exc:
            if exc.errno != errno.EIO:
                raise
            data = b""
        self.is_over = not data
        self.tail = (self.tail + data)[-20_000:]
        return data

    def read_until(self, words: bytes, within_s: float) -> bool:
        """Whether the words came."""
        seen, end_s = b"", time.perf_counter() + within_s
        while not self.is_over and time.perf_counter() < end_s:
            seen = seen[-200:] + self.read(end_s - time.perf_counter())
            if words in seen:
                return True
        return False

    def read_for(self, for_s: float) -> None:
        end_s = time.perf_counter() + for_s
        while not self.is_over and time.perf_counter() < end_s:
            self.read(end_s - time.perf_counter())

    def drain(self) -> None:
        while not self.is_over:
            self.read(1.0)

    def close(self) -> None:
        os.close(self.fd)
        os.waitpid(self.pid, 0)


# ---- benches ----------------------------------------------------------------------------------------------


async def stream() -> list[Row]:
    """A 4,000-token answer at 200 and at 1,000 tokens a second, beside Textual's MarkdownStream."""
    rows = []
    for per_s, reach in ((200, 0.3), (1000, 0.5)):
        ours, theirs = [], []
        for _ in range(1 if per_s == 200 else ROUNDS):
            theirs.append(played("markdown", per_s, 4000))
            ours.append(played("stream", per_s, 4000))
            assert ours[-1]["shown"]
        cpu = [median(run["cpu_s"] for run in runs) for runs in (ours, theirs)]
        late = [median(run["lag_p99_ms"] for run in runs) for runs in (ours, theirs)]
        stall = [median(run["stall_ms"] for run in runs) for runs in (ours, theirs)]
        ratio = cpu[0] / cpu[1]
        used = [median(run[name] for run in ours) for name in ("used_p99_ms", "used_ms")]
        rows += [
            Row(
                f"4,000-token answer at {per_s:,} tokens/s: CPU", "Textual MarkdownStream",
                f"{ratio:.2f}x", f"≤ {reach}x", ratio <= reach, f"{cpu[0]:.2f} s against {cpu[1]:.2f} s",
            ),
            Row(
                f"the same at {per_s:,} tokens/s: loop lag p99 · longest stall", "Textual MarkdownStream",
                f"{late[0]:.0f} ms · {stall[0]:.0f} ms", "≤ 25 ms · ≤ 50 ms", late[0] <= 25 and stall[0] <= 50,
                f"against {late[1]:.0f} ms · {stall[1]:.0f} ms; processor time of ours in one go "
                f"{used[0]:.0f} ms · {used[1]:.0f} ms",
            ),
        ]  # fmt: skip
    return rows


async def long_stream() -> Row:
    """A 20,000-token answer: what a token costs at its end and at its begin."""
    per_s = int(os.environ.get("BENCH_LONG_PER_S", "200"))
    found = played("stream", per_s, 20_000)
    first, *_, last = found["quarters"]
    return Row(
        f"20,000-token answer at {per_s} tokens/s: CPU a token, last quarter", "its first quarter",
        f"{last / first:.2f}x", "≤ 1.2x", last <= 1.2 * first,
        f"{last / 5000 * 1e6:.0f} µs against {first / 5000 * 1e6:.0f} µs; longest stall {found['stall_ms']:.0f} ms",
    )  # fmt: skip


async def history() -> list[Row]:
    """10,000 messages, all paged in, beside 100: a page, a resize, a jump; memory."""
    few, many = [], []
    for _ in range(ROUNDS):
        few.append(played("history", 100))
        many.append(played("history", 10_000))
    rows = []
    for name, words, limit_ms in (("page", "scroll a page", 100), ("resize", "resize", 100), ("jump", "jump", 50)):
        ms = [median(run[name]["ms"] for run in runs) for runs in (many, few)]
        stall = median(run[name]["stall_ms"] for run in many)
        used = median(run[name]["used_ms"] for run in many)
        ratio = ms[0] / ms[1]
        rows.append(
            Row(
                f"10,000 messages paged in: {words} · longest block", "100 messages",
                f"{ratio:.2f}x · {stall:.0f} ms", f"≤ 1.5x · ≤ {limit_ms} ms", ratio <= 1.5 and stall <= limit_ms,
                f"{ms[0]:.1f} ms against {ms[1]:.1f} ms; longest processor time in one go {used:.0f} ms",
            )
        )  # fmt: skip
    grown = [median(run["rss_mib"] for run in runs) for runs in (many, few)]
    rows.append(
        Row(
            "10,000 messages paged in: memory", "100 messages", f"+{grown[0]:.0f} MiB", "≤ +60 MiB", grown[0] <= 60,
            f"100 messages: +{grown[1]:.0f} MiB; longest block while paging in "
            f"{median(run['load_stall_ms'] for run in many):.0f} ms",
        )
    )  # fmt: skip
    return rows


async def keys() -> Row:
    """From a key pressed on the terminal to its letter on the terminal, while an answer comes and while none does."""
    delays: dict[str, list[float]] = {"idle": [], "busy": []}

    def press(terminal: Terminal, name: str, first: int) -> None:
        for number in range(KEYS):
            letter = chr(first + number).encode()
            began = time.perf_counter()
            os.write(terminal.fd, letter)
            if terminal.read_until(letter, 2):
                delays[name].append((time.perf_counter() - began) * 1000)
            terminal.read_for(0.08)

    def act(terminal: Terminal) -> None:
        terminal.read_until(b"live", 10)
        terminal.read_for(1.0)
        press(terminal, "idle", 0x100)
        terminal.read_until(b"writing", 20)
        terminal.read_for(0.5)
        press(terminal, "busy", 0x100 + KEYS)

    played("keys", 1000, KEYS, act=act)
    idle, busy = (percentile(delays[name], 0.99) for name in ("idle", "busy"))
    return Row(
        "key press to its letter painted while 1,000 tokens/s stream, p99", "while idle",
        f"{busy / idle:.2f}x · {busy:.0f} ms", "≤ 2x · ≤ 50 ms", busy <= 2 * idle and busy <= 50,
        f"idle p99 {idle:.0f} ms, medians {median(delays['busy']):.1f} against {median(delays['idle']):.1f} ms, "
        f"{len(delays['busy'])} keys each",
    )  # fmt: skip


async def escape() -> Row:
    """From the app's key event to "interrupted" on the terminal; the room answers at once."""

    def act(terminal: Terminal) -> None:
        terminal.read_until(b"live", 10)
        for _ in range(ESCAPES):
            terminal.read_until(b"writing", 5)
            terminal.read_for(0.4)
            os.write(terminal.fd, b"\x1b")
            terminal.read_for(0.5)

    found = played("escapes", ESCAPES, act=act)["delays_ms"]
    middle = median(found)
    return Row(
        "Esc (the app's key event) to “interrupted” painted, median", "–", f"{middle:.0f} ms", "≤ 50 ms", middle <= 50,
        f"longest {max(found):.0f} ms of {len(found)}; the room answers at once",
    )  # fmt: skip
