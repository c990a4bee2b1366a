"""Who may come in: tokens signed by the server (JWT, HS256), and the checks on a request before the upgrade.

The secret lies in the data folder (0600). PyJWT is imported when a token is first needed: a server on its Unix socket
never pays for it.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct

from server.protocol import is_room_name, is_user_name

ALGORITHM: Final = "HS256"
Scope = Literal["join", "status"]


class Identity(Struct, frozen=True):
    """What a token says. `rooms` None is any room; `expires_at_s` is wall clock, None for never."""

    user: str
    rooms: frozenset[str] | None
    expires_at_s: float | None
    scope: Scope


class BadToken(Exception):
    """The text says why, for a person, and holds nothing of the token."""


class Tokens:
    """Signs and reads tokens with the secret of one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._secret = _secret(data_dir / "secret")

    def issue(
        self,
        user: str,
        *,
        now_s: float,
        rooms: list[str] | None = None,
        days: float | None = None,
        scope: Scope = "join",
    ) -> str:
        """A token for `user`, for some rooms or (None) all, for so many days or (None) for ever."""
        import jwt

        claims: dict[str, Any] = {"sub": user, "iat": int(now_s)}
        if rooms:
            claims["rooms"] = rooms
        if days is not None:
            claims["exp"] = int(now_s + days * 86_400)
        if scope != "join":
            claims["scope"] = scope
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def read(self, token: str, *, now_s: float) -> Identity:
        """What a valid token says. Raises BadToken."""
        import jwt

        try:
            # Time is checked below, by the clock that was passed in.
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "require": ["sub"]},
            )
        except jwt.InvalidTokenError:
            raise BadToken("The token is not valid here; ask the server's operator for a new one.") from None
        user, rooms, expires = claims.get("sub"), claims.get("rooms"), claims.get("exp")
        scope = claims.get("scope", "join")
        if (
            not isinstance(user, str)
            or not is_user_name(user)
            or not (rooms is None or (isinstance(rooms, list) and all(isinstance(room, str) for room in rooms)))
            or not (expires is None or (isinstance(expires, int | float) and not isinstance(expires, bool)))
            or scope not in ("join", "status")
        ):
            raise BadToken("The token is not valid here; ask the server's operator for a new one.")
        if expires is not None and expires <= now_s:
            raise BadToken("The token has expired; ask the server's operator for a new one.")
        return Identity(user, None if rooms is None else frozenset(rooms), expires, scope)


def _secret(path: Path) -> bytes:
    """The 32 random bytes of a data folder, made at first need (0600, complete or not there)."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    fresh = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, secrets.token_bytes(32))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(fresh, path)  # the first of two processes wins, both read the same
    except FileExistsError:
        pass
    finally:
        os.unlink(fresh)
    return path.read_bytes()


def bearer(header: str | None) -> str | None:
    """The token of an Authorization header."""
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def is_host_allowed(host_header: str | None, bound: str, allowed: tuple[str, ...]) -> bool:
    """Whether a Host header is loopback, the bound address, or named by the operator.

    A name that only begins like an address (`127.evil.example`) is a name, not loopback: this is the guard against
    DNS rebinding.
    """
    if host_header is None:
        return False
    host = host_header.strip().lower()
    if host.startswith("["):
        host, _, port = host[1:].partition("]")
        port = port.removeprefix(":")
    else:
        host, _, port = host.partition(":")
    if port and not port.isdigit():
        return False
    if host == "localhost" or host == bound.lower() or host in allowed:
        return True
    return is_loopback(host)


def is_loopback(host: str) -> bool:
    """Whether `host` is an address (or `localhost`) that stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def room_of(path: str) -> str | None:
    """The room of a request path `/rooms/ROOM`; None when the path is another or the name is bad. A query is ignored:
    a token there counts as none."""
    path = path.partition("?")[0]
    prefix, _, room = path.rpartition("/")
    return room if prefix == "/rooms" and is_room_name(room) else None
