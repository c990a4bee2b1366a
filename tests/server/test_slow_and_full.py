"""Slow peers, a full disk, and the end of an idle server."""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
from pathlib import Path

import pytest

from server.gateway import Peer
from server.runtime import outlet as outlets
from tests.fakes.agents import InstantAgent, ScriptedAgent
from tests.fakes.process import ServerProcess
from tests.fakes.served import served
from tests.fakes.wire_client import WireClient


def stop_reading(client: WireClient) -> None:
    """The peer takes nothing any more, and the kernel holds little for it."""
    client.ws.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.ws.transport.pause_reading()


async def test_a_stuck_reader_is_closed_and_nobody_else_notices(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(outlets, "STUCK_S", 1.0)
    monkeypatch.setattr("server.core.presence.LEAVE_GRACE_S", 0.1)
    agent = ScriptedAgent()
    async with (
        served(tmp_path, agent) as server,
        WireClient(server.address, user="ada") as ada,
        WireClient(server.address, user="ben") as ben,
    ):
        await ben.wait("snapshot")
        stop_reading(ben)
        await ada.say("a lot")
        run = await agent.wait_run()
        for number in range(100):
            run.say(f"{number:04} " * 1000)
            await ada.wait("token")
        left = await ada.wait("user_left", 8)
        assert left["users"] == ["ben"]
        run.finish()
        done = await ada.wait("done")
        assert done["content"] == ada.text_of("r1")
        ben.ws.transport.resume_reading()
        await asyncio.wait_for(ben.closed.wait(), 5)


async def test_a_slow_reader_misses_tokens_and_catches_up_by_offset(tmp_path: Path) -> None:
    agent = ScriptedAgent()
    async with (
        served(tmp_path, agent) as server,
        WireClient(server.address, user="ada") as ada,
        WireClient(server.address, user="ben") as ben,
    ):
        await ben.wait("snapshot")
        stop_reading(ben)
        await ada.say("much")
        run = await agent.wait_run()
        for number in range(90):
            run.say(f"{number:04} " * 1000)
            await ada.wait("token")
        ben.ws.transport.resume_reading()
        run.say("the end")
        async with asyncio.timeout(10):
            while not ben.text_of("r1").endswith("the end"):
                await ben.wait("token", 10)
        assert ben.text_of("r1") == ada.text_of("r1")
        assert len(ben.of("token")) < len(ada.of("token")), "some were gathered into one"
        run.finish()
        assert (await ben.wait("done"))["type"] == "done"


async def test_a_disk_that_fills_in_mid_answer_ends_it_when_there_is_space(tmp_path: Path) -> None:
    env = {"TUI_AGENT_DEMO_TOKENS_PER_S": "30"}
    async with ServerProcess(tmp_path, "--agent", "demo", env=env) as server, WireClient(server.socket) as ada:
        await ada.say("a long answer please")
        await ada.wait("token")
        fill_disk(server, True)
        refused = await ada.say("now?", "cid-2")
        assert (refused["type"], refused["code"], refused["retryable"]) == ("error", "storage_full", True)
        assert "disk" in refused["message"]
        await asyncio.sleep(0.5)
        assert [event["id"] for event in ada.durable] == [1], "nothing counts that is not on disk"
        shown = ada.text_of("r1")
        fill_disk(server, False)
        error = await ada.wait(lambda frame: frame["type"] == "error" and "run" in frame)
        assert (error["id"], error["code"]) == (2, "storage_full")
        assert error["content"].startswith(shown), "what was shown is kept"
        ada.frames.clear()
        ack = await ada.say("now?", "cid-2")
        assert (ack["type"], ack["id"], ack["duplicate"]) == ("ack", 3, False)


def fill_disk(server: ServerProcess, full: bool) -> None:
    """No file of the server may grow any more (RLIMIT_FSIZE refuses as a full disk does), or it may again."""
    soft = 4096 if full else resource.RLIM_INFINITY
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))


@pytest.mark.timeout(20)
async def test_an_idle_server_leaves_by_itself(tmp_path: Path) -> None:
    from server import app
    from server.config import ServerSettings

    settings = ServerSettings(data_dir=str(tmp_path / "data"), idle_exit_s=0.3)
    await app.run(settings, tmp_path / "s.sock", on_ready=lambda _: None, agent=InstantAgent())
    assert not (tmp_path / "s.sock").exists()
    assert not (tmp_path / "data" / "server.json").exists()


async def test_a_connection_that_ended_leaves_nothing_to_the_garbage_collector(tmp_path: Path) -> None:
    async with served(tmp_path, InstantAgent()) as server:
        gc.collect()
        gc.disable()
        try:
            async with WireClient(server.address, user="ada") as ada:  # says goodbye
                await ada.wait("snapshot")
            async with WireClient(server.address, user="ben") as ben:  # is cut off
                await ben.wait("snapshot")
                ben.ws.transport.abort()
            for request in (b"GET /rooms/main HTTP/1.1\r\nHost: local", b"no request\r\n\r\n"):
                _, writer = await asyncio.open_unix_connection(server.address)
                writer.write(request)
                await writer.drain()
                await asyncio.sleep(0.05)
                writer.transport.abort()
            async with asyncio.timeout(5):
                while any(isinstance(kept, Peer) for kept in gc.get_objects()):
                    await asyncio.sleep(0.05)
        finally:
            gc.enable()
