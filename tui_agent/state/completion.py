"""What the popup over the composer offers: commands after `/`, people after `@`, names after `/room`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from tui_agent.state.sending import SlashCommand

MOST_ITEMS: Final = 50


class Item(Struct, frozen=True):
    """One line of the popup: accepting it puts `insert` in the place of what was typed."""

    insert: str
    label: str
    note: str = ""


class Offer(Struct, frozen=True):
    """Items for the word that begins at `start` (a column of the line) and ends at the cursor."""

    start: int
    typed: str
    items: tuple[Item, ...]

    @property
    def is_complete(self) -> bool:
        """What is typed is the first item already: Enter may send."""
        return bool(self.items) and self.items[0].insert.rstrip() == self.typed


_COMMAND = re.compile(r"/[A-Za-z_-]*")
_ARGUMENT = re.compile(r"/([a-z]+) +(\S*)")
_PERSON = re.compile(r"(?:^|[\s(\[,;:])(@[A-Za-z0-9_-]{0,32})$")


def offer(
    line: str,
    column: int,
    *,
    is_first_line: bool,
    commands: Iterable[SlashCommand],
    people: Iterable[str],
    arguments: Mapping[str, Sequence[str]] | None = None,
) -> Offer | None:
    """What fits the word before `column` of `line`; None when nothing is to be offered.

    `arguments` names what may follow a command: `{"room": ["main", "ops"]}`.
    """
    before = line[:column]
    if is_first_line:
        if _COMMAND.fullmatch(before):
            items = [
                Item(f"{c.slash} " if c.takes else c.slash, f"{c.slash} {c.takes}".rstrip(), c.title)
                for c in _ranked(before.lower(), commands)
            ]
            return Offer(0, before, tuple(items)) if items else None
        match = _ARGUMENT.fullmatch(before)
        if match is not None and arguments and match[1] in arguments:
            values = [value for value in arguments[match[1]] if value.startswith(match[2])]
            items = [Item(value, value) for value in values[:MOST_ITEMS]]
            return Offer(match.start(2), match[2], tuple(items)) if items else None
    # Only the word's length is looked at, so that a line of 60,000 characters costs the same.
    tail_start = max(0, column - 40)
    match = (
        _PERSON.search(line[tail_start:column]) if tail_start == 0 else _PERSON.search(" " + line[tail_start:column])
    )
    if match is None:
        return None
    typed = match[1]
    names = [name for name in people if name.startswith(typed[1:].lower())]
    items = [Item(f"@{name} ", f"@{name}") for name in names[:MOST_ITEMS]]
    return Offer(column - len(typed), typed, tuple(items)) if items else None


def _ranked(typed: str, commands: Iterable[SlashCommand]) -> list[SlashCommand]:
    """Those that begin so, then those that have the letters in order."""
    rows = [command for command in commands if command.slash]
    begins = [row for row in rows if row.slash.startswith(typed)]
    letters = re.compile(".*".join(map(re.escape, typed)))
    return begins + [row for row in rows if row not in begins and letters.match(row.slash)]
