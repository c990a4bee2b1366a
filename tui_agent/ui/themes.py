"""The two themes: dusk (dark) and dawn (light). Two tones, people's hues, and amber for the agent alone."""

from __future__ import annotations

from typing import Final

from textual.theme import Theme

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
        "border": "#2f62c9 60%",
        "border-blurred": "#d3cfc4",
        "scrollbar": "#d3cfc4",
        "scrollbar-background": "#fbfaf7",
        "scrollbar-background-hover": "#fbfaf7",
        "scrollbar-background-active": "#fbfaf7",
    },
)
