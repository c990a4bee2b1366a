"""What a named action of the chat is, and the rules over a table of them: keys of the config, slash commands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

Group = Literal["Write", "Agent", "Look", "Rooms", "Voice", "Tasks", "Program"]
GROUPS: Final[tuple[Group, ...]] = ("Write", "Agent", "Look", "Rooms", "Voice", "Tasks", "Program")


@dataclass(frozen=True, slots=True)
class Command:
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


@dataclass(frozen=True, slots=True)
class Slash:
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

        "none" takes the key away. A key that two actions of one place would share is a conflict: the config's loses
        against another of the config that came first, and a default gives way to the config's.
        """
        problems: list[tuple[str, str]] = []
        chosen: dict[str, str] = {}
        taken: dict[str, str] = {}
        for name, text in wanted.items():
            sentence = self._why_not(name, text, taken)
            if sentence:
                problems.append((name, sentence))
                continue
            keys = () if text.strip().lower() == "none" else parse_keys(text)
            assert keys is not None
            chosen[name] = ",".join(keys)
            taken.update(dict.fromkeys(keys, name))
        commands: list[Command] = []
        for command in self:
            if command.name in chosen:
                commands.append(replace(command, key=chosen[command.name]))
                continue
            lost = [key for key in command.keys if key in taken]
            if lost:
                kept = ",".join(key for key in command.keys if key not in taken)
                command = replace(command, key=kept)
                if not kept and command.name not in chosen:
                    by = taken[lost[0]]
                    problems.append((by, f"{shown_key(lost[0])} was the key of `{command.name}`, which has none now."))
            commands.append(command)
        return Commands(commands), problems

    def _why_not(self, name: str, text: str, taken: Mapping[str, str]) -> str:
        if name not in self:
            return "there is no action of this name; F1 lists them."
        if text.strip().lower() == "none":
            return ""
        keys = parse_keys(text)
        if keys is None:
            return "this is no key (write it as f6, ctrl+o or shift+f2); the default is used."
        for key in keys:
            if key in taken:
                return f"{shown_key(key)} is the key of `{taken[key]}` already; the default is used."
            if len(key) == 1 or key in _NEVER:
                return f"{shown_key(key)} is needed for writing; the default is used."
        return ""


_NAMED: Final = frozenset(
    ["escape", "enter", "tab", "space", "backspace", "delete", "insert", "home", "end", "pageup", "pagedown"]
    + ["up", "down", "left", "right"]
)
_NEVER: Final = frozenset({"space", "backspace", "tab", "left", "right", "shift+space"})
_ORDER: Final = ("ctrl", "alt", "shift", "super", "meta")
_ALIASES: Final = {"esc": "escape", "return": "enter", "pgup": "pageup", "pgdn": "pagedown", "del": "delete"}


def parse_keys(text: str) -> tuple[str, ...] | None:
    """Keys as Textual names them, from `Ctrl+O, F6`; None when one cannot be a key."""
    keys = []
    for part in text.lower().replace("^", "ctrl+").split(","):
        *modifiers, key = part.strip().replace(" ", "").split("+")
        key = _ALIASES.get(key, key)
        is_key = key in _NAMED or re.fullmatch(r"f([1-9]|1[0-9]|2[0-4])|[a-z0-9]", key) is not None
        if not is_key or any(modifier not in _ORDER for modifier in modifiers) or len(set(modifiers)) < len(modifiers):
            return None
        keys.append("+".join([*sorted(modifiers, key=_ORDER.index), key]))
    return tuple(keys) or None


_SHOWN: Final = {"escape": "esc", "pageup": "pgup", "pagedown": "pgdn", "up": "↑", "down": "↓"}


def shown_key(key: str) -> str:
    """A key as a person reads it: `ctrl+o`, `F2`, `esc`."""
    *modifiers, last = key.split("+")
    last = _SHOWN.get(last, last)
    if re.fullmatch(r"f\d+", last):
        last = last.upper()
    return "+".join([*modifiers, last])
