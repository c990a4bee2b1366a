"""Who gets in: the checks before the upgrade, the handshake, bad frames, limits and close codes."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus

from server.app import bind_tcp, check
from server.auth import Tokens, is_host_allowed, room_of
from server.config import ConfigTrouble, ServerSettings
from tests.fakes.served import served
from tests.fakes.wire_client import WireClient


def token_for(server, user="ada", **claims) -> str:
    return Tokens(server.data_dir).issue(user, now_s=claims.pop("now_s", time.time()), **claims)


async def refused(address: str, path: str = "/rooms/main", **headers: str) -> tuple[int, str, Headers]:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(
            address + path, subprotocols=["tui-agent.v1"], proxy=None,
            additional_headers={k.replace("_", "-"): v for k, v in headers.items()},
        ):  # fmt: skip
            pass
    response = caught.value.response
    return response.status_code, response.body.decode(), response.headers


async def test_tcp_wants_a_token(tmp_path: Path) -> None:
    async with served(tmp_path, tcp=True) as server:
        status, text, _ = await refused(server.address)
        assert status == 401
        assert text.count("\n") == 1
        assert (await refused(server.address, Authorization="Bearer nonsense"))[0] == 401
        assert (await refused(server.address, f"/rooms/main?token={token_for(server)}"))[0] == 401
        old = token_for(server, days=1, now_s=time.time() - 2 * 86_400)
        status, text, _ = await refused(server.address, Authorization=f"Bearer {old}")
        assert (status, "expired" in text) == (401, True)
        (tmp_path / "other").mkdir()
        forged = Tokens(tmp_path / "other").issue("ada", now_s=time.time())
        assert (await refused(server.address, Authorization=f"Bearer {forged}"))[0] == 401


async def test_the_token_names_the_speaker_whatever_hello_says(tmp_path: Path) -> None:
    async with served(tmp_path, tcp=True) as server:
        async with WireClient(server.address, user="root", token=token_for(server, "ada")) as client:
            assert (await client.wait("welcome"))["user"] == "ada"
            await client.command("message", content="hi", user="root")
            assert (await client.wait("user_message"))["user"] == "ada"
            await client.send('{"type":"message","cid":"d1","content":"x","content":"y","user":"root"}')
            assert (await client.wait("user_message"))["content"] == "y"


async def test_a_token_of_another_room_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path, tcp=True) as server:
        token = token_for(server, rooms=["ops"])
        assert (await refused(server.address, Authorization=f"Bearer {token}"))[0] == 403
        async with WireClient(server.address, "ops", token=token) as client:
            await client.wait("welcome")
            rooms = await client.answer_to(await client.command("rooms"))
            assert [room["room"] for room in rooms["rooms"]] == ["ops"]


async def test_the_connection_ends_when_the_token_does(tmp_path: Path) -> None:
    async with served(tmp_path, tcp=True) as server:
        token = token_for(server, days=2 / 86_400)
        async with WireClient(server.address, token=token) as client:
            await client.wait("welcome")
            await asyncio.wait_for(client.closed.wait(), 5)
            assert client.ws.close_code == 4401


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1:80", True),
        ("localhost", True),
        ("[::1]:8", True),
        ("10.0.0.5:1", True),
        ("chat.example.org", True),
        ("127.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("evil.example", False),
        ("127.0.0.1:x", False),
        ("", False),
        (None, False),
    ],
)
def test_hosts(host: str | None, allowed: bool) -> None:
    assert is_host_allowed(host, "10.0.0.5", ("chat.example.org",)) is allowed


async def test_origins_and_hosts_are_checked_before_the_upgrade(tmp_path: Path) -> None:
    async with served(
        tmp_path, tcp=True, insecure_no_auth=True, allow_origin=["https://ok.example"], allow_host=["ok.example"]
    ) as server:
        assert (await refused(server.address, Origin="https://evil.example"))[0] == 403
        async with WireClient(server.address, headers={"Origin": "https://ok.example"}) as client:
            await client.wait("welcome")
        for host, status in (("evil.example", 403), ("127.evil.example", 403), ("ok.example:99", 101), ("[::1]", 101)):
            assert await status_for(server.address, f"Host: {host}") == status
        assert await status_for(server.address, "Host: localhost\r\nHost: evil.example") == 400


async def status_for(address: str, host_header: str) -> int:
    """The HTTP status of a hand-written upgrade request."""
    host, port = address.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"GET /rooms/main HTTP/1.1\r\n{host_header}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: tui-agent.v1\r\n\r\n".encode()
    )
    line = await reader.readline()
    writer.transport.abort()
    return int(line.split()[1])


async def test_bad_room_names_get_400(tmp_path: Path) -> None:
    async with served(tmp_path, tcp=True, insecure_no_auth=True) as server:
        for path in ("/rooms/UPPER", "/rooms/", "/", "/rooms/a/b", "/rooms/" + "x" * 65, "/rooms/%2e"):
            assert (await refused(server.address, path))[0] == 400
    assert room_of("/rooms/ok.room-1_x?x=1") == "ok.room-1_x"


async def test_healthz_and_status(tmp_path: Path) -> None:
    async with served(tmp_path, tcp=True) as server:
        assert (await refused(server.address, "/healthz"))[0] == 200
        assert (await refused(server.address, "/status"))[0] == 401
        status, text, _ = await refused(
            server.address, "/status", Authorization=f"Bearer {token_for(server, scope='status')}"
        )
        assert (status, json.loads(text)["connections"]) == (200, 0)
        assert (await refused(server.address, Authorization=f"Bearer {token_for(server, scope='status')}"))[0] == 403


async def test_too_many_connections_say_when_to_try_again(tmp_path: Path) -> None:
    async with served(tmp_path, tcp=True, connections_per_user=2, connections=3) as server:
        ada, ben = token_for(server, "ada"), token_for(server, "ben")
        async with (
            WireClient(server.address, token=ada) as one,
            WireClient(server.address, token=ada) as two,
        ):
            await one.wait("welcome")
            await two.wait("welcome")
            status, _, headers = await refused(server.address, Authorization=f"Bearer {ada}")
            assert (status, headers["Retry-After"]) == (429, "5")
            async with WireClient(server.address, token=ben) as three:
                await three.wait("welcome")
                chen = token_for(server, "chen")
                status, _, headers = await refused(server.address, Authorization=f"Bearer {chen}")
                assert (status, headers["Retry-After"]) == (503, "5")


async def test_another_subprotocol_is_closed_with_4426(tmp_path: Path) -> None:
    async with (
        served(tmp_path) as server,
        WireClient(server.address, subprotocols=["tui-agent.v9"], hello=False) as client,
    ):
        await asyncio.wait_for(client.closed.wait(), 5)
        assert client.ws.close_code == 4426
        assert client.frames[0]["code"] == "unsupported_version"


@pytest.mark.parametrize("first", ["{}", "[]", "nonsense", '{"type":"message","cid":"1","content":"x"}', b"\x00"])
async def test_the_first_frame_must_be_a_hello(tmp_path: Path, first: str | bytes) -> None:
    async with served(tmp_path) as server, WireClient(server.address, hello=False) as client:
        await client.send(first)
        await asyncio.wait_for(client.closed.wait(), 5)
        assert client.ws.close_code == 4400


@pytest.mark.parametrize("user", ["", "Ada", "a" * 33, "ада", "a\n", "root\u202e"])
async def test_bad_names_are_refused(tmp_path: Path, user: str) -> None:
    async with served(tmp_path) as server, WireClient(server.address, user=user) as client:
        await asyncio.wait_for(client.closed.wait(), 5)
        assert client.frames[0]["code"] == "bad_request"
        assert client.ws.close_code == 4400


async def test_malformed_frames_are_answered_and_a_binary_one_closes(tmp_path: Path) -> None:
    async with served(tmp_path) as server, WireClient(server.address) as client:
        await client.wait("welcome")
        for frame, ref in (
            ("{", None),
            ("[" * 20_000, None),
            ('{"a":' * 9_000, None),
            ("null", None),
            ('{"type":"dance","cid":"c1"}', "c1"),
            ('{"type":"message","cid":"c2"}', "c2"),
            ('{"type":"message","cid":"c3","content":7}', "c3"),
            ('{"type":"message","cid":"c4","content":"\\ud800"}', "c4"),
            ('{"type":"message","cid":"","content":"x"}', None),
            ('{"type":"message","cid":"c5","content":"  \\n "}', "c5"),
        ):
            await client.send(frame)
            error = await client.wait("error")
            assert (error["code"], error["ref"]) == ("bad_request", ref)
        await client.send({"type": "message", "cid": "c6", "content": "x" * 60_001})
        assert (await client.answer_to("c6"))["code"] == "too_large"
        for command in ({"type": "submit_task", "prompt": " "}, {"type": "cancel_task"}):
            cid = await client.command(**command)
            assert (await client.answer_to(cid))["code"] == "bad_request"
        assert (await client.say("still here"))["type"] == "ack"
        await client.send(b"binary")
        await asyncio.wait_for(client.closed.wait(), 5)
        assert client.ws.close_code == 4400


async def test_a_frame_over_64_kib_closes_only_its_sender(tmp_path: Path) -> None:
    async with (
        served(tmp_path) as server,
        WireClient(server.address, user="ada") as ada,
        WireClient(server.address, user="ben") as ben,
    ):
        await ada.send("x" * 70_000)
        await asyncio.wait_for(ada.closed.wait(), 5)
        assert ada.ws.close_code == 1009
        assert (await ben.say("hi"))["type"] == "ack"


async def test_commands_are_limited_and_flooding_closes(tmp_path: Path) -> None:
    async with served(tmp_path, command_burst=10) as server, WireClient(server.address) as client:
        for number in range(10):
            assert (await client.say(f"{number}"))["type"] in ("ack", "error")
        refused = await client.say("eleven")
        assert (refused["code"], refused["retryable"]) == ("rate_limited", True)
        assert 0 < refused["retry_after"] <= 0.5
        cid = await client.command("interrupt", run="r1")
        assert (await client.answer_to(cid))["type"] == "ack", "Esc works whatever was sent before"
        await asyncio.sleep(refused["retry_after"])
        assert (await client.say("later"))["type"] in ("ack", "error")
        for number in range(12):
            await client.command("message", content=f"flood {number}")
        await asyncio.wait_for(client.closed.wait(), 5)
        assert client.ws.close_code == 4429


async def test_the_same_device_replaces_its_older_connection(tmp_path: Path) -> None:
    async with served(tmp_path) as server, WireClient(server.address, device="d1") as old:
        await old.wait("welcome")
        async with WireClient(server.address, device="d1") as new:
            assert (await new.wait("welcome"))["count"] == 1
            await asyncio.wait_for(old.closed.wait(), 5)
            assert old.ws.close_code == 4409
            assert (await new.say("me"))["type"] == "ack"


async def test_wss(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    async with served(tmp_path, tcp=True, tls_cert=str(cert), tls_key=str(key)) as server:
        assert server.address.startswith("wss://")
        trust = ssl.create_default_context(cafile=str(cert))
        headers = {"Authorization": f"Bearer {token_for(server)}"}
        async with connect(
            server.address + "/rooms/main", ssl=trust, subprotocols=["tui-agent.v1"], additional_headers=headers,
            proxy=None,
        ) as ws:  # fmt: skip
            await ws.send(json.dumps({"type": "hello", "client": "t/1", "device": "d"}))
            assert json.loads(await ws.recv())["user"] == "ada"


def test_no_auth_is_for_loopback_only() -> None:
    with pytest.raises(ConfigTrouble, match="loopback"):
        check(ServerSettings(insecure_no_auth=True, host="0.0.0.0", port=1), None)


async def test_tokens_do_not_wait_for_the_acks_of_tcp() -> None:
    peers: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    with bind_tcp("127.0.0.1", 0) as listening:
        async with await asyncio.start_server(lambda _, writer: peers.put_nowait(writer), sock=listening) as server:
            _, ours = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer = await peers.get()
            assert writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            for each in (ours, writer):
                each.close()
                await each.wait_closed()
