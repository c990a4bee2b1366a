"""The quiet frame: top bar, reconnect banner, side panel and status line. Each draws itself from what it is given."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import RenderResult
from textual.content import Content
from textual.widget import Widget

from tui_agent.link.base import LinkStatus
from tui_agent.state.chat import Chat, hue_of

HUES = ("$text-primary", "$text-success", "$text-secondary", "$text-warning", "$text-error")
DIM = "$foreground 56%"
S = Content.styled


def spread(left: Content, right: Content, width: int) -> Content:
    """Left and right on one line; the left gives way."""
    room = width - right.cell_length - 1
    if left.cell_length > room:
        left = left.truncate(max(0, room), ellipsis=True)
    return left + Content(" " * max(1, width - left.cell_length - right.cell_length)) + right


class Bar(Widget):
    """One line (or a column) that is drawn anew when `show` is called with something else."""

    DEFAULT_CSS = "Bar { height: 1; padding: 0 2; background: $surface; }"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._content = Content("")

    def show(self, content: Content) -> None:
        if content.markup != self._content.markup:
            self._content = content
            self.refresh()

    def render(self) -> RenderResult:
        return self._content


def top_content(chat: Chat, width: int, *, with_faces: bool) -> Content:
    """`◆ tui-agent ╱ #room`, and the faces where there is no panel."""
    left = S("◆ ", "$text-accent") + S("tui-agent", "bold") + S("  ╱  ", "$foreground 25%")
    left += S(f"#{chat.room}", "$foreground 80%")
    faces = Content("")
    if with_faces:
        for name in list(chat.people)[:8]:
            faces += S("● ", HUES[hue_of(name)])
        faces += S("✦", "$text-accent")
    return spread(left, faces, width)


def banner_content(status: LinkStatus, left_s: float) -> Content:
    """Why it is not live, and what to do."""
    if status.phase == "waiting":
        words = f"try {status.attempt} of {status.attempts} in {max(0, round(left_s))} s · nothing is lost"
        return (
            S("◌ Connection lost  ", "bold")
            + S(f"{status.sentence}  {words}  ", DIM)
            + S("F5", "bold")
            + S(" now", DIM)
        )
    return S("◌ ", "bold") + S(status.sentence or "Connecting…", "")


def panel_content(chat: Chat) -> Content:
    """Who is here, and what the agent does."""
    lines = [S("IN THE ROOM", f"bold {DIM}") + S(f"  {chat.count}", DIM), Content("")]
    for person in list(chat.people.values())[:20]:
        note = "you" if person.name == chat.me else "typing…" if person.is_typing else ""
        lines.append(
            S("● ", HUES[hue_of(person.name)]) + S(person.name[:16].ljust(10), "$foreground") + S(f" {note}", DIM)
        )
    doing = "" if chat.running is None else "answering" if chat.running.status == "streaming" else "thinking"
    lines.append(S("✦ ", "$text-accent") + S((chat.agent or "agent").ljust(10), "$foreground") + S(f" {doing}", DIM))
    if chat.queued:
        lines += [Content(""), S(f"{chat.queued} waiting for the agent", DIM)]
    return join(lines)


def join(lines: Sequence[Content]) -> Content:
    """Contents on lines of their own."""
    return Content("\n").join(lines)


def status_content(chat: Chat, status: LinkStatus, hint: str, width: int) -> Content:
    """Connection, model and context on the left, keys on the right; the left gives way."""
    if status.phase == "live":
        latency = f" {status.latency_ms:.0f} ms" if status.latency_ms is not None else ""
        left = S("● ", "$text-success") + S("live", "$foreground 85%") + S(latency, DIM)
    else:
        left = S("◌ ", "$text-warning") + S(status.phase, "$text-warning")
    if width >= 60 and chat.model:
        left += S(f"   {chat.model}", DIM)
    usage = chat.usage
    if width >= 76 and usage is not None and usage.context_window:
        left += S(f"   {_thousands(usage.context_tokens)} of {_thousands(usage.context_window)}", DIM)
    right = S(hint, DIM) if hint else Content("")
    if chat.running is not None:
        right += S("  esc ", "bold") + S("stop", DIM)
    return spread(left, right, width)


def _thousands(tokens: int) -> str:
    return f"{tokens / 1000:.1f}k" if tokens < 100_000 else f"{tokens // 1000}k"
