"""For the Linux console, whose font has few glyphs: the same line with glyphs that it has, one cell for one cell."""

from __future__ import annotations

from typing import Final

_INSTEAD: Final = {
    "◆": "♦", "✦": "*", "●": "o", "◐": "o", "◌": ".", "○": ".", "■": "#", "╱": "/", "›": ">", "—": "-", "…": ".",
    "▍": "|", "▎": "|", "▏": "|", "▌": "▌", "▊": "█", "╭": "┌", "╮": "┐", "╰": "└", "╯": "┘", "━": "═", "╸": "═",
    "╺": "─", "＋": "+ ", "♪": "~", "“": '"', "”": '"', "’": "'", "•": "·", "▁": "_", "▂": "_", "▃": "▄", "▅": "▄",
    "▆": "█", "▇": "█", "▔": "─", "▕": "|", "┃": "│", "✓": "v", "✗": "x", "⠋": "*",
}  # fmt: skip
LINUX_CONSOLE: Final = str.maketrans(_INSTEAD)
