"""A real tmux of the test's own: a shell in its pane, keys by send-keys, the screen by capture-pane.

Everything that the pane's programs write is kept too (pipe-pane), because tmux tells no mode but a few.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROMPT = "shell$"
WITHIN_S = 40.0
LOOK_S = 0.05
# Modes that must be off, by their number.
MODES = {1049: "alternate screen", 1000: "mouse", 1003: "mouse", 1006: "mouse", 1004: "focus", 2004: "paste"}


class Tmux:
    """One session with one pane. `app` is the command that starts the chat there."""

    def __init__(self, name: str, home: Path) -> None:
        self.name, self.home = name, home
        self.app = str(home / "tui")
        self._raw = home / "pane.raw"
        self._script = 0

    async def command(self, *arguments: str, data: bytes | None = None) -> str:
        """A command of tmux; what it prints."""
        process = await asyncio.create_subprocess_exec(
            "tmux", "-L", self.name, "-f", "/dev/null", *arguments,
            stdin=asyncio.subprocess.PIPE if data is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "TMUX_TMPDIR": str(self.home), "LANG": "C.UTF-8"},
        )  # fmt: skip
        async with asyncio.timeout(WITHIN_S):
            out, _ = await process.communicate(data)
        return out.decode("utf-8", "replace")

    # ---- what a person does ---------------------------------------------------------------------------

    async def keys(self, *names: str) -> None:
        """Keys by their names in tmux, in one burst."""
        await self.command("send-keys", *names)

    async def bytes(self, data: bytes) -> None:
        """Bytes as a terminal sends them, in one burst."""
        await self.command("send-keys", "-H", *(f"{byte:02x}" for byte in data))

    async def types(self, text: str) -> None:
        """Text, and Enter once it is seen: at once it would be a paste."""
        await self.command("send-keys", "-l", text)
        await self.shows(text)
        await asyncio.sleep(0.1)
        await self.keys("Enter")

    async def paste(self, text: bytes) -> None:
        """As Prefix ] does it where the program has asked for bracketed paste."""
        await self.command("load-buffer", "-b", "pasted", "-", data=text)
        await self.command("paste-buffer", "-p", "-d", "-b", "pasted")

    async def resize(self, width: int, height: int) -> None:
        await self.command("resize-window", "-x", str(width), "-y", str(height))

    # ---- what is there --------------------------------------------------------------------------------

    async def screen(self) -> str:
        return await self.command("capture-pane", "-p")

    async def tells(self, format: str) -> str:
        """What tmux knows of the pane, as `#{cursor_flag}`."""
        return (await self.command("display-message", "-p", format)).strip()

    async def copied(self) -> str | None:
        """tmux's newest paste buffer."""
        has_any = (await self.command("list-buffers")).strip()
        return await self.command("show-buffer") if has_any else None

    def raw(self) -> bytes:
        """All that was written into the pane."""
        return self._raw.read_bytes() if self._raw.exists() else b""

    async def until(self, is_so: Callable[[str], object], what: str, within_s: float = WITHIN_S) -> str:
        """The screen, once it is so."""
        end_s = time.monotonic() + within_s
        while not is_so(screen := await self.screen()):
            assert time.monotonic() < end_s, f"{what} never came:\n{screen}"
            await asyncio.sleep(LOOK_S)
        return screen

    async def shows(self, *words: str) -> str:
        return await self.until(lambda screen: all(word in screen for word in words), f"{words}")

    async def shell(self) -> str:
        """Until the shell's prompt is the last line: the program has ended or is suspended."""
        return await self.until(lambda screen: screen.rstrip().endswith(PROMPT), "the shell's prompt")

    async def runs(self, line: str) -> str:
        """Run a line in the shell; what it printed."""
        self._script += 1
        done = f"done-{self._script}"
        out = self.home / done
        await self.command("send-keys", "-l", f"{line} >{out} 2>&1; mv {out} {out}.whole")
        await self.keys("Enter")
        whole = self.home / f"{done}.whole"
        await self.until(lambda _: whole.exists(), line)
        return whole.read_text(errors="replace")

    async def app_pid(self) -> int:
        """The chat's process, the only child of the pane's shell."""
        shell = int(await self.tells("#{pane_pid}"))
        found: list[int] = []

        def has_child() -> bool:
            found[:] = map(int, Path(f"/proc/{shell}/task/{shell}/children").read_text().split())
            return bool(found)

        await self.until(lambda _: has_child(), "the program")
        return found[0]

    async def start(self, *arguments: str) -> None:
        """The chat, live in its room."""
        await self.command("send-keys", "-l", shlex.join([self.app, *arguments]))
        await self.keys("Enter")
        await self.shows("● live")

    async def assert_given_back(self) -> None:
        """The pane is as the shell had it: its screen, cursor, modes and echo."""
        await self.shell()
        flags = "#{alternate_on}#{mouse_any_flag}#{mouse_all_flag}#{mouse_sgr_flag}#{cursor_flag}#{wrap_flag}"
        assert await self.tells(flags) == "000011", await self.tells(flags)
        set_by_app = self.raw()
        for mode, what in MODES.items():
            # The shell's prompt asks for pastes itself, so of that mode only the app's part is looked at.
            if mode != 2004:
                assert re.findall(rb"\x1b\[\?%d([hl])" % mode, set_by_app)[-1:] == [b"l"], what
        assert re.findall(rb"\x1b\[\?25([hl])", set_by_app)[-1:] == [b"h"]
        assert b"\x1b[?2004l" in set_by_app.rpartition(b"\x1b[?1049h")[2]
        modes = (await self.runs("stty -a")).replace(";", " ").split()
        for mode in ("echo", "icanon", "isig", "icrnl", "ixon", "opost"):
            assert mode in modes, mode
        assert b"Traceback" not in set_by_app
        assert not list(self.home.rglob("client-crash.log"))


@asynccontextmanager
async def tmux(home: Path, *, width: int = 80, height: int = 24, **options: str) -> AsyncIterator[Tmux]:
    """A tmux without a configuration; `options` as `set_clipboard="on"`. It ends with the block."""
    assert shutil.which("tmux"), "make packages installs tmux"
    made = Tmux("test", home)
    Path(made.app).write_text(f'#!/bin/sh\nexec {sys.executable} -P -m tui_agent.cli "$@"\n')
    Path(made.app).chmod(0o700)
    env = {
        "PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "LOGNAME": "ada", "PYTHONPATH": str(ROOT),
        "PS1": f"{PROMPT} ", "PS2": "", "HISTFILE": "", "COLORTERM": "truecolor",
    } | {f"XDG_{name}": str(home) for name in ("RUNTIME_DIR", "STATE_HOME", "DATA_HOME", "CONFIG_HOME")}  # fmt: skip
    pairs = [part for key, value in env.items() for part in ("-e", f"{key}={value}")]
    try:
        await made.command("new-session", "-d", "-x", str(width), "-y", str(height), *pairs, "sleep 600")
        await made.command("set", "-g", "default-terminal", "tmux-256color")
        await made.command("set", "-g", "remain-on-exit", "on")
        for name, value in options.items():
            await made.command("set", "-g", name.replace("_", "-"), value)
        await made.command("respawn-pane", "-k", *pairs, "bash", "--norc", "--noprofile", "-i")
        await made.command("pipe-pane", "-O", f"exec cat >>{home / 'pane.raw'}")
        await made.shell()
        yield made
    finally:
        await made.command("kill-server")
