"""What an event changes in the transcript. The fold makes them, the transcript applies them in order."""

from __future__ import annotations

from msgspec import Struct

from tui_agent.state.entry import Entry


class Upsert(Struct, frozen=True):
    """The entry with this key is now so. A new one stands after `after` (a key), or at the end."""

    entry: Entry
    after: str | None = None


class Stream(Struct, frozen=True):
    """More text of an entry, cleaned."""

    key: str
    text: str


class Remove(Struct, frozen=True):
    key: str


class Reset(Struct, frozen=True):
    """All entries anew."""

    entries: tuple[Entry, ...]


class Prepend(Struct, frozen=True):
    """Older entries, before all others."""

    entries: tuple[Entry, ...]


Change = Upsert | Stream | Remove | Reset | Prepend
