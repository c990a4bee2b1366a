"""Started with one of its three streams in a file or a pipe: the screen on the terminal, or one sentence and 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.ui.terminal.program import CODE, terminal


async def test_errors_in_a_file_leave_the_screen_on_the_terminal(place: Any) -> None:
    errors = place[0] / "errors"
    with terminal(place, to=f"2>{errors}") as screen:
        await screen.shows("live")
        await screen.types("hello")
        run = await place[1].wait_run()
        run.say("seen here")
        await screen.shows("seen here")
        screen.send(b"\x1b")
        await screen.shows("interrupted by ada")
        screen.send(b"\x04")
        assert await screen.ends() == 0
        screen.assert_given_back()
    assert errors.read_bytes() == b""


async def test_a_crash_goes_to_the_file_and_the_terminal_is_given_back(place: Any) -> None:
    errors = place[0] / "errors"
    code = (
        "import sys\nfrom tui_agent.ui.screens.chat import ChatScreen\n"
        "def page(self, direction):\n    raise RuntimeError('x')\nChatScreen.page = page\n" + CODE
    )
    with terminal(place, code=code, to=f"2>{errors}") as screen:
        await screen.shows("live")
        screen.send(b"\x1b[5~")
        assert await screen.ends() == 1
        screen.assert_given_back()
        assert b"Something went wrong" not in screen.raw
    said = errors.read_text()
    assert said.startswith("Something went wrong inside tui-agent")
    assert said.count("\n") == 1
    assert said.strip().isprintable()


async def test_it_runs_with_no_stream_for_errors_at_all(place: Any) -> None:
    with terminal(place, to="2>&-") as screen:
        await screen.shows("live")
        screen.send(b"kept")
        await screen.shows("› kept")
        screen.send(b"\x03")
        await screen.shows("› Ask")
        screen.send(b"\x04")
        assert await screen.ends() == 0
        screen.assert_given_back()


@pytest.mark.parametrize(
    ("to", "why"),
    [
        (">{out}", "The output goes into a file or a pipe"),
        ("</dev/null", "The input comes from a file or a pipe"),
        ("<{out} >{out}", "There is no terminal here"),
        ("<&-", "The input comes from a file or a pipe"),
        (">&-", "The output goes into a file or a pipe"),
    ],
)
async def test_without_keys_or_picture_it_says_why_in_one_sentence(home: Path, to: str, why: str) -> None:
    out = home / "out"
    out.touch()
    with terminal((home, None, ()), to=to.format(out=out)) as screen:
        assert await screen.ends() == 2
        said = " ".join(line.strip() for line in screen.raw.decode().splitlines())
        assert said.startswith(why)
        assert "tui-agent ask" in said
        assert "--plain" in said
        assert "\x1b" not in said
        assert len(screen.raw.splitlines()) == 1
    assert out.read_bytes() == b""
