"""The composer at a real terminal: bytes as terminals send them, big pastes, the editor."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from server import protocol as wire
from tests.client.conftest import ROOT
from tests.fakes.terminal import Terminal, terminal
from tests.fakes.wire_server import WireServer


@pytest.fixture
async def server() -> AsyncIterator[WireServer]:
    server = WireServer()
    async with contextlib.AsyncExitStack() as stack:
        server.url = await stack.enter_async_context(server.listen())
        yield server


@asynccontextmanager
async def chat(server: WireServer, home: Path, **env: str) -> AsyncIterator[Terminal]:
    """The app, live in its room."""
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "LOGNAME": "ada", "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color", "XDG_RUNTIME_DIR": str(home), "XDG_STATE_HOME": str(home),
    }  # fmt: skip
    argv = [sys.executable, "-P", "-m", "tui_agent.cli", "--server", server.url]
    async with terminal(argv, env=environ | env, cwd=home) as shown:
        await shown.wait("● live", 30)
        yield shown


def said(server: WireServer) -> list[str]:
    return [command.content for command in server.commands if isinstance(command, wire.Message)]


NEW_LINES = {
    "ctrl+j": "\n",
    "legacy alt+enter": "\x1b\r",
    "kitty shift+enter": "\x1b[13;2u",
    "kitty alt+enter": "\x1b[13;3u",
    "xterm shift+enter": "\x1b[27;2;13~",
}


async def send(shown: Terminal, last_words: str) -> None:
    """Enter, as a person presses it: after what was typed is seen."""
    await shown.wait(last_words)
    await asyncio.sleep(0.1)
    shown.type("\r")


async def test_every_form_of_the_new_line_keys_makes_a_line(server: WireServer, home: Path) -> None:
    async with chat(server, home) as shown:
        for name, key in NEW_LINES.items():
            shown.type(name)
            await shown.wait(name)
            await asyncio.sleep(0.1)
            shown.type(key)
            await asyncio.sleep(0.1)
        shown.type("end")
        await send(shown, "end")
        await server.wait(lambda: bool(said(server)), 15)
    assert said(server) == ["\n".join([*NEW_LINES, "end"])]


async def test_pastes_never_send_and_never_reach_the_terminal_as_commands(server: WireServer, home: Path) -> None:
    async with chat(server, home) as shown:
        shown.type("first line\r/quit\r\tlast\r")  # without bracketed paste
        await shown.wait("last")
        assert said(server) == []
        await send(shown, "last")
        await server.wait(lambda: said(server) == ["first line\n/quit\n\tlast"], 15)
        shown.type("\x1b[200~evil \x1b]52;c;eA==\x07\r\u202eline\x1b[201~")
        await shown.wait("␛]52;c;eA==␇")
        assert said(server)[1:] == []
        await send(shown, "line")
        await server.wait(lambda: said(server)[1:] == ["evil ␛]52;c;eA==␇\nline"], 15)
        assert "\x1b]52" not in shown.text
        assert "\u202e" not in shown.text
        shown.type("/quit")
        await send(shown, "/quit")
        assert await shown.wait_end() == 0


async def test_four_megabytes_are_pasted_without_a_stall_and_said_before_sending(
    server: WireServer, home: Path
) -> None:
    async with chat(server, home) as shown:
        line = b"some words in a line, quite long perhaps as this one\r"
        begin_s = time.monotonic()
        await shown.paste(b"\x1b[200~" + line * 79_000 + b"\x1b[201~")
        await shown.wait("too long to send", 30)
        took_s = time.monotonic() - begin_s
        begin_s = time.monotonic()
        await shown.press("x")
        await shown.wait("lines]x")
        answered_s = time.monotonic() - begin_s
        await send(shown, "lines]x")
        await shown.wait("over 60,000 bytes")
        assert "[pasted 1: 4,187,000 bytes, 79,001 lines]" in shown.screen
        assert said(server) == []
    assert took_s < 20
    assert answered_s < 3


async def test_the_editor_gets_the_text_in_a_private_file_and_gives_it_back(server: WireServer, home: Path) -> None:
    editor = home / "editor.sh"
    editor.write_text(
        f'#!/bin/sh\ncp "$1" {home}/seen; stat -c %a "$1" > {home}/mode; echo "in the editor"; read wait\n'
        'printf "from the editor\\nline two\\n" > "$1"\n'
    )
    editor.chmod(0o755)
    async with chat(server, home, EDITOR=str(editor)) as shown:
        await shown.press("half a text")
        await shown.wait("half a text")
        await shown.press("\x07")
        await shown.wait_written("in the editor")
        await server.say("said meanwhile")
        await asyncio.sleep(0.3)
        assert "said meanwhile" not in shown.text.rpartition("in the editor")[2]
        shown.type("\r")
        await shown.wait("line two")
        await shown.wait("said meanwhile")
        assert (home / "seen").read_text() == "half a text"
        assert (home / "mode").read_text() == "600\n"
        editor.write_text("#!/bin/sh\nexit 3\n")
        await shown.press("\x07")
        await shown.wait("ended with status 3")
        await send(shown, "line two")
        await server.wait(lambda: said(server) == ["from the editor\nline two"], 15)
    assert stat.S_IMODE(editor.stat().st_mode) == 0o755


async def test_a_draft_survives_sigterm(server: WireServer, home: Path) -> None:
    async with chat(server, home) as shown:
        await shown.press("half", " a text")
        await shown.wait("half a text")
        shown.process.terminate()
        assert await shown.wait_end() == 143
        assert shown.text.rstrip().endswith(("\x1b[?1049l", "l", "h")), "the terminal is restored"
    async with chat(server, home) as shown:
        await shown.wait("half a text")
