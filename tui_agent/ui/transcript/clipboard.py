"""The clipboard: through the terminal (OSC 52), by tmux's own command, and by the desktop's on the person's machine.

Not every terminal takes OSC 52, and tmux swallows it unless `set-clipboard` is `on` (its default is `external`); a
desktop's command works only where the desktop is.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from typing import Final

TIMEOUT_S: Final = 2.0


def clipboard_commands(environ: Mapping[str, str], platform: str) -> list[tuple[str, ...]]:
    """The commands that take a text on stdin: that of tmux, which hands it to the terminal outside too (-w), and that
    of the desktop, unless it would be another machine's."""
    path = environ.get("PATH")
    wanted: list[tuple[str, ...]] = []
    if not (environ.get("SSH_CONNECTION") or environ.get("SSH_TTY")):
        if platform == "darwin":
            wanted.append(("pbcopy",))
        if environ.get("WAYLAND_DISPLAY"):
            wanted.append(("wl-copy",))
        if environ.get("DISPLAY"):
            wanted += [("xclip", "-selection", "clipboard"), ("xsel", "--clipboard", "--input")]
    found = [command for command in wanted if shutil.which(command[0], path=path)][:1]
    if environ.get("TMUX") and shutil.which("tmux", path=path):
        found.append(("tmux", "load-buffer", "-w", "-"))
    return found


async def copy_locally(text: str) -> bool:
    """Give the text to the commands there are; whether one of them took it."""
    took = [await _give(command, text) for command in clipboard_commands(os.environ, sys.platform)]
    return any(took)


async def _give(command: tuple[str, ...], text: str) -> bool:
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
