"""The two themes: dusk (dark) and dawn (light). Two tones, people's hues, and amber for the agent alone.

The hues of people are variables `person-0` to `person-4`: amber is the agent's and red means trouble or recording, so
neither is among them. Of Textual's own themes they are made by `person_hues`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from textual.theme import Theme


def _people(*colours: str) -> dict[str, str]:
    return {f"person-{number}": colour for number, colour in enumerate(colours)}


def person_hues(theme: Theme) -> Mapping[str, str]:
    """The people's hues of a theme that brings none."""
    if "person-0" in theme.variables:
        return {}
    generated = theme.to_color_system().generate()
    pink, teal = ("#f5b3d6", "#8fdce0") if theme.dark else ("#7d2459", "#0b5560")
    return _people(generated["text-primary"], generated["text-secondary"], pink, generated["text-success"], teal)


DUSK: Final = Theme(
    name="dusk",
    dark=True,
    primary="#8ab4ff",
    secondary="#c3a6ff",
    accent="#ffb86b",
    warning="#f5c26b",
    error="#ff7a85",
    success="#7fd6a4",
    foreground="#d7dce8",
    background="#12151d",
    surface="#181c26",
    panel="#1f2430",
    variables={
        **_people("#b1cdff", "#d7c4ff", "#f5b3d6", "#aae3c2", "#8fdce0"),
        "border": "#8ab4ff 60%",
        "border-blurred": "#2b3140",
        "block-cursor-text-style": "none",
        "input-selection-background": "#8ab4ff 35%",
        "scrollbar": "#2b3140",
        "scrollbar-hover": "#3a4256",
        "scrollbar-active": "#8ab4ff",
        "scrollbar-background": "#12151d",
        "scrollbar-background-hover": "#12151d",
        "scrollbar-background-active": "#12151d",
    },
)
DAWN: Final = Theme(
    name="dawn",
    dark=False,
    primary="#2f62c9",
    secondary="#7a4fc4",
    accent="#b85c00",
    warning="#9a6a00",
    error="#c2303d",
    success="#1e7f4f",
    foreground="#252a36",
    background="#fbfaf7",
    surface="#f2f0ea",
    panel="#e8e5dc",
    variables={
        **_people("#1f4084", "#503481", "#7d2459", "#135334", "#0b5560"),
        "border": "#2f62c9 60%",
        "border-blurred": "#d3cfc4",
        "scrollbar": "#d3cfc4",
        "scrollbar-background": "#fbfaf7",
        "scrollbar-background-hover": "#fbfaf7",
        "scrollbar-background-active": "#fbfaf7",
    },
)
