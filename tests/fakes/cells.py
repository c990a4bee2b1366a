"""What a terminal shows, of pyte's screen."""

from __future__ import annotations

import pyte


def lines_of(screen: pyte.Screen) -> list[str]:
    """Line by line, as wide as the screen. (Its own `display` breaks on the empty half that is left of a wide letter
    once its other half is overwritten.)"""
    columns = range(screen.columns)
    return ["".join(screen.buffer[line][column].data for column in columns) for line in range(screen.lines)]
