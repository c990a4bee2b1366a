"""How far a person has seen each room, kept over sessions of use: what ended since then is told on return.

A comfort, like drafts: a disk that takes nothing more never stands in the way.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Final

from tui_agent.files import locked, make_private_folder, read_file, write_whole
from tui_agent.paths import room_key

log = logging.getLogger(__name__)

MOST_BYTES: Final = 256 * 1024
MOST_ROOMS: Final = 1000


class SeenFile:
    """One small file for all rooms of this person on this machine."""

    def __init__(self, state_folder: Path, server: str, user: str) -> None:
        """`server` is the address's key: rooms of the same name on two servers are two rooms."""
        self._path = state_folder / "seen.json"
        self._server, self._user = server, user

    def _key(self, room: str) -> str:
        return room_key(self._server, room, self._user)

    def _read(self) -> dict[str, int]:
        try:
            table = json.loads(read_file(self._path, MOST_BYTES) or b"{}")
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(table, dict):
            return {}
        return {key: id for key, id in table.items() if isinstance(id, int)}

    def read(self, room: str) -> int | None:
        """The newest event seen in the room; None on a first visit."""
        return self._read().get(self._key(room))

    def write(self, room: str, id: int) -> None:
        """So far it was seen; the newest rooms are kept."""
        try:
            make_private_folder(self._path.parent)
            with locked(self._path):
                table = self._read()
                table.pop(self._key(room), None)
                table[self._key(room)] = id
                kept = dict(list(table.items())[-MOST_ROOMS:])
                write_whole(self._path, json.dumps(kept).encode())
        except OSError as exc:
            log.warning("how far rooms were seen cannot be kept: errno %s", exc.errno)
