"""A model hub on loopback that answers as the real one does, and fails as networks do."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

from tests.voice.sound import MODEL

Fault = Literal["", "stall", "cut", "damaged", "refused", "not_a_hub", "no_model", "stall_at_once"]
SLOW_BYTES = 200_000


class FakeHub:
    """`fault` may change at any time; `asked` lists what was asked for, with its Range."""

    def __init__(self) -> None:
        self.fault: Fault = ""
        self.asked: list[tuple[str, str]] = []
        self.released = threading.Event()  # lets stalled answers end
        self.url = ""

    def files(self) -> list[dict[str, Any]]:
        """As `/api/models/…/tree/main` lists them."""
        listed: list[dict[str, Any]] = [{"type": "directory", "path": "extra", "size": 0, "oid": "0"}]
        for path in sorted(MODEL.iterdir()):
            content = path.read_bytes()
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            item: dict[str, Any] = {"type": "file", "path": path.name, "size": len(content), "oid": blob}
            if path.name == "model.bin":
                item["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
            listed.append(item)
        return listed


@contextmanager
def serving() -> Iterator[FakeHub]:
    """A hub until the block ends."""
    hub = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            hub.asked.append((self.path, self.headers.get("Range", "")))
            if hub.fault == "stall_at_once":
                hub.released.wait()
                self.close_connection = True
            elif self.path.startswith("/api/models/Systran/faster-whisper-"):
                self._list()
            else:
                self._file(MODEL / Path(self.path).name)

        def _list(self) -> None:
            match hub.fault:
                case "refused":
                    self._answer(503, b"")
                case "not_a_hub":
                    self._answer(200, b"<html>Please log in to the hotel's network</html>")
                case "no_model":
                    self._answer(200, b"[]")
                case _:
                    self._answer(200, json.dumps(hub.files()).encode())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _file(self, path: Path) -> None:
            content = path.read_bytes()
            wanted = self.headers.get("Range", "")
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            content = content[start:]
            if path.name == "model.bin" and hub.fault in ("stall", "cut", "damaged"):
                if hub.fault == "damaged":
                    content = content[:-1] + bytes([content[-1] ^ 1])
                else:
                    self.wfile.write(content[:SLOW_BYTES])
                    self.wfile.flush()
                    if hub.fault == "stall":
                        hub.released.wait()
                    self.close_connection = True
                    return
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
