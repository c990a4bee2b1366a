"""In a real tmux that lets programs set the clipboard: hostile words change neither it nor the title."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.payloads import PAYLOADS
from tests.attacks.screens import Hostile
from tests.fakes.tmux import tmux


@pytest.mark.timeout(120)
async def test_hostile_words_change_neither_clipboard_nor_title_of_tmux(tmp_path: Path) -> None:
    server = Hostile()
    options = {"set_clipboard": "on", "allow_passthrough": "on", "set_titles": "on"}
    async with server.listen(path=tmp_path / "s.sock") as url, tmux(tmp_path, width=100, height=30, **options) as pane:
        await pane.command("set-buffer", "-b", "mine", "what I copied")
        await pane.start("--server", url, "--user", "ada")
        title = await pane.tells("#{pane_title}")
        for number, words in enumerate(words for kind, words in PAYLOADS.items() if kind[:3] in ("OSC", "DCS", "C1 ")):
            await server.attack(number, words)
            await pane.shows(f"END{number}.")
            now = await pane.tells("#{pane_title}")
            assert "evil" not in now, (words, title, now)
        buffers = await pane.command("list-buffers", "-F", "#{buffer_name} #{buffer_sample}")
        assert buffers.strip() == "mine what I copied"
