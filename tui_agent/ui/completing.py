"""Completion in the composer: which offer is open, and what the keys do to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tui_agent.state.completion import Offer, offer
from tui_agent.state.sending import SlashCommand
from tui_agent.ui.popup import Popup, Row


class Completing:
    """Between a composer and its popup. `put(start, text)` replaces the word from a column to the cursor."""

    def __init__(self, popup: Popup, put: Callable[[int, str], None]) -> None:
        self._popup = popup
        self._put = put
        self._offer: Offer | None = None
        self._dismissed: tuple[int, int] | None = None  # where Esc closed it: not again for this word
        self.commands: Iterable[SlashCommand] = ()
        self.people: Iterable[str] = ()
        self.arguments: Mapping[str, Sequence[str]] = {}
        self.look_round: Callable[[], None] = lambda: None  # brings people and arguments up to date

    @property
    def is_open(self) -> bool:
        return self._offer is not None

    def look(self, line: str, row: int, column: int) -> None:
        """The text or the cursor has changed."""
        if line.startswith("/") or "@" in line:
            self.look_round()
        found = offer(
            line, column, is_first_line=row == 0,
            commands=self.commands, people=self.people, arguments=self.arguments,
        )  # fmt: skip
        if found is None:
            self._dismissed = None
        elif self._dismissed == (row, found.start):
            found = None
        if found == self._offer:
            return
        self._offer = found
        self._popup.show([Row(item.label, item.note) for item in found.items] if found is not None else ())

    def close(self) -> bool:
        """Esc: close it for this word; False when none is open."""
        if self._offer is None:
            return False
        self._offer = None
        self._popup.hide()
        return True

    def dismiss(self, row: int) -> bool:
        """The same, and not again until another word begins."""
        if self._offer is None:
            return False
        self._dismissed = (row, self._offer.start)
        return self.close()

    def take_key(self, key: str) -> bool:
        """Whether an open popup used the key. Enter on a word that is complete goes on to send it."""
        if self._offer is None:
            return False
        match key:
            case "up" | "ctrl+p":
                self._popup.move(-1)
            case "down" | "ctrl+n":
                self._popup.move(1)
            case "enter" if self._offer.is_complete and self._popup.highlighted == 0:
                self.close()
                return False
            case "enter" | "tab":
                self.accept(self._popup.highlighted)
            case _:
                return False
        return True

    def accept(self, index: int) -> None:
        """Put that item in the place of what was typed."""
        if self._offer is not None and index < len(self._offer.items):
            start, item = self._offer.start, self._offer.items[index]
            self.close()
            self._put(start, item.insert)
