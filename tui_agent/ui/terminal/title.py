"""The terminal's title: the room and what happens there. Put back when the app ends, where the terminal can."""

from __future__ import annotations

import os
from typing import Final

from tui_agent.state.clean import clean_line

SAVE: Final = "\x1b[22;0t"
RESTORE: Final = "\x1b[23;0t"
LONGEST: Final = 80


def can_have_title() -> bool:
    """The Linux console would print it."""
    return os.environ.get("TERM", "") not in ("linux", "dumb", "unknown", "")


def title_sequence(title: str) -> str:
    """Sets the title; whatever is in it, it ends nothing and commands nothing."""
    safe = "".join(char for char in clean_line(title) if char.isprintable())
    return f"\x1b]0;{safe[:LONGEST]}\x07"
