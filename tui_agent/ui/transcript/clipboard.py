"""The clipboard: through the terminal (OSC 52) and, on the person's own machine, by the desktop's command too.

Not every terminal takes OSC 52, and tmux may swallow it; a command works only where the desktop is.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from typing import Final

TIMEOUT_S: Final = 2.0


def clipboard_command(environ: Mapping[str, str], platform: str) -> tuple[str, ...] | None:
    """The desktop's command that takes a text on stdin; None where there is none, or it would be another machine's."""
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return None
    wanted: list[tuple[str, ...]] = []
    if platform == "darwin":
        wanted.append(("pbcopy",))
    if environ.get("WAYLAND_DISPLAY"):
        wanted.append(("wl-copy",))
    if environ.get("DISPLAY"):
        wanted += [("xclip", "-selection", "clipboard"), ("xsel", "--clipboard", "--input")]
    path = environ.get("PATH")
    return next((command for command in wanted if shutil.which(command[0], path=path)), None)


async def copy_locally(text: str) -> bool:
    """Give the text to the desktop's clipboard; whether that was done."""
    command = clipboard_command(os.environ, sys.platform)
    if command is None:
        return False
    quiet = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=quiet, stderr=quiet
        )
    except OSError:
        return False
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await process.communicate(text.encode())
    except (TimeoutError, OSError):
        process.kill()
        await process.wait()
        return False
    return process.returncode == 0
