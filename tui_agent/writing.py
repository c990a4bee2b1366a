"""What a person has written, kept over sessions of use: earlier inputs and the draft of each room.

Both are a comfort: a disk that takes nothing more is said once and never stands in the way of a message.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from tui_agent.files import append_line, locked, make_private_folder, read_file, write_whole
from tui_agent.paths import room_key
from tui_agent.state.drafts import MOST_BYTES, Draft, read_draft, write_draft
from tui_agent.state.history import read_lines, shorten, write_line

log = logging.getLogger(__name__)

READ_BYTES: Final = 4 * 1024 * 1024
SHORTEN_BYTES: Final = 2 * 1024 * 1024
NO_DISK: Final = "What you write cannot be kept for later. Check free space and rights of {}"


class InputFile:
    """The earlier inputs of this person on this machine, over all rooms."""

    def __init__(self, state_folder: Path) -> None:
        self._path = state_folder / "writing" / "inputs.jsonl"

    def read(self) -> list[str]:
        """Oldest first; none when they cannot be read."""
        try:
            return read_lines(read_file(self._path, READ_BYTES))
        except OSError as exc:
            log.warning("earlier inputs cannot be read: errno %s", exc.errno)
            return []

    def add(self, text: str, time_s: float) -> str | None:
        """Append one; a sentence when that fails."""
        try:
            make_private_folder(self._path.parent)
            if append_line(self._path, write_line(text, time_s)) > SHORTEN_BYTES:
                with locked(self._path):
                    write_whole(self._path, shorten(read_file(self._path, READ_BYTES)))
        except OSError as exc:
            log.warning("an input could not be kept: errno %s", exc.errno)
            return NO_DISK.format(self._path.parent)
        return None


class DraftFiles:
    """One small file for each room in which something was being written."""

    def __init__(self, state_folder: Path, server: str, user: str) -> None:
        """`server` is the address's key: rooms of the same name on two servers are two rooms."""
        self._folder = state_folder / "writing" / "drafts"
        self._server, self._user = server, user

    def path(self, room: str) -> Path:
        key = room_key(self._server, room, self._user)
        return self._folder / f"{key}.json"

    def read(self, room: str) -> Draft:
        """Its draft; an empty one when there is none or it cannot be read."""
        try:
            return read_draft(read_file(self.path(room), MOST_BYTES))
        except OSError as exc:
            log.warning("a draft cannot be read: errno %s", exc.errno)
            return Draft()

    def write(self, room: str, draft: Draft) -> str | None:
        """Keep it (an empty one: remove the file); a sentence when that fails."""
        data = write_draft(draft)
        try:
            if data is None:
                self.path(room).unlink(missing_ok=True)
            else:
                make_private_folder(self._folder.parent)
                make_private_folder(self._folder)
                write_whole(self.path(room), data, is_synced=False)  # a disk may take 100 ms for an fsync
        except OSError as exc:
            log.warning("a draft could not be kept: errno %s", exc.errno)
            return NO_DISK.format(self._folder.parent)
        return None
