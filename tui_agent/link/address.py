"""Where a server is: the URL a person gives, or the path of a Unix socket."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct


class BadAddress(ValueError):
    """Not an address; the text is a sentence for a person."""


class Address(Struct, frozen=True):
    """`base` is ws(s)://host:port[/prefix] without a trailing slash; with `socket_path` only its path counts."""

    base: str
    host: str = ""
    socket_path: Path | None = None

    def __str__(self) -> str:
        return self.base if self.socket_path is None else str(self.socket_path)

    @property
    def key(self) -> str:
        """The same server has the same key, in every process."""
        return self.base if self.socket_path is None else f"unix:{self.socket_path}"

    def url(self, room: str) -> str:
        """The address of a room."""
        return f"{self.base}/rooms/{room}"


def local_address(socket_path: Path) -> Address:
    """A server behind a Unix socket."""
    return Address("ws://localhost", "", socket_path)


def parse_address(text: str) -> Address:
    """What a person gave as --server. Raises BadAddress."""
    if text.startswith("unix:"):
        return local_address(Path(text.removeprefix("unix:")).expanduser())
    how = "Give it as ws://HOST:PORT, wss://HOST or unix:PATH."
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadAddress(f"This is no server address. {how}") from None
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not host or any(ord(char) <= 32 or ord(char) >= 127 for char in text):
        raise BadAddress(f"This is no server address. {how}")
    if parts.username is not None or parts.query or parts.fragment:
        raise BadAddress(f"A server address has no user, query or fragment; a token goes into --token-file. {how}")
    name = f"[{host}]" if ":" in host else host
    netloc = name if port is None else f"{name}:{port}"
    return Address(f"{scheme}://{netloc}{parts.path.rstrip('/')}", host)
