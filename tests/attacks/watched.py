"""The chat with a heartbeat beside it: `python watched.py BEATS [arguments of tui-agent]`.

A thread asks the app's event loop for a sign, again and again, as a key does that is pressed at that moment. What takes
longer than a few milliseconds is written to the file BEATS, a line each: the seconds it took, and the seconds of the
processor that the app's own thread used meanwhile (which a loaded machine does not make longer).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

EVERY_S = 0.005
WORTH_S = 0.02
run_forever: Callable[..., None] = asyncio.BaseEventLoop.run_forever


def beat(loop: asyncio.AbstractEventLoop, clock: int, beats: int, over: threading.Event) -> None:
    """Ask until `over`, or until the loop is closed. `clock` is the processor's clock of the loop's thread."""
    answered = threading.Event()
    with contextlib.suppress(RuntimeError, OSError):  # the loop is closed, or its thread gone
        while not over.wait(EVERY_S):
            answered.clear()
            asked_s, asked_cpu_s = time.monotonic(), time.clock_gettime(clock)
            loop.call_soon_threadsafe(answered.set)
            if not answered.wait(60):
                return
            took_s, took_cpu_s = time.monotonic() - asked_s, time.clock_gettime(clock) - asked_cpu_s
            if took_s > WORTH_S:
                os.write(beats, f"{took_s:.4f} {took_cpu_s:.4f}\n".encode())


def main() -> int:
    beats = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    clock = time.pthread_getcpuclockid(threading.get_ident())

    def watched(self: Any) -> None:
        threading.Thread(target=beat, args=(self, clock, beats, threading.Event()), daemon=True).start()
        run_forever(self)

    asyncio.BaseEventLoop.run_forever = watched
    from tui_agent.cli import main as chat

    return chat()


if __name__ == "__main__":
    sys.exit(main())
