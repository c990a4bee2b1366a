"""The composer's text in the person's own editor. The terminal is lent to it; the link lives on meanwhile."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path

from textual.app import App, SuspendNotSupported

MOST_BYTES = 8 * 1024 * 1024
_FALLBACKS = ("nano", "vim", "vi")


class EditorTrouble(Exception):
    """The text is as it was; the exception's text is a sentence for a person."""


def editor_command(environ: Mapping[str, str]) -> list[str]:
    """What $VISUAL or $EDITOR says, else an editor that is there. Raises EditorTrouble."""
    for variable in ("VISUAL", "EDITOR"):
        words = environ.get(variable, "").strip()
        if not words:
            continue
        try:
            command = shlex.split(words)
        except ValueError:
            raise EditorTrouble(
                f"${variable} has a quote that is not closed. Set it to a command such as nano."
            ) from None
        if shutil.which(command[0], path=environ.get("PATH")) is None:
            raise EditorTrouble(f"The editor that ${variable} names is not there. Set it to a command such as nano.")
        return command
    for name in _FALLBACKS:
        if shutil.which(name, path=environ.get("PATH")) is not None:
            return [name]
    raise EditorTrouble("No editor was found. Set $EDITOR to a command such as nano.")


async def edit_text(app: App[int], text: str) -> str:
    """The text as the editor leaves it, without its last newline. Raises EditorTrouble."""
    command = editor_command(os.environ)
    try:
        with tempfile.TemporaryDirectory(prefix="tui-agent-") as folder:
            path = Path(folder) / "message.md"
            _write(path, text)
            status = await _run(app, [*command, str(path)])
            if status != 0:
                raise EditorTrouble(f"The editor ended with status {status}; the text is as it was.")
            return _read(path)
    except OSError:
        raise EditorTrouble("The text could not be handed to the editor and back; it is as it was.") from None
    except SuspendNotSupported:
        raise EditorTrouble("This terminal cannot be lent to an editor.") from None


def _write(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8", errors="replace", newline="\n") as file:
        file.write(text)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise EditorTrouble("The editor's text is over 8 MB; the text is as it was.")
    return data.decode("utf-8", "replace").removesuffix("\n")


async def _run(app: App[int], command: list[str]) -> int:
    # Ctrl+C in the editor reaches this process too; a Python handler, unlike SIG_IGN, is not inherited by the editor.
    old = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        with app.batch_update(), app.suspend():
            process = await asyncio.create_subprocess_exec(*command)
            try:
                return await process.wait()
            finally:
                if process.returncode is None:
                    process.terminate()
    finally:
        signal.signal(signal.SIGINT, old)
