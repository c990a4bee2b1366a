"""What stands over the chat and is closed once."""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen

Result = TypeVar("Result")


class Modal(ModalScreen[Result]):
    """A screen whose second `dismiss` does nothing.

    Two presses of Esc that come in one read are both on their way when the first closes it. Textual would pop the
    screen below, or end the app with ScreenStackError.

    It has a `name` and no id: an id must be the only one in the app, and the next may open while this one is still
    being taken away.
    """

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close it with a result; nothing where it is closed already."""
        return super().dismiss(result) if self.is_current else AwaitComplete.nothing()  # type: ignore[no-untyped-call]
