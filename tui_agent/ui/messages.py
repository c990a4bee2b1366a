"""What the widgets tell the app (a widget's own messages are in the widget's class)."""

from __future__ import annotations

from textual.message import Message


class CommandGiven(Message):
    """A named action was asked for, by its key or a click."""

    def __init__(self, name: str, words: str = "") -> None:
        super().__init__()
        self.name = name
        self.words = words
