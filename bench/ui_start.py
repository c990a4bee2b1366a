"""How soon the screen is there: first paint, live in a room, with the server started too; beside a hello world.

Each is a new process on a pty of 120x40, taken in turn; medians. `python -m bench.ui_start`
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.pty import Screen
from bench.table import Row
from tests.fakes.agents import InstantAgent
from tests.fakes.served import served

ROUNDS = 9
ROOT = Path(__file__).resolve().parents[1]
HELLO = """
from textual.app import App
from textual.widgets import Static
class Hello(App):
    def compose(self):
        yield Static("Hello, world", markup=False)
Hello().run()
"""
OURS = "import sys; from tui_agent.cli import main; sys.exit(main())"
REACH = {"first paint": 1.6, "live in a room, server running": 2.2, "live, server started too": 6.0}


def times_of(folder: Path, code: str, wanted: list[str], *arguments: str) -> list[float]:
    """Milliseconds from the start of the process until each of the words is on the screen."""
    environ = environment(folder)
    began = time.perf_counter()
    with Screen([sys.executable, "-P", "-c", code, *arguments], environ) as screen:
        taken = []
        for words in wanted:
            screen.wait_for(words, 20)
            taken.append((time.perf_counter() - began) * 1000)
        return taken


def environment(folder: Path) -> dict[str, str]:
    """Folders of its own; the terminal says nothing of its colours."""
    kept = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "TERM": "xterm-256color"}
    places = {f"XDG_{name}": str(folder) for name in ("RUNTIME_DIR", "STATE_HOME", "DATA_HOME", "CONFIG_HOME")}
    return {**kept, **places, "PYTHONPATH": str(ROOT), "LOGNAME": "ada", "TUI_AGENT_AGENT": "demo"}


def stop_server(folder: Path) -> None:
    """End the server that an app has started there."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if b"-m\0server\0" in command and str(folder).encode() in command:
                    os.kill(int(entry.name), signal.SIGTERM)


async def measure(rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Each round takes one of each; the first round is not counted."""
    found: dict[str, list[float]] = {"hello": [], **{name: [] for name in REACH}}
    with tempfile.TemporaryDirectory(prefix="ta") as name:
        folder = Path(name)
        async with served(folder, InstantAgent()) as server:
            url = f"unix:{server.address}"
            for number in range(rounds + 1):
                hello = await asyncio.to_thread(times_of, folder, HELLO, ["Hello, world"])
                ours = await asyncio.to_thread(
                    times_of, folder, OURS, ["tui-agent", "live"], "--server", url, "--room", f"r{number}"
                )
                with own_folder() as fresh:
                    alone = await asyncio.to_thread(times_of, fresh, OURS, ["live"], "--room", "main")
                if number:
                    found["hello"] += hello
                    for kind, taken in zip(REACH, [*ours, *alone], strict=True):
                        found[kind].append(taken)
    return found


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """Nobody listens there yet; a server that was started there is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="ta"))
    try:
        yield folder
    finally:
        stop_server(folder)
        shutil.rmtree(folder, ignore_errors=True)


async def start() -> list[Row]:
    found = await measure()
    hello = statistics.median(found["hello"])
    rows = []
    for kind, reach in REACH.items():
        ours = statistics.median(found[kind])
        rows.append(
            Row(kind, "Textual hello world", f"{ours / hello:.2f}x", f"≤ {reach}x", ours / hello <= reach,
                f"{ours:.0f} ms against {hello:.0f} ms")
        )  # fmt: skip
    return rows


if __name__ == "__main__":
    for row in asyncio.run(start()):
        print(f"{row.what:<34}{row.figure:>8}  {row.reach:<8}{'ok' if row.is_reached else 'NOT REACHED'}  {row.detail}")
