"""What the references of a Markdown text point to: `[label]: url "title"` and `[^note]: text`. Pure.

A definition may come after what uses it. So the labels that a closed block could use are kept, and when one of them is
defined that block is told of: each block is laid out anew once for a label at the most.

A definition stands on one line and is http or https; anything else is shown as it is.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 999  # characters of a label
DEFINITION_CHARS: Final = 2000  # a longer line is text

ESCAPED: Final = re.compile(r"\\([!-/:-@\[-`{-~])")
_INNER: Final = r"[^\[\]\\]*(?:\\.[^\[\]\\]*)*"
LABEL: Final = re.compile(rf"\[({_INNER})\]", re.DOTALL)
IS_LABEL: Final = re.compile(_INNER, re.DOTALL)
NOTE: Final = re.compile(r"\[\^([^\s\[\]\\^`*_|<&]{1,20})\]")
_TARGET: Final = r"(?:<([^<>]*)>|([^<\s]\S*))"
_TITLE: Final = r"(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|\((?:[^()\\]|\\.)*\))"
_TITLE_BEGUN: Final = r"(?:\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|\((?:[^()\\]|\\.)*\)?)"
_DEFINITION: Final = re.compile(rf"\[(?!\^)({_INNER})\]:[ \t]*{_TARGET}(?:[ \t]+{_TITLE})?[ \t]*$")
_BEGUN: Final = re.compile(
    r"[ \t>]*\[(?:[^\[\]\\^]{0,40}\]?|\^[^\s\[\]\\]{0,20}(?:\]:?)?|"
    rf"(?!\^){_INNER}\]:[ \t]*(?:(?:<[^<>]*>?|[^<\s]\S*)(?:[ \t]+{_TITLE_BEGUN}?)?)?)$"
)
_RAISED: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def is_web(url: str) -> bool:
    """Whether it is a link that may be opened: http or https, all of it printable."""
    return url.startswith(("http://", "https://")) and url.isprintable() and len(url) > 8


def definition(line: str) -> tuple[str, str] | None:
    """The label and the target that a line defines."""
    found = _DEFINITION.match(line) if len(line) <= DEFINITION_CHARS and line.startswith("[") else None
    if found is None or not found[1].strip() or len(found[1]) > LONGEST:
        return None
    url = ESCAPED.sub(r"\1", found[2] if found[2] is not None else found[3])
    return (found[1], url) if is_web(url) else None


def has_begun(line: str) -> bool:
    """Whether a line that has not ended may become a definition: it is shown when it cannot."""
    return len(line) <= DEFINITION_CHARS and "[" in line and _BEGUN.match(line) is not None


def marker(note: str) -> str:
    """What stands for a footnote, in the text and before its own: ¹, or its name."""
    return note.translate(_RAISED) if note.isascii() and note.isdigit() else f"[{note}]"


def _key(label: str) -> str:
    return " ".join(label.split()).casefold()


class Links:
    """Of one text. `version` is another when what is known is another."""

    __slots__ = ("_ahead", "_changed", "_targets", "_uses", "version")

    def __init__(self) -> None:
        self.version = 0
        self._targets: dict[str, str] = {}  # a note's key begins with ^, and it has no target
        self._ahead: dict[str, str] = {}  # of the line that has not ended
        self._uses: dict[str, list[int]] = {}
        self._changed: set[int] = set()

    def define(self, label: str, url: str) -> None:
        """The first definition of a label is the one that counts."""
        if (key := _key(label)) not in self._targets:
            self._targets[key] = url
            self._note(key)

    def foresee(self, found: dict[str, str]) -> None:
        """The line that has not ended defines these, and no longer those before."""
        if not found and not self._ahead:
            return
        ahead = {_key(label): url for label, url in found.items()}
        if ahead != self._ahead:
            before, self._ahead = self._ahead, ahead
            for key in before.keys() | ahead.keys():
                self._note(key)

    def _note(self, key: str) -> None:
        self.version += 1
        self._changed.update(self._uses.get(key, ()))

    def use(self, number: int, text: str) -> None:
        """This block has this text: the labels in it may be defined later."""
        if "[" in text:
            for key in {_key(found[1]) for found in LABEL.finditer(text)}:
                self._uses.setdefault(key, []).append(number)

    def changed(self) -> set[int]:
        """The blocks to lay out anew since this was asked last."""
        if not self._changed:
            return set()
        found, self._changed = self._changed, set()
        return found

    @property
    def is_empty(self) -> bool:
        return not self._targets and not self._ahead

    def target(self, label: str) -> str:
        """Where a reference goes; "" when nothing says it."""
        key = _key(label)
        return self._targets.get(key) or self._ahead.get(key, "")

    def has_note(self, name: str) -> bool:
        """Whether there is such a footnote."""
        key = _key(f"^{name}")
        return key in self._targets or key in self._ahead
