"""The tree of expected trouble: each has a wire code, a sentence for a person, and says whether to try again."""

from __future__ import annotations

from server.protocol import RETRYABLE, Code


class Trouble(Exception):
    """Something expected went wrong. `message` is a sentence for a person with the next step."""

    def __init__(self, code: Code, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code: Code = code
        self.message = message
        self.retry_after_s = retry_after_s

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code in RETRYABLE


class AgentTrouble(Trouble):
    """A model could not answer, or stopped in the middle of it."""


class StoreTrouble(Trouble):
    """The store could not take an event; nothing of the request was written."""


class StoreUnusable(Exception):
    """The data folder or database cannot be used at all; the server must not start. The text is for a person."""
