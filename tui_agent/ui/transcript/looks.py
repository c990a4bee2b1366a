"""The styles of the transcript: a component class for each word that rows use, and glyphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rich.style import Style

from tui_agent.state.entry import Entry

_STYLES: Final = {
    "dim": "color: $foreground 56%;",
    "faint": "color: $foreground 40%;",
    "key": "color: $foreground 66%; text-style: bold;",
    "rule": "color: $foreground 25%;",
    "name": "text-style: bold;",
    "hue0": "color: $text-primary;",
    "hue1": "color: $text-success;",
    "hue2": "color: $text-secondary;",
    "hue3": "color: $text-warning;",
    "hue4": "color: $text-error;",
    "bar0": "color: $text-primary 60%;",
    "bar1": "color: $text-success 60%;",
    "bar2": "color: $text-secondary 60%;",
    "bar3": "color: $text-warning 60%;",
    "bar4": "color: $text-error 60%;",
    "agent": "color: $text-accent;",
    "warning": "color: $text-warning;",
    "error": "color: $text-error;",
    "strong": "text-style: bold;",
    "em": "text-style: italic;",
    "strike": "text-style: strike;",
    "code": "color: $text-accent; background: $surface;",
    "link": "color: $text-primary; text-style: underline;",
    "heading1": "color: $text-primary; text-style: bold underline;",
    "heading2": "color: $text-primary; text-style: bold;",
    "heading3": "color: $foreground; text-style: bold;",
    "quoted": "color: $foreground 80%;",
    "done": "color: $foreground 56%;",
    "mark": "color: $text-accent;",
    "bar": "color: $foreground 25%;",
    "table_head": "color: $text-primary; text-style: bold;",
    "table_rule": "color: $foreground 25%;",
    "block": "background: $surface; color: $foreground;",
    "block_bar": "color: $foreground 20%;",
    "code_comment": "color: $foreground 56%;",
    "code_keyword": "color: $text-accent;",
    "code_constant": "color: $text-success; text-style: bold;",
    "code_string": "color: $text-success;",
    "code_function": "color: $text-primary; text-style: underline;",
    "code_builtin": "color: $text-secondary;",
    "code_name": "color: $text-primary;",
    "code_deleted": "color: $text-error;",
    "selected": "background: $primary 35%;",
    "cursor": "color: $text-accent;",
}
CLASSES: Final = frozenset(f"transcript--{name}" for name in _STYLES)
CSS: Final = "\n".join(f"Transcript .transcript--{name} {{ {style} }}" for name, style in _STYLES.items())
_SAME: Final = {"heading4": "heading3", "heading5": "heading3", "heading6": "heading3"}


def style_of(look: str, plain: Style, component: Callable[[str], Style]) -> Style:
    """The style of a look: each word adds what its component class sets, the last colour counts. What a click does is
    a word without a style."""
    style = plain
    for word in look.split():
        word = _SAME.get(word, word)
        rules = _STYLES.get(word, "")
        if rules:
            own = component(f"transcript--{word}")
            style += Style(
                color=own.color if "; color:" in f"; {rules}" else None,
                bgcolor=own.bgcolor if "background:" in rules else None,
                bold=own.bold or None, italic=own.italic or None,
                underline=own.underline or None, strike=own.strike or None,
            )  # fmt: skip
    return style


def glyph_of(entry: Entry) -> tuple[str, str, str, str]:
    """The glyph beside the name and its look, the bar beside the text and its look."""
    match entry.kind:
        case "message":
            return "●", f"hue{entry.hue}", "▎", f"bar{entry.hue}"
        case "answer" | "task":
            return "✦", "agent", " ", ""
        case "notice":
            return "◌", "dim", " ", ""
        case _:
            return " ", "", " ", ""
