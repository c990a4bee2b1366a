"""The command in processes of its own, in folders of its own, against the scripted server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.wire_server import WireServer

ROOT = Path(__file__).parents[2]


def close_stdout(process: Any) -> None:
    """Whoever reads what the command says leaves (asyncio has no way of its own to close that pipe)."""
    process._transport.get_pipe_transport(1).close()


class Command:
    """Starts `tui-agent` with given arguments and waits for its end."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "cwd"
        self.folder.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "LOGNAME": "ada",
            "PYTHONPATH": str(ROOT),
            "XDG_RUNTIME_DIR": str(home),
        }

    async def start(
        self, *arguments: str, stdin: int | None = asyncio.subprocess.DEVNULL
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-c", "import sys; from tui_agent.cli import main; sys.exit(main())", *arguments,
            stdin=stdin, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            cwd=self.folder, env=self.environ,
        )  # fmt: skip

    async def run(self, *arguments: str, piped: bytes | None = None) -> tuple[int, str, str]:
        """(exit status, stdout, stderr)"""
        stdin = asyncio.subprocess.DEVNULL if piped is None else asyncio.subprocess.PIPE
        process = await self.start(*arguments, stdin=stdin)
        try:
            async with asyncio.timeout(50):
                out, err = await process.communicate(piped)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        assert "Traceback" not in err.decode()
        return process.returncode, out.decode(), err.decode()


@pytest.fixture
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    import shutil
    import tempfile

    home = Path(tempfile.mkdtemp(prefix="ta"))  # short: a socket's path has 108 bytes
    yield Command(home)
    shutil.rmtree(home)


@pytest.fixture
def server() -> WireServer:
    server = WireServer()
    server.answer = lambda question: ["One ", "two ", f"and {question}."]
    return server


@pytest.fixture
async def url(server: WireServer) -> AsyncIterator[str]:
    async with contextlib.AsyncExitStack() as stack:
        yield await stack.enter_async_context(server.listen())
