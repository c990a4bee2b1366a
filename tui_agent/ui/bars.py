"""The top bar and the reconnect banner: one line each, drawn from what they are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from textual.app import RenderResult
from textual.content import Content
from textual.widget import Widget

from tui_agent.link.base import LinkStatus
from tui_agent.state.chat import Chat
from tui_agent.state.told import hue_of
from tui_agent.ui.frame import NARROW, Frame
from tui_agent.ui.task_rows import tasks_brief

HUES: Final = tuple(f"$person-{number}" for number in range(5))
DIM: Final = "$foreground 56%"
FAINT: Final = "$foreground 25%"
MOST_FACES: Final = 8
S = Content.styled


class Bar(Widget):
    """A line or a column that is drawn anew when `show` is called with something else."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._content = Content("")

    def show(self, content: Content) -> None:
        if not content.is_same(self._content):
            width = self.size.width
            has_grown = width > 0 and self._lines_in(content, width) != self._lines_in(self._content, width)
            self._content = content
            self.refresh(layout=has_grown)

    def lines_in(self, width: int) -> int:
        """How many lines it fills, as wide as that with its padding."""
        return self._lines_in(self._content, width - self.styles.padding.width)

    @staticmethod
    def _lines_in(content: Content, width: int) -> int:
        return 1 if content.cell_length <= width else len(content.wrap(max(1, width)))

    def render(self) -> RenderResult:
        return self._content


def spread(left: Content, right: Content, width: int) -> Content:
    """Left and right on one line; the left gives way."""
    room = width - right.cell_length - 1
    if left.cell_length > room:
        left = left.truncate(max(0, room), ellipsis=True)
    return left + Content(" " * max(1, width - left.cell_length - right.cell_length)) + right


def lines_of(lines: Sequence[Content]) -> Content:
    """Contents on lines of their own."""
    return Content("\n").join(lines)


def top_content(frame: Frame, width: int, *, has_panel: bool) -> Content:
    """`◆ tui-agent ╱ #room  #other 3`, and what the panel would say where there is none."""
    left = S("◆ ", "$text-accent") + S("tui-agent", "bold") + S("  ╱  ", FAINT)
    left += S(f"#{frame.conversation.room}", "$foreground 80%")
    if width > NARROW - 4:
        for room, unread in frame.other_rooms:
            left += S(f"   #{room} ", DIM) + S(str(unread), "bold $text-accent")
    if has_panel:
        return spread(left, Content(""), width)
    chat = frame.conversation.chat
    right = tasks_brief(chat, is_narrow=width < 60) + faces(chat)
    return spread(left, right, width)


def faces(chat: Chat) -> Content:
    """One glyph a member, the agent last."""
    shown = list(chat.members.people)[:MOST_FACES]
    content = Content("").join(S("● ", HUES[hue_of(name)]) for name in shown)
    if chat.members.count > len(shown):
        content += S(f"+{chat.members.count - len(shown)} ", DIM)
    return content + S("✦", "$text-accent")


def is_banner_due(status: LinkStatus) -> bool:
    """Whether the connection is worth a line of its own."""
    return status.phase in ("waiting", "offline") or bool(status.sentence) or status.attempt > 0


def banner_content(status: LinkStatus, retry_in_s: float, width: int, reconnect_key: str) -> Content:
    """Why it is not live, and what to do."""
    wide = width >= 86
    now = S(reconnect_key, "bold") + S(" now", DIM) if reconnect_key else Content("")
    gap = "   " if wide else "  "
    match status.phase:
        case "waiting":
            seconds = f"in {max(0, round(retry_in_s))} s"
            count = f"try {status.attempt} of {status.attempts}" if wide else f"try {status.attempt}/{status.attempts}"
            middle = S(f"{gap}{count} {seconds}{gap}", DIM)
            if wide:
                middle += S("·   nothing is lost   ", DIM)
            line = S("◌ Connection lost", "bold") + middle + now
            if wide and line.cell_length + len(status.sentence) + 3 <= width:
                line += S(f"   {status.sentence}", DIM)
            return line
        case "connecting":
            return S("◌ Connecting", "bold") + S(f"{gap}try {max(1, status.attempt)} of {status.attempts}", DIM)
        case "offline":
            return S("■ ", "bold") + S(status.sentence or "Not connected.", "bold")
        case _:
            return S("◌ ", "bold") + S(status.sentence, "")
