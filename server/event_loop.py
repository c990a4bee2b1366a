"""The loop that the server runs on: uvloop where it can be installed, else asyncio's own (ADR 0010)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final

# A thread that wants the interpreter (the store's, to go on) gets it from a busy loop after so long; 5 ms by default.
SWITCH_S: Final = 0.0005


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the loop; None is asyncio's own way."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def run(main: Coroutine[Any, Any, None]) -> None:
    """asyncio.run, on that loop."""
    sys.setswitchinterval(SWITCH_S)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main)
