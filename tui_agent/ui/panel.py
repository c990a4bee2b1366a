"""The side panel: who is in the room and what they do, the queue, the tasks, and two hints at its foot."""

from __future__ import annotations

from collections.abc import Mapping

from textual.app import RenderResult
from textual.content import Content
from textual.widget import Widget

from tui_agent.state.chat import Chat
from tui_agent.state.told import hue_of
from tui_agent.ui.bars import DIM, HUES, lines_of
from tui_agent.ui.frame import Frame
from tui_agent.ui.task_rows import tasks_rows

MOST_PEOPLE = 16
NAME_CELLS = 8
MOST_AWAY = 3
S = Content.styled


class Panel(Widget):
    """32 cells wide. Draws what `show` was given last."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._content = Content("")

    def show(self, frame: Frame) -> None:
        width, height = self.content_size
        if not width or not height:
            return
        content = panel_content(frame, width, height)
        if not content.is_same(self._content):
            self._content = content
            self.refresh()

    def render(self) -> RenderResult:
        return self._content


def panel_content(frame: Frame, width: int, height: int) -> Content:
    """Exactly `height` lines where there is room for the hints, else the top of it."""
    chat = frame.conversation.chat
    rows = people_rows(chat, width, frame.conversation.left_for_s)
    tasks = tasks_rows(chat, width)
    if tasks:
        rows += [Content(""), Content(""), *tasks]
    hints = _hints(frame)
    rows = rows[: max(0, height - 3)]
    if hints and len(rows) + 2 <= height:
        rows += [Content("")] * (height - len(rows) - 2) + [hints]
    return lines_of(rows)


def people_rows(chat: Chat, width: int, left_for_s: Mapping[str, float]) -> list[Content]:
    """Members, then who left lately, the agent last, with what each does; then the queue."""
    rows = [S("IN THE ROOM", f"bold {DIM}") + S(f"  {chat.members.count}", DIM), Content("")]
    people = list(chat.members.people.values())[:MOST_PEOPLE]
    gone = list(left_for_s.items())[-MOST_AWAY:]
    agent = chat.agent or "agent"
    longest = max(Content(name).cell_length for name in [*(p.name for p in people), *(n for n, _ in gone), agent])
    cells = max(NAME_CELLS, min(longest + 1, width // 2))
    for person in people:
        note = "typing…" if person.is_typing else "you" if person.name == chat.me else ""
        rows.append(_person("●", HUES[hue_of(person.name)], person.name, note, width, cells))
    if chat.members.count > len(people):
        rows.append(S(f"  and {chat.members.count - len(people)} more", DIM))
    for name, away_s in gone:
        rows.append(_person("◐", DIM, name, f"left {away(away_s)}", width, cells, DIM))
    rows.append(_person("✦", "$text-accent", agent, agent_note(chat), width, cells))
    if chat.queued:
        rows += [Content(""), S(f"◌ {chat.queued} waiting for the agent", DIM).truncate(width, ellipsis=True)]
    return rows


def agent_note(chat: Chat) -> str:
    """What the agent does, and for whom."""
    running = chat.running
    if running is None:
        return ""
    doing = "answering" if running.status == "streaming" else "thinking"
    for_whom = ["you" if name == chat.me else name for name in dict.fromkeys(running.users)]
    return f"{doing} {', '.join(for_whom)}".strip()


def away(seconds: float) -> str:
    """`just now`, `12 m`, `3 h`."""
    minutes = int(seconds // 60)
    return "just now" if minutes < 1 else f"{minutes} m" if minutes < 60 else f"{minutes // 60} h"


def _person(glyph: str, hue: str, name: str, note: str, width: int, cells: int, colour: str = "$foreground") -> Content:
    shown = Content(name).truncate(cells - 1, ellipsis=True)
    row = S(f"{glyph} ", hue) + shown.stylize(colour) + Content(" " * (cells - shown.cell_length))
    return (row + S(note, DIM)).truncate(width, ellipsis=True)


def _hints(frame: Frame) -> Content:
    hints = Content("")
    for name, words in (("help", "help"), ("palette", "commands")):
        key = frame.key_of.get(name, "")
        if key:
            key = key.replace("ctrl+", "^")
            hints += S(key, "bold $foreground 60%") + S(f" {words}   ", "$foreground 55%")
    return hints
