"""F1: every key and slash command, made from the table that is in force."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui_agent.state.command import GROUPS, Commands, shown_key

DIM = "$foreground 56%"
S = Content.styled


def help_content(commands: Commands, problems: Sequence[str] = ()) -> Content:
    """A line each: keys, slash command, what it does and when."""
    lines: list[Content] = []
    for group in GROUPS:
        members = [command for command in commands if command.group == group and (command.key or command.slash)]
        if not members:
            continue
        if lines:
            lines.append(Content(""))
        lines.append(S(group.upper(), f"bold {DIM}"))
        for command in members:
            keys = " ".join(shown_key(key) for key in command.keys)
            slash = f"{command.slash} {command.takes}".strip()
            left = S(keys, "bold") + Content("  " if keys and slash else "") + S(slash, "$text-accent")
            left += Content(" " * max(2, 26 - left.cell_length))
            line = left + S(command.title, "$foreground 85%")
            if command.when:
                line += S(f"  {command.when}", DIM)
            lines.append(line)
    for problem in problems:
        lines += [Content(""), S(f"■ {problem}", "$text-warning")]
    return Content("\n").join(lines)


class HelpScreen(ModalScreen[None]):
    """Closed by Esc, or the key that opened it."""

    def __init__(self, commands: Commands, problems: Sequence[str]) -> None:
        super().__init__(id="help")
        self._content = help_content(commands, problems)
        self._closed_by = frozenset(("escape", "enter", "q", *commands["help"].keys))

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help-box") as box:
            box.border_title = Content("Keys and commands")
            box.border_subtitle = Content("esc closes")
            yield Static(self._content, markup=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def on_key(self, event: events.Key) -> None:
        if event.key in self._closed_by:
            event.stop()
            self.dismiss(None)
