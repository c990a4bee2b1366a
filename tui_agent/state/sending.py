"""What a sent text is: words for the room, a slash command, or something mistyped. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from msgspec import Struct


class SlashCommand(Protocol):
    """A row of the table of commands, as far as one types it."""

    @property
    def slash(self) -> str:
        """ "/room"; "" where there is none."""
        ...

    @property
    def takes(self) -> str:
        """What may follow: "NAME" must, "[NAME]" may."""
        ...

    @property
    def title(self) -> str: ...


Row = TypeVar("Row", bound=SlashCommand)


class Say(Struct, frozen=True):
    """Words for the room."""

    text: str


class Do(Struct, Generic[Row], frozen=True):
    """A command, with the words behind its name."""

    command: Row
    words: str


class Wrong(Struct, frozen=True):
    """Not to be sent; the sentence says why and what to do."""

    sentence: str


_NAME = re.compile(r"/([A-Za-z][A-Za-z_-]*|)(?=\s|$)")


def read_input(text: str, commands: Iterable[Row]) -> Say | Do[Row] | Wrong:
    """`/name words` is a command, `//…` says `/…`, and a path (`/usr/bin …`) is words."""
    text = text.strip("\n").rstrip()
    if text.startswith("//"):
        return Say(text[1:])
    match = _NAME.match(text)
    if match is None:
        return Say(text)
    slash, words = f"/{match[1].lower()}", text[match.end() :].strip()
    rows = [command for command in commands if command.slash]
    command = next((row for row in rows if row.slash == slash), None)
    if command is None:
        return Wrong(_unknown(slash, [row.slash for row in rows]))
    if command.takes and not command.takes.startswith("[") and not words:
        return Wrong(f"{slash} needs something after it: {slash} {command.takes}")
    return Do(command, words)


def _unknown(slash: str, names: list[str]) -> str:
    from difflib import get_close_matches  # only for who mistypes

    slash = slash[:24]
    near = get_close_matches(slash, names, n=1, cutoff=0.6)
    if not near and len(slash) > 1:
        near = [name for name in names if name.startswith(slash)][:1]
    hint = f"Did you mean {near[0]}?" if near else "/help lists them."
    return f"There is no command {slash}. {hint} To send it as it is, begin with two: /{slash}"
