"""Ask a running server how it is, over its own address: one small HTTP request, without a library."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 3.0


def ask_status(address: str, data_dir: Path) -> dict[str, Any] | None:
    """The answer of GET /status; None when there is none. Over TCP a fresh token of scope "status" proves that we may
    read the data folder."""
    headers = {"Host": "localhost"}
    connection: http.client.HTTPConnection
    if address.startswith("unix:"):
        connection = _UnixConnection(address.removeprefix("unix:"))
    else:
        from server.auth import Tokens

        parts = urlsplit(address)
        token = Tokens(data_dir).issue("status", now_s=time.time(), days=1 / 1440, scope="status")
        headers["Authorization"] = f"Bearer {token}"
        host, port = parts.hostname or "127.0.0.1", parts.port or 0
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what was bound, not to bind
        if parts.scheme == "wss":
            # Our own machine and our own signature: the certificate's name is for the people outside.
            context = ssl._create_unverified_context()  # noqa: S323 - as said above
            connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/status", headers=headers)
        response = connection.getresponse()
        answer = json.loads(response.read(65_536)) if response.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return answer if isinstance(answer, dict) else None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._path)
