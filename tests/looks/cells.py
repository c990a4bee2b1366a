"""The screen of a running app as text: its characters, a letter for each cell's style, and what the letters mean."""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import Any, NamedTuple

from rich.cells import cell_len
from rich.style import Style
from textual.app import App

LETTERS = "." + string.ascii_letters + string.digits + "!#$%&*+-/<=>?@^_|~"


class Cell(NamedTuple):
    """`text` is empty for the second half of a wide character."""

    text: str
    style: Style


def cells_of(app: App[Any]) -> list[list[Cell]]:
    """Every cell, as the compositor draws it, screens below a dialog included."""
    screen = app.screen
    size = app.size
    strips = screen._compositor.render_strips(size) if hasattr(screen._compositor, "render_strips") else []
    rows: list[list[Cell]] = []
    for strip in strips:
        row: list[Cell] = []
        for segment in strip:
            style = segment.style or Style()
            for char in segment.text:
                width = cell_len(char)
                if width == 0 and row:  # a mark belongs to the cell before
                    row[-1] = Cell(row[-1].text + char, row[-1].style)
                    continue
                row.append(Cell(char, style))
                row += [Cell("", style)] * (width - 1)
        rows.append(row)
    return rows


def describe(style: Style) -> str:
    """Colours and attributes, in a fixed order."""
    parts = [_hex(style.color, "default"), "on", _hex(style.bgcolor, "default")]
    for name in ("bold", "dim", "italic", "underline", "strike", "reverse"):
        if getattr(style, name):
            parts.append(name)
    return " ".join(parts)


def _hex(color: Any, default: str) -> str:
    if color is None or color.is_default:
        return default
    return str(color.get_truecolor().hex)


def drawn(app: App[Any]) -> str:
    """What a snapshot file holds."""
    rows = cells_of(app)
    letters: dict[str, str] = {}

    def letter(style: Style) -> str:
        about = describe(style)
        if about not in letters:
            letters[about] = LETTERS[min(len(letters), len(LETTERS) - 1)]
        return letters[about]

    texts = ["".join(cell.text for cell in row).rstrip() for row in rows]
    looks = ["".join(letter(cell.style) for cell in row) for row in rows]
    legend = [f"{mark} {about}" for about, mark in letters.items()]
    return "\n".join([*texts, "---", *_folded(looks), "---", *legend]) + "\n"


def _folded(lines: list[str]) -> Iterator[str]:
    """Letters as runs: `.116 a4`, and equal lines once with their number."""
    last, count = "", 0
    for line in [*lines, None]:
        if line == last:
            count += 1
            continue
        if count:
            yield f"{count}x {_runs(last)}"
        last, count = line or "", 1


def _runs(line: str) -> str:
    runs: list[str] = []
    start = 0
    for place in range(1, len(line) + 1):
        if place == len(line) or line[place] != line[start]:
            runs.append(f"{line[start]}{place - start}")
            start = place
    return " ".join(runs)
