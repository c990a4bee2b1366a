"""What is left of a crash: where it happened, without values (they may be what people said, or a key)."""

from __future__ import annotations

import logging
import os
import time
import traceback
from pathlib import Path
from typing import Final

from server.protocol import AGENT_VERSION
from tui_agent.paths import state_folder

MOST_LOG: Final = 256 * 1024  # bytes; then it begins anew


def note_crash(exc: BaseException) -> str:
    """Write the places to the crash log; returns a sentence that says where it stands and what to do."""
    path = state_folder() / "client-crash.log"
    head = f"{_now()} tui-agent {AGENT_VERSION} {type(exc).__name__}\n"
    if not append_private(path, head + "".join(places_of(exc))):
        return "Start again; if it happens again, please report it."
    return f"Start again; if it happens again, please report it with {path}."


def places_of(exc: BaseException) -> list[str]:
    """File, line and source line of each frame; of a group also of what is in it."""
    lines = traceback.format_tb(exc.__traceback__)
    if isinstance(exc, BaseExceptionGroup):
        for inner in exc.exceptions:
            lines += [f"  in {type(inner).__name__}:\n", *places_of(inner)]
    return lines


def append_private(path: Path, text: str) -> bool:
    """Append to a file that only its owner can read; False when that cannot be."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        begins_anew = path.exists() and path.stat().st_size > MOST_LOG
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_TRUNC if begins_anew else os.O_APPEND)
        with os.fdopen(os.open(path, flags, 0o600), "a", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError:
        return False
    return True


class PlacesHandler(logging.Handler):
    """Warnings and errors of the program, to client.log: our own words, and of an exception only the places."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        # Another library's words may quote what went over the wire: of those only who said it.
        words = record.getMessage() if record.name.startswith("tui_agent") else "(a library's message)"
        text = f"{_now()} {record.levelname} {record.name}: {words}\n"
        exc = record.exc_info[1] if record.exc_info else None
        if exc is not None:
            text += f"  {type(exc).__name__}\n" + "".join(places_of(exc))
        append_private(state_folder() / "client.log", text)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S")
