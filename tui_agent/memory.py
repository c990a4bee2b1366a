"""What the program is made of is kept out of the garbage collector's full passes."""

from __future__ import annotations

import gc
from typing import Any, Final

from textual.app import App

LOADED_S: Final = 2.0  # by then what is imported late is there too


def spare_the_loop(app: App[Any]) -> None:
    """Call once the app runs: a full pass over modules and stylesheets stops the screen for 60 to 100 ms, again and
    again, and never finds anything there."""
    # A pass of the middle generation takes 20 ms over 40,000 young objects, in the middle of a key press; so they are
    # looked at when they are 10,000, and all of them as rarely as with (2000, 20, 50).
    gc.set_threshold(2000, 5, 200)
    app.call_after_refresh(gc.freeze)
    app.set_timer(LOADED_S, gc.freeze)
