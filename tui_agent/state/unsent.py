"""One's own messages that are not durable yet, as the screen shows them behind all that is. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from tui_agent.state.changes import Change, Remove, Upsert
from tui_agent.state.clean import clean_line, clean_text
from tui_agent.state.entry import Entry
from tui_agent.state.told import hue_of

OFFERED = "written a while ago and never sent · /resend sends it, /discard drops it"


class Unsent:
    """By the entry's key (told.key_of), oldest first. Each method says what changed on the screen."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def add(self, key: str, user: str, text: str, time_s: float, *, is_offered: bool) -> list[Change]:
        """A message was given to the link; an offered one is too old to go out by itself."""
        entry = Entry(
            key, "message", clean_text(text), user, is_own=True, hue=hue_of(user), time_s=time_s,
            state="failed" if is_offered else "sending", note=OFFERED if is_offered else "",
        )  # fmt: skip
        return self._put(entry)

    @property
    def failed(self) -> list[tuple[str, str]]:
        """(cid, text) of those that were refused or are only offered."""
        return [(key.rpartition(":")[2], e.text) for key, e in self.entries.items() if e.state == "failed"]

    def forget(self, key: str) -> list[Change]:
        """It was given up."""
        return [Remove(key)] if self.entries.pop(key, None) is not None else []

    def acked(self, key: str) -> list[Change]:
        """The server has it; its event is still to come."""
        entry = self.entries.get(key)
        if entry is None or entry.state == "sent":
            return []
        return self._put(replace(entry, state="sent", note=""))

    def refused(self, key: str, sentence: str) -> list[Change]:
        """The server does not take it, and says why."""
        entry = self.entries.get(key)
        if entry is None:
            return []
        note = f"{clean_line(sentence)} · /resend tries again, /discard drops it"
        return self._put(replace(entry, state="failed", note=note))

    def _put(self, entry: Entry) -> list[Change]:
        self.entries[entry.key] = entry
        return [Upsert(entry)]
