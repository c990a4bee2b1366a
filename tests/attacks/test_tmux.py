"""In a real tmux that lets programs set the clipboard: hostile words change neither it nor the title."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.attacks.payloads import PAYLOADS
from tests.attacks.screens import TUI, Hostile
from tests.attacks.terminal import ROOT


def tmux(name: str, *arguments: str) -> str:
    done = subprocess.run(["tmux", "-L", name, *arguments], capture_output=True, text=True, timeout=20)
    return done.stdout


@pytest.mark.timeout(120)
async def test_hostile_words_change_neither_clipboard_nor_title_of_tmux(tmp_path: Path) -> None:
    assert shutil.which("tmux"), "make packages installs tmux"
    name, server = f"attack-{os.getpid()}", Hostile()
    async with server.listen(path=tmp_path / "s.sock") as url:
        env = [
            f"{key}={value}"
            for key, value in {
                "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(tmp_path), "LANG": "C.UTF-8",
                "XDG_STATE_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path),
            }.items()
        ]  # fmt: skip
        try:
            tmux(name, "-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", "sleep 300")
            for option in (
                "set-clipboard on",
                "allow-passthrough on",
                "set-titles on",
                "default-terminal tmux-256color",
            ):
                tmux(name, "set", "-g", *option.split())
            tmux(name, "set-buffer", "-b", "mine", "what I copied")
            tmux(name, "respawn-pane", "-k", "env", *env, *TUI, "--server", url, "--user", "ada")
            await server.wait(lambda: bool(server.connections), 40)
            await screen_has(name, "live")
            title = tmux(name, "display-message", "-p", "#{pane_title}")
            for number, words in enumerate(
                words for kind, words in PAYLOADS.items() if kind[:3] in ("OSC", "DCS", "C1 ")
            ):
                await server.attack(number, words)
                await screen_has(name, f"END{number}.")
                now = tmux(name, "display-message", "-p", "#{pane_title}")
                assert "evil" not in now, (words, title, now)
            assert tmux(name, "list-buffers", "-F", "#{buffer_name} #{buffer_sample}").strip() == "mine what I copied"
        finally:
            tmux(name, "kill-server")


async def screen_has(name: str, words: str) -> None:
    async with asyncio.timeout(40):
        while words not in await asyncio.to_thread(tmux, name, "capture-pane", "-p"):
            await asyncio.sleep(0.1)
