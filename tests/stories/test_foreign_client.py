"""A client that is not of this project (npm's `ws`) joins, asks, is cut off, resumes and interrupts."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from server.agents.demo import DemoAgent
from server.auth import Tokens
from server.protocol import AGENT_VERSION
from tests.fakes.served import served

FOREIGN = Path(__file__).resolve().parents[1] / "foreign"


@pytest.mark.parametrize("is_tcp", [False, True])
async def test_a_foreign_client_speaks_the_protocol(tmp_path: Path, is_tcp: bool) -> None:
    assert (FOREIGN / "node_modules/ws").is_dir(), "`make packages` installs it"
    async with served(tmp_path, DemoAgent(pieces_per_s=60), tcp=is_tcp) as server:
        if is_tcp:
            token = Tokens(server.data_dir).issue("olga", rooms=["main"], days=1, now_s=time.time())
            arguments = [f"{server.address}/rooms/main", "mallory", token]
        else:
            arguments = [f"ws+unix://{server.address}:/rooms/main", "olga"]
        process = await asyncio.create_subprocess_exec(
            "node", "client.mjs", *arguments, cwd=FOREIGN,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(50):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert err.decode() == ""
    saw = json.loads(out)
    assert saw.pop("shown") > 20
    assert saw == {
        "server": f"tui-agent/{AGENT_VERSION}", "user": "olga", "joined": ["olga"], "ids": [1, 2], "by": "olga",
        "reason": "user", "stopped": "ack", "unknown": "bad_request",
    }  # fmt: skip
