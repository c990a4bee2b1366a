"""What stands round the transcript, as one value: the app fills it, the bars and the panel draw it."""

from __future__ import annotations

from msgspec import Struct, field
from textual.content import Content

from tui_agent.conversation import Conversation

WIDE = 104  # from here the panel stands beside the transcript
NARROW = 72  # below, words get short


class Item(Struct, frozen=True):
    """A piece of the status line. A click on it gives `command`."""

    content: Content
    command: str = ""


class Frame(Struct):
    """The parts own their fields: voice sets `voice`, `is_recording` and `box_note`; the app sets the rest."""

    conversation: Conversation
    hint: str = ""  # one sentence in the status line
    is_hint_in_box: bool = False  # it is too long for it
    is_following: bool = True
    unseen: int = 0  # new below, while not following
    is_panel_wanted: bool = True
    other_rooms: tuple[tuple[str, int], ...] = ()  # (room, unread): later
    voice: tuple[Item, ...] = ()  # replaces "F2 talk" while recording or speaking
    is_recording: bool = False  # the composer's box is red
    box_note: str = ""  # at the box's lower edge: "listening"
    key_of: dict[str, str] = field(default_factory=dict)  # name of an action -> its key, as a person reads it
