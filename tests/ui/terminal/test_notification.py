"""Notifications as bytes: for each terminal, and through a real pty."""

from __future__ import annotations

import pytest

from tui_agent.ui.terminal.notification import BELL, notification, way_of

XTERM = {"TERM": "xterm-256color"}
KITTY = {"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}
URXVT = {"TERM": "rxvt-unicode-256color"}
TMUX = {"TERM": "tmux-256color", "TMUX": "/tmp/tmux-0/default,1,0", "TERM_PROGRAM": "tmux"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (XTERM, "\x07"),
        (KITTY, "\x1b]9;tui-agent: It is done\x07"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "\x1b]9;tui-agent: It is done\x07"),
        (URXVT, "\x1b]777;notify;tui-agent;It is done\x07"),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7006"}, "\x1b]777;notify;tui-agent;It is done\x07"),
        (TMUX | {"KITTY_WINDOW_ID": "1"}, "\x1bPtmux;\x1b\x1b]9;tui-agent: It is done\x07\x1b\\\x07"),
        (TMUX, "\x07"),
        ({"TERM": "screen-256color"}, "\x07"),
        ({"TERM": "linux"}, "\x07"),
        ({"TERM": "dumb"}, "\x07"),
        ({}, "\x07"),
    ],
)
def test_each_terminal_is_told_in_its_own_way(environ: dict[str, str], expected: str) -> None:
    assert notification("tui-agent", "It is done", environ) == expected


def test_a_way_of_ones_own_goes_before_what_the_terminal_seems_to_be() -> None:
    assert notification("t", "x", XTERM, "osc9") == "\x1b]9;t: x\x07"
    assert notification("t", "x", TMUX, "osc777") == "\x1bPtmux;\x1b\x1b]777;notify;t;x\x07\x1b\\\x07"
    assert notification("t", "x", KITTY, "bell") == BELL
    assert way_of(KITTY) == "osc9"


@pytest.mark.parametrize("environ", [KITTY, URXVT, TMUX | {"KITTY_WINDOW_ID": "1"}])
def test_no_text_ends_the_sequence_or_begins_another(environ: dict[str, str]) -> None:
    evil = "a\x07\x1b]52;c;ZXZpbA==\x07\x1b\\\x9c\u202e; b\n" + "x" * 1000
    plain = notification("tui-agent", "y", environ)
    told = notification("tui-agent", evil, environ)
    for mark in ("\x1b", "\x07", "\x9c", "\n"):
        assert told.count(mark) == plain.count(mark)
    assert told.count(";") == plain.count(";")
    assert len(told) < 250
