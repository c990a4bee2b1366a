"""Each state of the screen, cell by cell, at three sizes in both themes, against files.

After a wanted change `SNAP=write python -m pytest tests/ui/test_snapshots.py` writes them anew; look at the diff and at
the pictures of `make snap`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.looks.cells import drawn
from tests.looks.scenes import SCENES, scene
from tui_agent.state import markdown_code

FILES = Path(__file__).parent / "snapshots"
SIZES = ((120, 40), (80, 24), (50, 20))

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True, scope="module")
def lexers() -> None:
    """The screen draws code plain until a thread has loaded its lexer: here it is there from the start."""
    markdown_code.load("python")


@pytest.mark.parametrize("state", SCENES)
async def test_the_screen_is_as_in_the_file(state: str) -> None:
    async with scene(SIZES[0]) as shown:
        await SCENES[state](shown)
        for theme in ("dusk", "dawn"):
            shown.app.theme = theme
            for size in SIZES:
                await shown.pilot.resize_terminal(*size)
                await shown.settle()
                _compare(f"{state}-{size[0]}x{size[1]}-{theme}", drawn(shown.app))


def _compare(name: str, found: str) -> None:
    path = FILES / f"{name}.txt"
    if os.environ.get("SNAP") == "write":
        FILES.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    wanted = path.read_text(encoding="utf-8").split("\n")
    for number, (is_line, was_line) in enumerate(zip(found.split("\n"), wanted, strict=False), 1):
        assert is_line == was_line, f"{path.name}, line {number}"
    assert len(found.split("\n")) == len(wanted)
