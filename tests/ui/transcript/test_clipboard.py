"""The desktop's clipboard command: which one, and that it gets the text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tui_agent.ui.transcript.clipboard import clipboard_commands, copy_locally


def command(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_the_command_is_that_of_the_desktop_and_never_another_machines(tmp_path: Path) -> None:
    for name in ("wl-copy", "xclip", "pbcopy", "tmux"):
        command(tmp_path, name, "cat")
    path = {"PATH": str(tmp_path)}
    ssh, in_tmux = {"SSH_CONNECTION": "1 2 3 4"}, ("tmux", "load-buffer", "-w", "-")
    assert clipboard_commands({**path, "WAYLAND_DISPLAY": "w"}, "linux") == [("wl-copy",)]
    assert clipboard_commands({**path, "DISPLAY": ":0"}, "linux") == [("xclip", "-selection", "clipboard")]
    assert clipboard_commands(path, "darwin") == [("pbcopy",)]
    assert clipboard_commands(path, "linux") == []
    assert clipboard_commands({**path, "DISPLAY": ":0", **ssh}, "linux") == []
    assert clipboard_commands({**path, "DISPLAY": ":0", "TMUX": "x", **ssh}, "linux") == [in_tmux]
    assert clipboard_commands({**path, "WAYLAND_DISPLAY": "w", "TMUX": "x"}, "linux") == [("wl-copy",), in_tmux]


async def test_the_text_is_given_to_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(tmp_path, "wl-copy", f"cat > {tmp_path}/copied")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("WAYLAND_DISPLAY", "w")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.delenv("SSH_TTY", raising=False)
    assert await copy_locally("schön **fett**\n")
    assert (tmp_path / "copied").read_text() == "schön **fett**\n"


async def test_a_command_that_fails_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(tmp_path, "wl-copy", "exit 3")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("WAYLAND_DISPLAY", "w")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.delenv("SSH_TTY", raising=False)
    assert not await copy_locally("x")
