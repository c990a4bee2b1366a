"""A screen as a PNG, cell by cell: no browser and no terminal stand between."""

from __future__ import annotations

import glob
from functools import cache
from pathlib import Path
from typing import Any

from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont
from rich.style import Style
from textual.app import App

from tests.looks.cells import cells_of

SIZE, WIDTH, HEIGHT = 18, 11, 24
_FAMILIES = {
    (False, False): ["JetBrainsMono-Regular.ttf", "DejaVuSansMono.ttf", "Symbola*.ttf", "DejaVuSans.ttf"],
    (True, False): ["JetBrainsMono-Bold.ttf", "DejaVuSansMono-Bold.ttf", "DejaVuSansMono.ttf", "Symbola*.ttf"],
    (False, True): ["JetBrainsMono-Italic.ttf", "DejaVuSansMono-Oblique.ttf", "DejaVuSansMono.ttf", "Symbola*.ttf"],
    (True, True): ["JetBrainsMono-BoldItalic.ttf", "DejaVuSansMono-BoldOblique.ttf", "Symbola*.ttf"],
}  # fmt: skip
_LOWER = {char: part for part, char in enumerate("▁▂▃▄▅▆▇█", 1)}
_LEFT = {char: part for part, char in enumerate("▏▎▍▌▋▊▉", 1)}


@cache
def _fonts(bold: bool, italic: bool) -> list[tuple[frozenset[int], Any]]:
    found = []
    for name in _FAMILIES[bold, italic]:
        for path in glob.glob(f"/usr/share/fonts/**/{name}", recursive=True)[:1]:
            codes = TTFont(path, fontNumber=0, lazy=True).getBestCmap()
            found.append((frozenset(codes), ImageFont.truetype(path, SIZE)))
    if not found:
        raise RuntimeError("No monospace font here: apt-get install fonts-dejavu-core fonts-jetbrains-mono")
    return found


def _font(char: str, style: Style) -> Any:
    fonts = _fonts(bool(style.bold), bool(style.italic))
    return next((font for codes, font in fonts if ord(char[0]) in codes), fonts[0][1])


def png(app: App[Any], path: Path) -> None:
    """Draw the app's screen as it is now."""
    rows = cells_of(app)
    width = max(len(row) for row in rows)
    image = Image.new("RGB", (width * WIDTH, len(rows) * HEIGHT))
    draw = ImageDraw.Draw(image)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            if cell.text:
                wide = 2 if x + 1 < len(row) and not row[x + 1].text else 1
                _cell(draw, x * WIDTH, y * HEIGHT, wide * WIDTH, cell.text, cell.style)
    image.save(path)


def _cell(draw: Any, x: int, y: int, width: int, char: str, style: Style) -> None:
    back = tuple(style.bgcolor.get_truecolor(foreground=False)) if style.bgcolor else (0, 0, 0)
    fore = tuple(style.color.get_truecolor()) if style.color else (221, 221, 221)
    if style.reverse:
        fore, back = back, fore
    if style.dim:
        fore = tuple(int(a * 0.6 + b * 0.4) for a, b in zip(fore, back, strict=True))
    draw.rectangle([x, y, x + width - 1, y + HEIGHT - 1], fill=back)
    if not _shape(draw, x, y, char, fore) and char.strip():
        draw.text((x, y + HEIGHT - 7), char, font=_font(char, style), fill=fore, anchor="ls")
    if style.underline:
        draw.rectangle([x, y + HEIGHT - 3, x + width - 1, y + HEIGHT - 3], fill=fore)
    if style.strike:
        draw.rectangle([x, y + HEIGHT // 2, x + width - 1, y + HEIGHT // 2], fill=fore)


def _shape(draw: Any, x: int, y: int, char: str, fill: Any) -> bool:
    """Blocks and lines meet at the edges of cells as they do in a terminal; a font would leave gaps."""
    right, low = x + WIDTH - 1, y + HEIGHT - 1
    middle_x, middle_y, round_ = x + WIDTH // 2, y + HEIGHT // 2, 4
    boxes = {
        "▐": [middle_x, y, right, low], "▕": [right - 1, y, right, low], "▀": [x, y, right, middle_y - 1],
        "▔": [x, y, right, y + 2], "│": [middle_x, y, middle_x, low], "─": [x, middle_y, right, middle_y],
        "━": [x, middle_y - 1, right, middle_y + 1], "╸": [x, middle_y - 1, middle_x, middle_y + 1],
        "╺": [middle_x, middle_y - 1, right, middle_y + 1], "╵": [middle_x, y, middle_x, middle_y],
    }  # fmt: skip
    lines = {
        "┼": "udlr", "├": "udr", "┤": "udl", "┬": "dlr", "┴": "ulr", "┌": "dr", "┐": "dl", "└": "ur", "┘": "ul",
    }  # fmt: skip
    arcs = {
        "╭": ([0, 0, 2, 2], 180, "rd"), "╮": ([-2, 0, 0, 2], 270, "ld"), "╯": ([-2, -2, 0, 0], 0, "lu"),
        "╰": ([0, -2, 2, 0], 90, "ru"),
    }  # fmt: skip
    if char in _LOWER:
        draw.rectangle([x, y + HEIGHT - int(HEIGHT * _LOWER[char] / 8), right, low], fill=fill)
    elif char in _LEFT:
        draw.rectangle([x, y, x + max(1, round(WIDTH * _LEFT[char] / 8)) - 1, low], fill=fill)
    elif char in boxes:
        draw.rectangle(boxes[char], fill=fill)
    elif char in lines:
        ends = {"u": (middle_x, y), "d": (middle_x, low), "l": (x, middle_y), "r": (right, middle_y)}
        for side in lines[char]:
            draw.line([(middle_x, middle_y), ends[side]], fill=fill)
    elif char in arcs:
        corners, start, sides = arcs[char]
        box = [(middle_x, middle_y)[n % 2] + corner * round_ for n, corner in enumerate(corners)]
        draw.arc(box, start, start + 90, fill=fill)
        ends = {
            "r": [(middle_x + round_, middle_y), (right, middle_y)],
            "l": [(x, middle_y), (middle_x - round_, middle_y)],
            "d": [(middle_x, middle_y + round_), (middle_x, low)],
            "u": [(middle_x, y), (middle_x, middle_y - round_)],
        }  # fmt: skip
        for side in sides:
            draw.line(ends[side], fill=fill)
    else:
        return False
    return True
