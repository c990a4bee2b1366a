"""The command line as a process: each mistake is one sentence and status 2."""

from __future__ import annotations

import os

import pytest

from server.protocol import AGENT_VERSION
from tests.client.conftest import Command


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rom", "x"], "--rom"),
        (["--room", "Not A Room"], "--room takes"),
        (["--room", "../etc"], "--room takes"),
        (["--user", "Ada!"], "--user takes"),
        (["ask", "--user", "x" * 33, "q"], "--user takes"),
        (["--server", "example.org"], "ws://HOST:PORT"),
        (["--server", "ftp://example.org"], "ws://HOST:PORT"),
        (["--server", "ws://ada:secret@example.org"], "--token-file"),
        (["ask", "q", "--server", "ws://[::1"], "ws://HOST:PORT"),
        (["ask", "q", "--server", "ws://127.0.0.1:1", "--token-file", "/no/such/file"], "cannot be read"),
        (["ask", "--nonsense"], "--nonsense"),
        (["voice", "sing"], "voice setup"),
        (["voice"], "voice doctor"),
        ([], "no terminal"),
        (["extra"], "extra"),
        (["--room"], "--room"),
        (["--\x1b]0;evil\x07"], "--help"),
    ],
)
async def test_a_mistake_is_one_sentence_and_2(command: Command, arguments: list[str], words: str) -> None:
    status, out, err = await command.run(*arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert err.strip().isprintable()


async def test_the_version(command: Command) -> None:
    assert await command.run("--version") == (0, f"tui-agent {AGENT_VERSION}\n", "")


async def test_a_token_file_with_junk_is_said(command: Command) -> None:
    (command.folder / "token").write_text("two words\n")
    status, _, err = await command.run("ask", "q", "--server", "ws://127.0.0.1:1", "--token-file", "token")
    assert status == 2
    assert "holds no token" in err


async def test_a_broken_config_is_named_and_does_not_stop(command: Command, url: str) -> None:
    config = command.home / ".config/tui-agent/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('theme = "dawn"\nroom = 5\n')
    status, out, err = await command.run("ask", "q", "--server", url)
    assert (status, out) == (0, "One two and q.\n")
    assert "config.toml, line 2: `room` must be a room name" in err


async def test_a_crash_is_a_sentence_and_a_log_without_values(command: Command) -> None:
    import asyncio
    import sys

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c",
        "import sys, tui_agent.ask as ask\n"
        "def broken(*args, **options): raise RuntimeError('what ada said')\n"
        "ask.make_link = broken\n"
        "from tui_agent.cli import main; sys.exit(main(['ask', 'what ada said']))",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        cwd=command.folder, env=command.environ,
    )  # fmt: skip
    _, err = await process.communicate()
    log = command.home / ".local/state/tui-agent/client-crash.log"
    assert process.returncode == 1
    assert b"Traceback" not in err
    assert str(log) in err.decode()
    assert "RuntimeError" in log.read_text()
    assert "what ada said" not in log.read_text()
    assert os.stat(log).st_mode & 0o077 == 0


async def test_asking_imports_neither_screen_nor_voice_nor_model(command: Command) -> None:
    import asyncio
    import sys

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c",
        "import sys, tui_agent.cli, tui_agent.ask\n"
        "heavy = {'textual', 'rich', 'anthropic', 'sounddevice', 'numpy', 'platformdirs', 'server.app', 'sqlite3'}\n"
        "print(sorted(heavy & set(sys.modules)))",
        stdout=asyncio.subprocess.PIPE, cwd=command.folder, env=command.environ,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert out == b"[]\n"
