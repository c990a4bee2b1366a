"""The theme a person chose in the chat, kept over restarts: a comfort, which a full disk only loses."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from tui_agent.files import make_private_folder, read_file, write_whole

log = logging.getLogger(__name__)

NAME: Final = "theme"
MOST_BYTES: Final = 100


def kept_theme(state_folder: Path) -> str:
    """The name that was kept; "" where none was."""
    try:
        return read_file(state_folder / NAME, MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def keep_theme(state_folder: Path, name: str) -> None:
    """Begin with this theme from now on; "" is the one that fits the terminal."""
    try:
        make_private_folder(state_folder)
        write_whole(state_folder / NAME, name.encode())
    except OSError as exc:
        log.warning("the theme cannot be kept: errno %s", exc.errno)
