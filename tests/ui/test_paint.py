"""When the screen is drawn: a letter goes before what streams, and who types without a pause still sees the stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from tui_agent.ui.paint import KEY_S, LATEST_S, Painter


class Node:
    """What of Textual's pump the painter uses."""

    def call_later(self, callback: Callable[[], None]) -> None:
        callback()


def painter() -> tuple[Painter, list[float], asyncio.Event]:
    painted_s: list[float] = []
    drawn = asyncio.Event()

    def paint() -> None:
        painted_s.append(time.monotonic())
        drawn.set()

    return Painter(cast(Any, Node()), paint), painted_s, drawn


async def test_a_key_puts_off_what_waits_to_be_drawn() -> None:
    paints, painted_s, drawn = painter()
    paints._last_s = time.monotonic()  # it was drawn just now, so what comes waits
    paints.soon()
    pressed_s = time.monotonic()
    paints.make_way()
    await drawn.wait()
    assert painted_s[0] - pressed_s >= KEY_S * 0.9
    assert len(painted_s) == 1


async def test_a_key_puts_nothing_off_when_nothing_waits() -> None:
    paints, painted_s, _ = painter()
    paints.make_way()
    assert paints._timer is None
    assert not painted_s


async def test_who_types_without_a_pause_still_sees_the_stream(monkeypatch: Any) -> None:
    paints, _, _ = painter()
    paints._last_s = time.monotonic()
    paints.soon()
    waiting = paints._timer
    late_s = paints._last_s + LATEST_S + 0.001
    monkeypatch.setattr("tui_agent.ui.paint.time", SimpleNamespace(monotonic=lambda: late_s))
    paints.make_way()
    assert paints._timer is waiting, "it was put off long enough"
    paints.stop()
