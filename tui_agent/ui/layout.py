"""Where the parts of the chat stand: the screen's own layout, in one pass and without containers.

Two containers would draw every line of the screen twice more, which each start and each change of the size pays for.
"""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar, NamedTuple

from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.layouts.vertical import VerticalLayout
from textual.widget import Widget

from tui_agent.ui.bars import Bar
from tui_agent.ui.frame import NARROW

PANEL_CELLS = 32
LEAST_LOG = 1
SHORT_LOG = 5
MOST_BANNER = 3


class Heights(NamedTuple):
    """Lines of each part."""

    top: int
    banner: int
    log: int
    box: int
    status: int


def heights_of(height: int, box: int, banner: int) -> Heights:
    """Share `height` lines; `banner` wants so many. In a low terminal the banner is cut to a line, then the top bar
    goes, then the status line, the banner, the log."""
    top, status = 1, 1
    if height < box + top + banner + status + SHORT_LOG:
        banner = min(banner, 1)
    if height < box + top + banner + status + LEAST_LOG:
        top = 0
    if height < box + banner + status + LEAST_LOG:
        status = 0
    if height < box + banner:
        banner = 0
    box = min(box, height)
    return Heights(top, banner, max(0, height - top - banner - box - status), box, status)


class FrameLayout(Layout):
    """Places the children by their ids; others (toasts, tooltips) as the vertical layout would."""

    name: ClassVar[str] = "frame"

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:
        parts = {child.id or "": child for child in children}
        box = parts.get("box")
        if box is None:
            return VerticalLayout().arrange(parent, children, size, greedy)
        parent.pre_layout(self)
        width, height = size
        left_cells = width - PANEL_CELLS if "panel" in parts else width
        inset = 0 if width < NARROW else 1
        box_cells = max(1, left_cells - 2 * inset)
        room = Size(box_cells, height)
        model = box._get_box_model(room, parent.app.viewport_size, Fraction(box_cells), Fraction(height))
        banner = parts.get("banner")
        wanted = banner.lines_in(width) if isinstance(banner, Bar) else 0
        lines = heights_of(height, int(model.height), min(MOST_BANNER, wanted))
        log_y = lines.top + lines.banner
        box_y = log_y + lines.log
        regions = {
            "top": Region(0, 0, width, lines.top),
            "banner": Region(0, lines.top, width, lines.banner),
            "log": Region(0, log_y, left_cells, lines.log),
            "box": Region(inset, box_y, box_cells, lines.box),
            "panel": Region(left_cells, log_y, PANEL_CELLS, lines.log + lines.box),
            "status": Region(0, height - lines.status, width, lines.status),
        }
        return [
            WidgetPlacement(regions[name], NULL_OFFSET, NULL_SPACING, widget)
            for name, widget in parts.items()
            if name in regions
        ]
