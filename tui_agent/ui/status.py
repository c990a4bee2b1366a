"""The status line: connection, model and context on the left, keys on the right. Left items give way first."""

from __future__ import annotations

from textual import events
from textual.app import RenderResult
from textual.content import Content
from textual.widget import Widget

from server.protocol import Usage
from tui_agent.ui.bars import DIM
from tui_agent.ui.frame import NARROW, Frame, Item
from tui_agent.ui.messages import CommandGiven

GAP = 3
KEY = "bold $foreground 85%"
S = Content.styled


class StatusLine(Widget):
    """One line; an item with a command can be clicked."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._content = Content("")
        self._spots: list[tuple[int, int, str]] = []  # from, to (cells), command

    def show(self, frame: Frame, width: int) -> None:
        content, self._spots = laid_out(left_items(frame, width), right_items(frame, width), width)
        if not content.is_same(self._content):
            self._content = content
            self.refresh()

    def render(self) -> RenderResult:
        return self._content

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is not None:
            for start, end, command in self._spots:
                if start <= offset.x < end:
                    self.post_message(CommandGiven(command))


def left_items(frame: Frame, width: int) -> list[Item]:
    """The connection first, which stays longest."""
    status, chat = frame.conversation.status, frame.conversation.chat
    items: list[Item] = []
    match status.phase:
        case "live":
            latency = f" {status.latency_ms:.0f} ms" if status.latency_ms is not None else ""
            items.append(Item(S("● ", "$text-success") + S("live", "$foreground 85%") + S(latency, DIM)))
        case "waiting" if width < NARROW:
            items.append(Item(S(f"◌ retry {status.attempt}/{status.attempts}", "$text-warning"), "reconnect"))
        case "waiting":
            items.append(Item(S("◌ reconnecting", "$text-warning"), "reconnect"))
        case "offline":
            items.append(Item(S("■ offline", "$text-error"), "reconnect"))
        case _:
            items.append(Item(S("◌ connecting", "$text-warning")))
    if chat.model:
        items.append(Item(S(chat.model, DIM)))
    if chat.usage is not None and chat.usage.context_window:
        items.append(Item(context_share(chat.usage)))
    return items


def context_share(usage: Usage) -> Content:
    """`12.4k of 200k`; in the warning's colour when little is left."""
    is_full = usage.context_tokens > 0.8 * usage.context_window
    words = f"{thousands(usage.context_tokens)} of {thousands(usage.context_window)}"
    return S(words, "$text-warning" if is_full else DIM)


def right_items(frame: Frame, width: int) -> list[Item]:
    """A hint, then the keys that apply."""
    chat = frame.conversation.chat
    items: list[Item] = []
    key_of = frame.key_of
    if frame.hint and not frame.is_hint_in_box:
        items.append(Item(S(frame.hint, DIM)))
    elif not frame.is_following:
        key = key_of.get("follow", "")
        words = f"{frame.unseen} new below" if frame.unseen else "scrolled up"
        items.append(Item(S(words, "$text-accent") + S(f" · {key}" if key else "", DIM), "follow"))
    if frame.voice:
        return [*items, *frame.voice]
    if chat.running is not None and key_of.get("stop"):
        items.append(Item(S(f"{key_of['stop']} ", KEY) + S("stop", DIM), "stop"))
    if key_of.get("talk"):
        items.append(Item(S(f"{key_of['talk']} ", KEY) + S("talk", DIM), "talk"))
    return items


def laid_out(left: list[Item], right: list[Item], width: int) -> tuple[Content, list[tuple[int, int, str]]]:
    """The line, and where a click gives which command.

    Of the left the second goes first (the model, then the context; the connection stays), then a long hint is cut.
    """

    def cells(items: list[Item]) -> int:
        return sum(item.content.cell_length for item in items) + GAP * max(0, len(items) - 1)

    left, right = list(left), list(right)
    while len(left) > 1 and cells(left) + cells(right) + 2 > width:
        left.pop(1)
    over = cells(left) + cells(right) + 2 - width
    if over > 0 and cells(right) <= width:
        left, over = [], 0  # a sentence with what to do is worth more than the latency
    if over > 0 and right:
        room = right[0].content.cell_length - over
        if room >= 8:
            right[0] = Item(right[0].content.truncate(room, ellipsis=True), right[0].command)
        else:
            left = []
            while len(right) > 1 and cells(right) > width:
                right.pop(0)
    line, spots = Content(""), []
    for place, items in ((0, left), (max(0, width - cells(right)), right)):
        line += Content(" " * max(0, place - line.cell_length))
        for number, item in enumerate(items):
            if number:
                line += Content(" " * GAP)
            start = line.cell_length
            line += item.content
            if item.command:
                spots.append((start, line.cell_length, item.command))
    return line.truncate(width), spots


def thousands(tokens: int) -> str:
    """`980`, `12.4k`, `200k`, `1M`."""
    if tokens < 1000:
        return str(tokens)
    if tokens >= 1_000_000:
        return f"{tokens / 1_000_000:.3g}M"
    return f"{tokens / 1000:.1f}k" if tokens < 100_000 else f"{tokens // 1000}k"
