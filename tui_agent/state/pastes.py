"""Big pastes stand in the composer as a name, `[pasted 1: 4,194,304 bytes]`, and become text when it is sent. Pure.

A text widget wraps what it holds: 60 KB cost it 40 ms, 4 MB two seconds, and a long line is wrapped anew at each key.
"""

from __future__ import annotations

import re
from typing import Final

BIG: Final = 16_000  # characters; a paste above this gets a name
LONG_LINE: Final = 4_000  # characters; 55,000 cost 58 ms a key
MOST: Final = 8_000_000  # characters of all pastes that are remembered
_NAME: Final = re.compile(r"\[pasted (\d{1,9}): [\d,]+ bytes(?:, [\d,]+ lines)?\]")


def is_big(text: str, most: int = BIG) -> bool:
    """Whether a text is too much for a text widget to stay quick."""
    return len(text) > most or (len(text) > LONG_LINE and max(map(len, text.split("\n"))) > LONG_LINE)


class Pastes:
    """The big pastes of one composer, by name."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._sizes: dict[str, int] = {}  # in bytes
        self._number = 0

    def keep(self, text: str) -> str:
        """Remember a paste; returns the name that stands for it. The oldest are forgotten beyond `MOST`."""
        self._number += 1
        lines = text.count("\n") + 1
        size_bytes = _size(text)
        about = f"{size_bytes:,} bytes" + (f", {lines:,} lines" if lines > 1 else "")
        name = f"[pasted {self._number}: {about}]"
        self._texts[name], self._sizes[name] = text, size_bytes
        while len(self._texts) > 1 and sum(map(len, self._texts.values())) > MOST:
            del self._texts[next(iter(self._texts))]
        return name

    def expand(self, text: str) -> str:
        """The text with every paste in its place."""
        if "[pasted " not in text:
            return text
        # In one pass: a name inside a pasted text is only text.
        return _NAME.sub(lambda match: self._texts.get(match[0], match[0]), text)

    def size_bytes(self, text: str) -> int:
        """Of the expanded text, without making it."""
        size = _size(text)
        if "[pasted " in text:
            for match in _NAME.finditer(text):
                if match[0] in self._texts:
                    size += self._sizes[match[0]] - len(match[0])
        return size

    def used_in(self, text: str) -> dict[str, str]:
        """Those whose name stands in the text."""
        if "[pasted " not in text:
            return {}
        return {name: pasted for name, pasted in self._texts.items() if name in text}

    def restore(self, texts: dict[str, str]) -> None:
        """Those of a draft."""
        self._texts.update(texts)
        self._sizes.update({name: _size(text) for name, text in texts.items()})
        numbers = [int(match[1]) for match in map(_NAME.fullmatch, texts) if match is not None]
        self._number = max([self._number, *numbers])

    def name_before(self, line: str, column: int) -> str | None:
        """The name that ends at the column of a line, so that one Backspace takes it away."""
        return next((name for name in self._texts if line.endswith(name, 0, column)), None)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
