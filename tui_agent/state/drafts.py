"""What was being written in a room: the text, its big pastes, and where the cursor stood. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

MOST_BYTES: Final = 8 * 1024 * 1024  # of a draft's file; a paste of 4 MB is kept


class Draft(msgspec.Struct, frozen=True, omit_defaults=True):
    """`pastes` maps the names that stand in the text to what was pasted."""

    text: str = ""
    row: int = 0
    column: int = 0
    pastes: dict[str, str] = {}

    @property
    def is_empty(self) -> bool:
        return not self.text.strip()


_decode = msgspec.json.Decoder(Draft).decode
_encode = msgspec.json.Encoder().encode


def write_draft(draft: Draft) -> bytes | None:
    """A draft as the bytes of its file; None when there is nothing to keep, or far too much of it."""
    if draft.is_empty:
        return None
    data = _encode(draft)
    return data if len(data) <= MOST_BYTES else None


def read_draft(data: bytes) -> Draft:
    """The draft of a file, its place inside its text; an empty one when the file cannot be read."""
    try:
        draft = _decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return Draft()
    lines = draft.text.split("\n")
    row = min(max(0, draft.row), len(lines) - 1)
    column = min(max(0, draft.column), len(lines[row]))
    return Draft(draft.text, row, column, draft.pastes)
