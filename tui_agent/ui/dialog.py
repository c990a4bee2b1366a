"""What all dialogs share: the line at the top."""

from __future__ import annotations

from textual.content import Content

DIM = "$foreground 56%"
S = Content.styled


def dialog_head(title: str, hint: str = "esc closes") -> Content:
    """`Rooms   esc closes`"""
    return S(title, "bold $foreground 85%") + S(f"   {hint}", DIM)
