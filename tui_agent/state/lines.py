"""Several typed lines as one message: a backslash at the end, or triple quotes round them. Pure."""

from __future__ import annotations

from typing import Final

QUOTES: Final = '"""'


class Gatherer:
    """Takes lines, gives messages."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._is_quoted = False

    @property
    def is_open(self) -> bool:
        """More lines of the message are to come."""
        return self._is_quoted or bool(self._lines)

    def take(self, line: str) -> str | None:
        """The whole message, when this line ends it."""
        if self._is_quoted:
            if line.rstrip().endswith(QUOTES):
                self._lines.append(line.rstrip()[: -len(QUOTES)])
                return self._whole()
            self._lines.append(line)
            return None
        if not self._lines and line.lstrip().startswith(QUOTES):
            rest = line.lstrip()[len(QUOTES) :]
            if rest.rstrip().endswith(QUOTES):
                return rest.rstrip()[: -len(QUOTES)]
            self._is_quoted = True
            self._lines = [rest] if rest else []
            return None
        if line.endswith("\\") and not line.endswith("\\\\"):
            self._lines.append(line[:-1])
            return None
        self._lines.append(line)
        return self._whole()

    def end(self) -> str | None:
        """What was begun when nothing more comes."""
        return self._whole() if self._lines else None

    def _whole(self) -> str:
        text = "\n".join(self._lines)
        self._lines, self._is_quoted = [], False
        return text.rstrip("\n") if text.endswith("\n") else text
