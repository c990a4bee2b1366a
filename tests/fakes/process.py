"""A real server process for stories: started, killed, started again on the same data."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class ServerProcess:
    """`tui-agent-server` on a Unix socket in `folder`; use as an async context manager."""

    def __init__(self, folder: Path, *arguments: str, env: dict[str, str] | None = None, script: str = "") -> None:
        self.folder = folder
        self.socket = folder / "s.sock"
        self.arguments = arguments
        self.env = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8",
            "TUI_AGENT_LOG_DIR": str(folder / "log"), "TUI_AGENT_CONFIG": str(folder / "config.toml"),
        } | (env or {})  # fmt: skip
        self.script = script
        self.process: asyncio.subprocess.Process

    async def __aenter__(self) -> ServerProcess:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(40):
                await self.process.communicate()

    async def start(self) -> None:
        """Start it and wait until it listens."""
        how = [self.script] if self.script else ["-m", "server"]
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", *how, "--socket", str(self.socket), "--data-dir", str(self.folder / "data"),
            *self.arguments, env=self.env, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
            cwd=self.folder,
        )  # fmt: skip
        assert self.process.stderr is not None
        try:
            async with asyncio.timeout(40):
                line = (await self.process.stderr.readline()).decode()
            assert line.startswith("tui-agent-server on"), line
        except BaseException:  # nobody else would end it
            if self.process.returncode is None:
                self.process.kill()
            await self.process.communicate()
            raise

    async def kill(self) -> None:
        """SIGKILL: nothing can be written any more."""
        self.process.kill()
        async with asyncio.timeout(40):
            await self.process.communicate()

    async def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(40):
            await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode
