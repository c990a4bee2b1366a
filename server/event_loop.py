"""The loop that the server runs on: uvloop where it can be installed, else asyncio's own (ADR 0010)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the loop; None is asyncio's own way."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def run(main: Coroutine[Any, Any, None]) -> None:
    """asyncio.run, on that loop."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main)
