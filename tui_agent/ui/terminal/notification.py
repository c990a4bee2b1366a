"""Desktop notifications as bytes for the terminal. Pure: the environment is an argument.

    OSC 9    iTerm2, kitty, WezTerm, Ghostty, foot; nothing happens elsewhere, but ConEmu and Windows Terminal take
             a number behind it as something else: the text always begins with a letter
    OSC 777  rxvt-unicode, VTE (GNOME Terminal and its kin, where it is built in)
    bell     everybody, xterm and the rest: the terminal marks the window

Inside tmux the sequence goes to the terminal behind it (allow-passthrough must be on there), and the bell to tmux,
which marks the window. GNU screen gets the bell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from tui_agent.state.clean import clean_line

How = Literal["auto", "osc9", "osc777", "bell"]
Way = Literal["osc9", "osc777", "bell"]
LONGEST: Final = 160
BELL: Final = "\x07"
_OSC9_PROGRAMS: Final = frozenset({"iTerm.app", "WezTerm", "ghostty", "rio"})
_OSC9_TERMS: Final = ("xterm-kitty", "xterm-ghostty", "wezterm", "foot")


def way_of(environ: Mapping[str, str]) -> Way:
    """What the terminal of this environment can; behind tmux, what the one outside can as far as it can be told."""
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    outer = environ.get("LC_TERMINAL", "")
    if (
        program in _OSC9_PROGRAMS
        or outer == "iTerm2"
        or term.startswith(_OSC9_TERMS)
        or any(environ.get(name) for name in ("KITTY_WINDOW_ID", "WEZTERM_PANE", "GHOSTTY_RESOURCES_DIR"))
    ):
        return "osc9"
    if term.startswith("rxvt-unicode") or environ.get("VTE_VERSION"):
        return "osc777"
    return "bell"


def notification(title: str, text: str, environ: Mapping[str, str], how: How = "auto") -> str:
    """The bytes that tell it. Whatever stands in the texts, it ends nothing and commands nothing."""
    term = environ.get("TERM", "")
    way = way_of(environ) if how == "auto" else how
    if way == "bell" or term.startswith("screen") and not environ.get("TMUX") or term in ("", "linux", "dumb"):
        return BELL
    title, text = _safe(title), _safe(text)
    sequence = f"\x1b]9;{title}: {text}\x07" if way == "osc9" else f"\x1b]777;notify;{title};{text}\x07"
    if environ.get("TMUX"):
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\" + BELL
    return sequence


def _safe(text: str) -> str:
    """One short line without control characters; a semicolon would begin the next field."""
    line = "".join(char for char in clean_line(text) if char.isprintable()).replace(";", ",")
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
