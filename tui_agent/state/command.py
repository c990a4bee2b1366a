"""What a named action of the chat is, and the rules over a table of them: keys of the config, slash commands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

Group = Literal["Write", "Agent", "Look", "Rooms", "Voice", "Tasks", "Program"]
GROUPS: Final[tuple[Group, ...]] = ("Write", "Agent", "Look", "Rooms", "Voice", "Tasks", "Program")


class Command(Struct, frozen=True):
    """One named action. Bindings, F1, the palette, slash commands and `[keys]` are all made from it.

    `run(app, words)` does it; `words` is what followed the slash command, "" when a key was pressed.
    """

    name: str  # how `[keys]` and the code call it: a-z and _
    title: str  # one plain phrase, for F1 and the palette
    run: Callable[[Any, str], object]
    key: str = ""  # Textual's names, commas between several; "": none until `[keys]` gives one
    slash: str = ""  # "/room"
    takes: str = ""  # what may follow it: "[NAME]"
    group: Group = "Program"
    when: str = ""  # when it does something, in words: "while an answer runs"
    owner: Literal["screen", "composer", "transcript"] = "screen"  # who binds the key
    in_palette: bool = True

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(key for key in self.key.split(",") if key)


class Slash(Struct, frozen=True):
    """A slash command as typed. `command` is None when there is none of that name."""

    word: str
    words: str
    command: Command | None


_SLASH: Final = re.compile(r"(/[a-z][a-z-]*)(?:\s+(.*))?", re.DOTALL)


class Commands:
    """The table in force. Iterates in the order of the table."""

    def __init__(self, commands: Iterable[Command]) -> None:
        self._of_name = {command.name: command for command in commands}
        self._of_slash = {command.slash: command for command in self._of_name.values() if command.slash}

    def __iter__(self) -> Iterator[Command]:
        return iter(self._of_name.values())

    def __getitem__(self, name: str) -> Command:
        return self._of_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._of_name

    def key_of(self, name: str) -> str:
        """The first key of an action as a person reads it; "" when there is none."""
        command = self._of_name.get(name)
        return shown_key(command.keys[0]) if command is not None and command.keys else ""

    def slash(self, text: str) -> Slash | None:
        """What a text asks for when it is a slash command: `/` and letters alone, then nothing or a space."""
        match = _SLASH.fullmatch(text.strip())
        if match is None:
            return None
        return Slash(match[1], (match[2] or "").strip(), self._of_slash.get(match[1]))

    def with_keys(self, wanted: Mapping[str, str]) -> tuple[Commands, list[tuple[str, str]]]:
        """The table with a person's keys, and what is wrong with them: (name, sentence) each, the default stays.

        "none" takes the key away. Two actions of one place cannot share a key (the screen's keys are seen everywhere):
        of two wishes the first has it, and a default gives way to a wish.
        """
        problems: list[tuple[str, str]] = []
        chosen: dict[str, tuple[str, ...]] = {}
        for name, text in wanted.items():
            sentence = self._why_not(name, text, chosen)
            if sentence:
                problems.append((name, sentence))
            else:
                chosen[name] = () if text.strip().lower() == "none" else parse_keys(text) or ()
        commands: list[Command] = []
        for command in self:
            keys = chosen.get(command.name)
            if keys is None:
                by_key = {key: by for key in command.keys if (by := self._holder(key, command, chosen))}
                keys = tuple(key for key in command.keys if key not in by_key)
                if by_key and not keys:
                    key, by = next(iter(by_key.items()))
                    problems.append((by, f"{shown_key(key)} was the key of `{command.name}`, which has none now."))
            commands.append(replace(command, key=",".join(keys)))
        return Commands(commands), problems

    def _holder(self, key: str, command: Command, chosen: Mapping[str, tuple[str, ...]]) -> str:
        """Which wish has the key in the place where `command` would want it; "" for none."""
        for name, keys in chosen.items():
            if (
                key in keys
                and "screen" in (command.owner, self[name].owner)
                or (key in keys and command.owner == self[name].owner)
            ):
                return name
        return ""

    def _why_not(self, name: str, text: str, chosen: Mapping[str, tuple[str, ...]]) -> str:
        if name not in self:
            return "there is no action of this name; it is ignored (F1 lists them)."
        if text.strip().lower() == "none":
            return ""
        keys = parse_keys(text)
        if keys is None:
            return "this is no key (write it as f6, ctrl+o or shift+f2); the default is used."
        for key in keys:
            holder = self._holder(key, self[name], chosen)
            if holder:
                return f"{shown_key(key)} is the key of `{holder}` already; the default is used."
            if len(key) == 1 or key in _NEVER:
                return f"{shown_key(key)} is needed for writing; the default is used."
        return ""


_NAMED: Final = frozenset(
    ["escape", "enter", "tab", "space", "backspace", "delete", "insert", "home", "end", "pageup", "pagedown"]
    + ["up", "down", "left", "right"]
)
_NEVER: Final = frozenset({"space", "backspace", "tab", "left", "right", "shift+space"})
_MODIFIERS: Final = frozenset({"ctrl", "alt", "shift", "super", "meta"})
_ALIASES: Final = {"esc": "escape", "return": "enter", "pgup": "pageup", "pgdn": "pagedown", "del": "delete"}


def parse_keys(text: str) -> tuple[str, ...] | None:
    """Keys as Textual names them (modifiers in the alphabet's order), from `Ctrl+O, F6`; None when one is no key."""
    keys = []
    for part in text.lower().replace("^", "ctrl+").split(","):
        *modifiers, key = part.strip().replace(" ", "").split("+")
        key = _ALIASES.get(key, key)
        is_key = key in _NAMED or re.fullmatch(r"f([1-9]|1[0-9]|2[0-4])|[a-z0-9]", key) is not None
        if (
            not is_key
            or any(modifier not in _MODIFIERS for modifier in modifiers)
            or len(set(modifiers)) < len(modifiers)
        ):
            return None
        keys.append("+".join([*sorted(modifiers), key]))
    return tuple(keys) or None


_SHOWN: Final = {"escape": "esc", "pageup": "pgup", "pagedown": "pgdn", "up": "↑", "down": "↓"}


def shown_key(key: str) -> str:
    """A key as a person reads it: `ctrl+o`, `F2`, `esc`."""
    *modifiers, last = key.split("+")
    last = _SHOWN.get(last, last)
    if re.fullmatch(r"f\d+", last):
        last = last.upper()
    return "+".join([*modifiers, last])
