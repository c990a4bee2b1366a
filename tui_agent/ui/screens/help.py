"""F1: every key and slash command, made from the table that is in force."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult, RenderResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Static

from tui_agent.state.command import GROUPS, Command, Commands, shown_key
from tui_agent.ui.dialog import DIM, dialog_head
from tui_agent.ui.screens.modal import Modal

LEFT_CELLS = 31
S = Content.styled


def help_lines(commands: Commands, problems: Sequence[str], width: int) -> list[Content]:
    """A line or more each: keys and slash command on the left, what it does and when on the right."""
    lines: list[Content] = []
    for problem in problems:
        lines += [*S(f"■ {problem}", "$text-warning").wrap(width), Content("")]
    for group in GROUPS:
        members = [command for command in commands if command.group == group and (command.key or command.slash)]
        if members:
            lines += [*([Content("")] if lines else []), S(group.upper(), f"bold {DIM}")]
        for command in members:
            lines += _lines_of(command, width)
    return lines


def _lines_of(command: Command, width: int) -> list[Content]:
    keys = " ".join(shown_key(key) for key in command.keys)
    slash = f"{command.slash} {command.takes}".strip()
    left = S(keys, "bold") + Content("  " if keys and slash else "") + S(slash, "$text-accent")
    right = S(command.title, "$foreground 85%")
    if command.when:
        right += S(f"  {command.when}", DIM)
    if width < 2 * LEFT_CELLS:  # one under the other
        return [*left.wrap(max(1, width)), *(Content("  ") + line for line in right.wrap(max(1, width - 2)))]
    first, *more = right.wrap(width - LEFT_CELLS)
    gap = Content(" " * max(1, LEFT_CELLS - left.cell_length))
    return [left + gap + first, *(Content(" " * LEFT_CELLS) + line for line in more)]


class HelpText(Widget):
    """Wraps itself to its width."""

    DEFAULT_CSS = "HelpText { height: auto; }"

    def __init__(self, commands: Commands, problems: Sequence[str]) -> None:
        super().__init__()
        self._commands, self._problems = commands, problems

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(help_lines(self._commands, self._problems, width))

    def render(self) -> RenderResult:
        return Content("\n").join(help_lines(self._commands, self._problems, max(1, self.content_size.width)))


class HelpScreen(Modal[None]):
    """Closed by Esc, or the key that opened it."""

    def __init__(self, commands: Commands, problems: Sequence[str]) -> None:
        super().__init__(name="help")
        self._text = HelpText(commands, problems)
        self._closed_by = frozenset(("escape", "enter", "q", *commands["help"].keys))

    def compose(self) -> ComposeResult:
        with Vertical(id="help-box", classes="dialog"):
            yield Static(dialog_head("Keys and commands"), classes="dialog-head", markup=False)
            with VerticalScroll(id="help-scroll"):
                yield self._text

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def on_key(self, event: events.Key) -> None:
        if event.key in self._closed_by:
            event.stop()
            self.dismiss(None)
