"""The conversation as plain wrapped lines, drawn line by line: cost by what is visible.

Every entry keeps its wrapped lines; only a changed one is wrapped again. No text is parsed as markup.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui_agent.state.chat import Change, Prepend, Remove, Reset, Stream, Upsert
from tui_agent.state.entry import Entry

MOST_WIDE = 100
TAB = "    "
Line = list[tuple[str, str]]  # (text, component class)


class Log(ScrollView, can_focus=False):
    """Shows entries; follows the end unless scrolled up."""

    COMPONENT_CLASSES = {
        "log--text", "log--dim", "log--you", "log--hue0", "log--hue1", "log--hue2", "log--hue3", "log--hue4",
        "log--agent", "log--warning", "log--error",
    }  # fmt: skip
    DEFAULT_CSS = """
    Log { height: 1fr; scrollbar-size-vertical: 1; }
    Log .log--text { color: $foreground; }
    Log .log--dim { color: $foreground 56%; }
    Log .log--you { color: $foreground 56%; }
    Log .log--hue0 { color: $text-primary; text-style: bold; }
    Log .log--hue1 { color: $text-success; text-style: bold; }
    Log .log--hue2 { color: $text-secondary; text-style: bold; }
    Log .log--hue3 { color: $text-warning; text-style: bold; }
    Log .log--hue4 { color: $text-error; text-style: bold; }
    Log .log--agent { color: $text-accent; text-style: bold; }
    Log .log--warning { color: $text-warning; }
    Log .log--error { color: $text-error; }
    """

    class NeedOlder(Message):
        """The beginning of what is loaded is in sight."""

    class FollowChanged(Message):
        """Whether the end is followed, or how much came below, has changed."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._order: list[str] = []
        self._entries: dict[str, Entry] = {}
        self._lines: dict[str, list[Line]] = {}
        self._starts: list[int] = []  # first line of each entry, in order
        self._is_following = True
        self.unseen = 0

    @property
    def is_following(self) -> bool:
        return self._is_following

    def apply(self, changes: Iterable[Change]) -> None:
        """Show what changed."""
        for change in changes:
            match change:
                case Reset(entries):
                    self._order = [entry.key for entry in entries]
                    self._entries = {entry.key: entry for entry in entries}
                    self._lines.clear()
                case Prepend(entries):
                    added = sum(len(self._wrapped(entry)) for entry in entries)
                    self._order[:0] = [entry.key for entry in entries]
                    self._entries.update((entry.key, entry) for entry in entries)
                    self.scroll_to(y=self.scroll_y + added, animate=False)
                case Remove(key):
                    if key in self._entries:
                        self._order.remove(key)
                        del self._entries[key]
                        self._lines.pop(key, None)
                case Stream(key, text):
                    entry = self._entries[key]
                    self._entries[key] = replace(entry, text=entry.text + text)
                    self._lines.pop(key, None)
                case Upsert(entry, after):
                    if entry.key not in self._entries:
                        place = len(self._order) if after is None else self._order.index(after) + 1
                        self._order.insert(place, entry.key)
                        if not self._is_following:
                            self.unseen += 1
                            self.post_message(self.FollowChanged())
                    self._entries[entry.key] = entry
                    self._lines.pop(entry.key, None)
        self._lay_out()

    def follow(self) -> None:
        """To the end, and stay there."""
        self._is_following = True
        self.unseen = 0
        self.scroll_end(animate=False)
        self.post_message(self.FollowChanged())

    # ---- layout -----------------------------------------------------------------------------------

    def _wrapped(self, entry: Entry) -> list[Line]:
        lines = self._lines.get(entry.key)
        if lines is None:
            lines = self._lines[entry.key] = _lines_of(entry, max(8, min(MOST_WIDE, self.size.width - 6)))
        return lines

    def _lay_out(self) -> None:
        if not self.size.width:
            return
        self._starts = []
        total = 0
        for key in self._order:
            self._starts.append(total)
            total += len(self._wrapped(self._entries[key]))
        self.virtual_size = Size(self.size.width, total)
        if self._is_following:
            self.scroll_end(animate=False, immediate=True)
        self.refresh()

    def on_resize(self) -> None:
        self._lines.clear()
        self._lay_out()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        following = new_value >= self.max_scroll_y
        if following != self._is_following:
            self._is_following = following
            if following:
                self.unseen = 0
            self.post_message(self.FollowChanged())
        if new_value < self.size.height and self._order:
            self.post_message(self.NeedOlder())

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        line = self._line_at(y + int(self.scroll_y))
        background = self.rich_style
        segments = [Segment(" ", background)] if line else []
        segments += [Segment(text, background + self.get_component_rich_style(style)) for text, style in line]
        return Strip(segments).adjust_cell_length(width, Style(bgcolor=background.bgcolor))

    def _line_at(self, number: int) -> Line:
        low, high = 0, len(self._starts)
        while low < high:
            middle = (low + high) // 2
            if self._starts[middle] <= number:
                low = middle + 1
            else:
                high = middle
        if not low:
            return []
        lines = self._wrapped(self._entries[self._order[low - 1]])
        offset = number - self._starts[low - 1]
        return lines[offset] if offset < len(lines) else []


def _lines_of(entry: Entry, width: int) -> list[Line]:
    """The entry as lines of at most `width` + 5 cells, a blank one at its end."""
    if entry.kind in ("notice", "help", "day", "new_since"):
        return [*([(f"   {part}", "log--dim")] for part in wrap(entry.text, width)), []]
    is_agent = entry.kind != "message"
    name_style = "log--agent" if is_agent else f"log--hue{entry.hue}"
    head: Line = [(" ✦ " if is_agent else " ● ", name_style), (entry.user, name_style)]
    if entry.is_own:
        head.append((" you", "log--you"))
    if entry.time_s is not None:
        head.append((time.strftime("  %H:%M", time.localtime(entry.time_s)), "log--dim"))
    bar = "   " if is_agent else " ▎ "
    lines: list[Line] = [head]
    lines += [[(bar, name_style), (part, "log--text")] for part in wrap(entry.text, width) if entry.text]
    lines += [[("   ", name_style), (part, style)] for style, note in _foot(entry) for part in wrap(note, width)]
    return [*lines, []]


def _foot(entry: Entry) -> Sequence[tuple[str, str]]:
    note = entry.note
    match entry.state:
        case "sending":
            return [("log--dim", "◌ sending")]
        case "queued":
            return [("log--dim", f"◌ {note}")]
        case "failed":
            return [("log--error", f"■ {note}")]
        case "thinking":
            return [("log--dim", f"▍{note or 'thinking'}  esc to stop")]
        case "streaming":
            return [("log--dim", f"▍{note or 'writing'}  esc to stop")]
        case "interrupted" | "cut":
            return [("log--warning", f"■ {note}")]
        case _:
            return [("log--dim", note)] if note else []


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells: at spaces where possible, through long words where not. Spaces are kept."""
    lines: list[str] = []
    for paragraph in text.expandtabs(len(TAB)).split("\n"):
        line, line_cells = "", 0
        for word in _words(paragraph):
            cells = cell_len(word)
            if line and line_cells + cell_len(word.rstrip()) > width:
                lines.append(line.rstrip())
                line, line_cells = "", 0
            while cells > width and cell_len(word.rstrip()) > width:
                first, *rest = chop_cells(word, width)
                lines.append(first)
                word = "".join(rest)
                cells = cell_len(word)
            line += word
            line_cells += cells
        lines.append(line.rstrip())
    return lines


def _words(text: str) -> list[str]:
    """Words with the spaces after them; joined they are the text."""
    words: list[str] = []
    start = 0
    while start < len(text):
        end = text.find(" ", start)
        if end < 0:
            words.append(text[start:])
            break
        while end < len(text) and text[end] == " ":
            end += 1
        words.append(text[start:end])
        start = end
    return words
