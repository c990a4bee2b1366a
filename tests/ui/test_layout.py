"""How the lines of the screen are shared, and a banner that says its whole sentence."""

from __future__ import annotations

import itertools

import pytest

from tests.looks.scenes import empty, scene
from tui_agent.link.base import LinkStatus
from tui_agent.ui.bars import Bar
from tui_agent.ui.layout import heights_of


def test_the_parts_fill_the_screen_and_no_more() -> None:
    for height, banner in itertools.product(range(1, 60), range(4)):
        lines = heights_of(height, 3, banner)
        assert sum(lines) == height
        assert min(lines) >= 0
        assert lines.banner <= banner
        assert lines.box == min(3, height)


def test_a_low_terminal_cuts_the_banner_before_the_log() -> None:
    assert heights_of(20, 3, 3).banner == 3
    assert heights_of(12, 3, 3) == (1, 1, 6, 3, 1)
    assert heights_of(4, 3, 3) == (0, 1, 0, 3, 0)


@pytest.mark.usefixtures("home")
async def test_a_sentence_too_long_for_a_line_stands_on_two_and_the_log_gets_them_back() -> None:
    words = "The server does not answer at 127.0.0.1:8000. Press F5 to try again."
    async with scene((50, 20)) as shown:
        await empty(shown)
        banner, log = shown.app.chat_screen.query_one("#banner", Bar), shown.app.chat_screen.transcript
        before = log.size.height
        for status, lines in (
            (LinkStatus("waiting", 2, retry_in_s=3.2), 1),
            (LinkStatus("offline", 5, sentence=words), 2),
            (LinkStatus("offline", 5, sentence=words * 4), 3),
            (LinkStatus("waiting", 2, retry_in_s=3.2), 1),
            (LinkStatus("live", latency_ms=1.0), 0),
        ):
            shown.link.tell_status(status)
            await shown.settle()
            assert before - log.size.height == lines, status
            assert not lines or banner.size.height == lines
