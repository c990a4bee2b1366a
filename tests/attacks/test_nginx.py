"""The reverse proxy of SECURITY.md, as it stands there, in a real nginx with TLS in front of a real server."""

from __future__ import annotations

import asyncio
import re
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from server.auth import Tokens
from tests.fakes.served import served
from tests.fakes.wire_server import free_port

ROOT = Path(__file__).resolve().parents[2]


def config(folder: Path, port: int, upstream: int) -> str:
    """The block of SECURITY.md with this test's ports and paths around and in it."""
    found = re.search(r"```nginx\n(.*?)```", (ROOT / "SECURITY.md").read_text(), re.DOTALL)
    assert found is not None
    text = found[1].replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl").replace(":8765", f":{upstream}")
    text = text.replace("fullchain.pem", str(folder / "cert.pem")).replace("privkey.pem", str(folder / "key.pem"))
    paths = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
    return f"{head}events {{}}\nhttp {{\naccess_log {folder}/access.log;\n{paths}{text}}}\n"


async def test_the_reverse_proxy_of_security_md_carries_a_conversation(tmp_path: Path) -> None:
    assert shutil.which("nginx"), "make packages installs nginx"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=chat.example.org",
         "-addext", "subjectAltName=DNS:chat.example.org", "-keyout", str(tmp_path / "key.pem"),
         "-out", str(tmp_path / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    port = free_port()
    async with served(tmp_path, tcp=True, allow_host=["chat.example.org"]) as server:
        upstream = int(server.address.rpartition(":")[2])
        (tmp_path / "nginx.conf").write_text(config(tmp_path, port, upstream))
        nginx = await asyncio.create_subprocess_exec(
            "nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), stderr=asyncio.subprocess.PIPE
        )
        try:
            token = Tokens(server.data_dir).issue("ada", now_s=time.time())
            trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
            await _listening(port)

            def through(**headers: str) -> connect:
                return connect(
                    "wss://chat.example.org/rooms/main", host="127.0.0.1", port=port, ssl=trust, proxy=None,
                    subprotocols=["tui-agent.v1"], compression=None, additional_headers=headers,
                )  # fmt: skip

            async with through(Authorization=f"Bearer {token}") as ws:
                await ws.send('{"type":"hello","client":"t/1","device":"d","user":"root"}')
                assert '"user":"ada"' in await ws.recv()
                await ws.send('{"type":"message","cid":"c1","content":"through nginx"}')
                async with asyncio.timeout(10):
                    while '"type":"done"' not in (frame := await ws.recv()):
                        assert '"code"' not in frame
            for headers, code in (({}, 401), ({"Origin": "https://evil.example"}, 403)):
                with pytest.raises(InvalidStatus) as refused:
                    async with through(**headers):
                        pass
                assert refused.value.response.status_code == code
        finally:
            nginx.terminate()
            await nginx.communicate()
    assert token not in (tmp_path / "access.log").read_text()


async def _listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
