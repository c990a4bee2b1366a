"""The styles of the transcript, a word each, and glyphs.

They are resolved from the theme when a word is first drawn. As component classes of the widget all of them would be
matched against the whole stylesheet at each change of its style, which was a sixth of the time to the first frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.style import Style
from textual.color import Color

from tui_agent.state.entry import Entry

_STYLES: Final = {
    "dim": "color: $foreground 56%;",
    "faint": "color: $foreground 40%;",
    "key": "color: $foreground 66%; text-style: bold;",
    "rule": "color: $foreground 25%;",
    "name": "text-style: bold;",
    "hue0": "color: $person-0;",
    "hue1": "color: $person-1;",
    "hue2": "color: $person-2;",
    "hue3": "color: $person-3;",
    "hue4": "color: $person-4;",
    "bar0": "color: $person-0 60%;",
    "bar1": "color: $person-1 60%;",
    "bar2": "color: $person-2 60%;",
    "bar3": "color: $person-3 60%;",
    "bar4": "color: $person-4 60%;",
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
_SAME: Final = {"heading4": "heading3", "heading5": "heading3", "heading6": "heading3"}


def style_of(look: str, plain: Style, background: Color, variables: Mapping[str, str]) -> Style:
    """The style of a look: each word adds what it sets, the last colour counts. What a click does is a word without a
    style. `variables` are the theme's; a colour that lets through is laid on `background`."""
    style = plain
    for word in look.split():
        for rule in _STYLES.get(_SAME.get(word, word), "").split(";"):
            name, _, value = rule.strip().partition(": ")
            if name == "color":
                style += Style(color=_colour(value, background, variables).rich_color)
            elif name == "background":
                background = _colour(value, background, variables)
                style += Style(bgcolor=background.rich_color)
            elif name == "text-style":
                style += Style.parse(value)
    return style


def _colour(value: str, background: Color, variables: Mapping[str, str]) -> Color:
    """`$text-primary 60%`, laid on a background."""
    name, _, share = value.partition(" ")
    colour = Color.parse(variables[name.removeprefix("$")])
    if share:
        colour = colour.multiply_alpha(int(share.removesuffix("%")) / 100)
    return background + colour


def glyph_of(entry: Entry) -> tuple[str, str, str, str]:
    """The glyph beside the name and its look, the bar beside the text and its look."""
    match entry.kind:
        case "message":
            return "●", f"hue{entry.hue}", "▎", f"bar{entry.hue}"
        case "answer" | "task":
            return "✦", "agent", " ", ""
        case "notice":  # of a person: who came or went
            return ("◌" if not entry.user else "◐" if entry.text.endswith(" left") else "●"), "dim", " ", ""
        case _:
            return " ", "", " ", ""
