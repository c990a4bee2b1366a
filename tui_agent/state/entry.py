"""What the transcript shows: one Entry for everything that stands in it, oldest first.

`chat.fold` makes them from events, the transcript widget draws them. All text in an Entry is cleaned already
(state.clean) and is never parsed as markup of the terminal or of Textual; `markdown` says whether it is Markdown.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

EntryKind = Literal[
    "message",  # a person's
    "answer",  # the agent's
    "task",  # the result of background work, folded
    "notice",  # one dim line: joined, cleared, history is gone
    "day",  # a day line
    "new_since",  # the thin line "new since 14:02"
    "help",  # 1 to 3 lines in an empty room
]
EntryState = Literal[
    "sending",  # not acknowledged yet
    "sent",
    "queued",  # `note` has the place
    "failed",  # `note` has the sentence and the way out
    "thinking",
    "streaming",
    "done",
    "interrupted",  # `note` has by whom
    "cut",  # by a restart; `note` says so
]


class Entry(Struct, frozen=True):
    """One thing in the transcript. `key` stays over the life of the thing, also when its id becomes known."""

    key: str
    kind: EntryKind
    text: str = ""
    user: str = ""
    is_own: bool = False
    hue: int = 0  # which of the people's colours; fixed by the name
    time_s: float | None = None  # wall clock, unix seconds; None where the time is not known yet
    state: EntryState = "done"
    note: str = ""
    id: int | None = None  # the durable event's
    run: str = ""
    is_folded: bool = False
    has_markdown: bool = False
