"""The door: checks before the upgrade, the handshake, a reader for each connection, and the closing of bad peers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from server import protocol as wire
from server.auth import BadToken, Identity, Tokens, bearer, is_host_allowed, room_of
from server.core.limiter import BURST, PER_SECOND, Limiter
from server.errors import StoreTrouble
from server.protocol import Close, encode
from server.runtime.hub import Hub
from server.runtime.outlet import Outlet, frame
from server.runtime.room_runner import RoomRunner
from server.runtime.turnstile import Turnstile
from server.runtime.views import refusal

log = logging.getLogger("server.gateway")

ABORT_S: Final = 2.0


class Peer(ServerConnection):
    """A connection with what the request said: the room, and who it is (None: the hello says)."""

    room_name: str = ""
    identity: Identity | None = None
    turnstile: Turnstile
    _is_in = False

    def data_received(self, data: bytes) -> None:
        """The request is read, and all after it, when it is this newcomer's turn. (Here and not when the connection is
        made: uvloop begins to read after `connection_made`, whatever that has paused.)"""
        if self._is_in:
            super().data_received(data)
        else:
            self.transport.pause_reading()
            self.turnstile.call(partial(self._enter, data))

    def _enter(self, data: bytes) -> None:
        self._is_in = True
        self.transport.resume_reading()
        if not self.transport.is_closing():
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take apart what refers to itself, so that the memory comes back at once: left to the garbage collector, what
        a storm of connections had been was found all together, and everybody waited half a second for that."""
        super().connection_lost(exc)
        protocol = self.protocol
        protocol.parser.close()
        vars(protocol).pop("select_subprotocol", None)  # it knows the connection
        troubles: tuple[BaseException | None, ...] = protocol.parser_exc, protocol.handshake_exc
        for trouble in troubles:
            while trouble is not None:
                trouble.__traceback__ = None
                trouble = trouble.__cause__ or trouble.__context__


class Door:
    """What one listener allows. `tokens` None trusts the name in the hello (own Unix socket, --insecure-no-auth)."""

    def __init__(
        self,
        *,
        tokens: Tokens | None,
        status_tokens: Tokens | None,
        is_unix: bool,
        bound_host: str = "",
        allowed_hosts: Sequence[str] = (),
        allowed_origins: Sequence[str] = (),
    ) -> None:
        self.tokens = tokens
        self.status_tokens = status_tokens
        self.is_unix = is_unix
        self.bound_host = bound_host
        self.allowed_hosts = tuple(host.lower() for host in allowed_hosts)
        self.allowed_origins = tuple(allowed_origins)


class Gateway:
    """Use as an async context manager: it owns the asyncio tasks that close connections."""

    def __init__(
        self,
        hub: Hub,
        *,
        monotonic_s: Callable[[], float],
        wall_s: Callable[[], float],
        status: Callable[[], dict[str, Any]],
        connections_a_user: int = 64,
        connections: int = 1000,
        command_burst: int = BURST,
        commands_per_s: float = PER_SECOND,
        hello_timeout_s: float = wire.HELLO_TIMEOUT_S,
    ) -> None:
        self._hub = hub
        self._monotonic_s = monotonic_s
        self._wall_s = wall_s
        self._status = status
        self._most_a_user = connections_a_user
        self._most = connections
        self._burst = command_burst
        self._per_s = commands_per_s
        self._hello_timeout_s = hello_timeout_s
        self._peers: dict[Peer, Outlet | None] = {}
        self._users: Counter[str] = Counter()
        self._closing: set[Peer] = set()
        self._closers = asyncio.TaskGroup()
        self._turnstile = Turnstile()  # for each step of those who come: the request, the join
        self._next_number = 1
        self._is_stopping = False

    async def __aenter__(self) -> Gateway:
        await self._closers.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._closers.__aexit__(None, None, None)

    @property
    def connections(self) -> int:
        return len(self._peers)

    def refuse_new(self) -> None:
        """From now on new connections get 503."""
        self._is_stopping = True

    def close_all(self, code: int, reason: str) -> None:
        """Close every connection, each within ABORT_S; `__aexit__` waits for them."""
        for peer in list(self._peers):
            self.close(peer, code, reason)

    # ---- before the upgrade -----------------------------------------------------------------------

    def new_peer(self, *arguments: Any, **options: Any) -> Peer:
        """A connection that has been accepted, as websockets wants one made."""
        peer = Peer(*arguments, **options)
        peer.turnstile = self._turnstile
        return peer

    def process_request(self, door: Door) -> Callable[[ServerConnection, Request], Response | None]:
        """The checks of one listener, as websockets wants them."""

        def check(connection: ServerConnection, request: Request) -> Response | None:
            assert isinstance(connection, Peer)
            return self._check(door, connection, request)

        return check

    def _check(self, door: Door, peer: Peer, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if path == "/healthz":
            return peer.respond(HTTPStatus.OK, "ok\n")
        headers = request.headers
        try:
            host, origin = headers.get("Host"), headers.get("Origin")
            token = bearer(headers.get("Authorization"))
        except LookupError:  # one of them stands there twice
            return peer.respond(HTTPStatus.BAD_REQUEST, "A header that must be there once is there twice.\n")
        if not door.is_unix and not is_host_allowed(host, door.bound_host, door.allowed_hosts):
            return peer.respond(
                HTTPStatus.FORBIDDEN, "This host name is not served here; the operator can add it with --allow-host.\n"
            )
        if origin is not None and origin not in door.allowed_origins:
            return peer.respond(
                HTTPStatus.FORBIDDEN, "Web pages may not connect; the operator can allow one with --allow-origin.\n"
            )
        if path == "/status":
            return self._check_status(door, peer, token)
        room = room_of(request.path)
        if room is None:
            return peer.respond(
                HTTPStatus.BAD_REQUEST,
                "A room is /rooms/NAME, with NAME of a-z 0-9 . _ - (at most 64, beginning with a letter or digit).\n",
            )
        if door.tokens is not None:
            if token is None:
                return peer.respond(
                    HTTPStatus.UNAUTHORIZED, "This server wants a token: Authorization: Bearer TOKEN.\n"
                )
            try:
                peer.identity = door.tokens.read(token, now_s=self._wall_s())
            except BadToken as bad:
                return peer.respond(HTTPStatus.UNAUTHORIZED, f"{bad}\n")
            allowed = peer.identity.rooms
            if peer.identity.scope != "join" or (allowed is not None and room not in allowed):
                return peer.respond(HTTPStatus.FORBIDDEN, "Your token is not for this room.\n")
            if self._users[peer.identity.user] >= self._most_a_user:
                return _try_later(peer, HTTPStatus.TOO_MANY_REQUESTS, "You have too many connections; close one.\n")
        if len(self._peers) >= self._most or self._is_stopping:
            return _try_later(peer, HTTPStatus.SERVICE_UNAVAILABLE, "This server is full; try again later.\n")
        peer.room_name = room
        return None

    def _check_status(self, door: Door, peer: Peer, token: str | None) -> Response:
        if not door.is_unix:
            try:
                if door.status_tokens is None or token is None:
                    raise BadToken
                if door.status_tokens.read(token, now_s=self._wall_s()).scope != "status":
                    raise BadToken
            except BadToken:
                return peer.respond(HTTPStatus.UNAUTHORIZED, "Use tui-agent-server status on the server's machine.\n")
        response = peer.respond(HTTPStatus.OK, json.dumps(self._status()) + "\n")
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response

    @staticmethod
    def select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        """Ours where it is offered; else the connection is accepted without and closed with 4426."""
        return Subprotocol(wire.SUBPROTOCOL) if wire.SUBPROTOCOL in offered else None

    # ---- a connection -----------------------------------------------------------------------------

    async def handle(self, peer: ServerConnection) -> None:
        """From the upgrade to the end of one connection."""
        assert isinstance(peer, Peer)
        self._peers[peer] = None
        number, self._next_number = self._next_number, self._next_number + 1
        try:
            await self._join_and_read(peer, number)
        except ConnectionClosed:
            pass
        except StoreTrouble as trouble:
            await self._turn_away(peer, Close.TRY_AGAIN_LATER, refusal(None, trouble.code, trouble.message))
        except Exception:
            log.exception("connection c%d failed", number)
            self.close(peer, 1011, "internal error")
        finally:
            if peer in self._closing:  # a handler that returns is closed with 1000 by websockets
                await peer.wait_closed()
            del self._peers[peer]
            self._closing.discard(peer)
            log.info("connection c%d closed: %s", number, peer.close_code)

    async def _join_and_read(self, peer: Peer, number: int) -> None:
        if peer.subprotocol != wire.SUBPROTOCOL:
            sentence = f"This server speaks {wire.SUBPROTOCOL}; use a client of that version."
            await self._turn_away(peer, Close.UNSUPPORTED_VERSION, refusal(None, "unsupported_version", sentence))
            return
        hello = await self._hello(peer)
        if hello is None:
            return
        user = peer.identity.user if peer.identity is not None else hello.user
        if user is None or not wire.is_user_name(user) or not 1 <= len(hello.device) <= 64:
            sentence = "The name must be a-z 0-9 _ - (at most 32, beginning with a letter or digit); choose another."
            await self._turn_away(peer, Close.BAD_FRAME, refusal(None, "bad_request", sentence))
            return
        if self._users[user] >= self._most_a_user:
            sentence = "You have too many connections; close one."
            await self._turn_away(peer, Close.TRY_AGAIN_LATER, refusal(None, "rate_limited", sentence))
            return
        self._users[user] += 1
        expiry = None
        try:
            if peer.identity is not None and peer.identity.expires_at_s is not None:
                left_s = max(0.0, peer.identity.expires_at_s - self._wall_s())
                expiry = asyncio.get_running_loop().call_later(
                    min(left_s, 86_400 * 20), self.close, peer, Close.UNAUTHORIZED, "the token has expired"
                )
            room = await self._hub.room(peer.room_name)
            await self._turnstile.wait_turn()
            outlet = Outlet(peer, user=user, device=hello.device, number=number, close=self._close_outlet)
            self._peers[peer] = outlet
            room.join(outlet, hello.resume)
            log.info("connection c%d joined room %s as %s", number, room.name, user)
            try:
                await self._hub.visit(user, room.name)
                await self._read(peer, room, outlet)
            finally:
                room.audience.leave(outlet)
        finally:
            if expiry is not None:
                expiry.cancel()
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]

    async def _hello(self, peer: Peer) -> wire.Hello | None:
        try:
            async with asyncio.timeout(self._hello_timeout_s):
                first = await peer.recv()
            if isinstance(first, bytes):
                raise wire.BadFrame("the first frame must be a hello, as text")
            return wire.decode_hello(first)
        except TimeoutError:
            self.close(peer, Close.BAD_FRAME, "no hello came")
        except wire.BadFrame as bad:
            await self._turn_away(peer, Close.BAD_FRAME, refusal(None, "bad_request", f"Bad frame: {bad.reason}."))
        return None

    async def _read(self, peer: Peer, room: RoomRunner, outlet: Outlet) -> None:
        commands = Limiter(self._burst, self._per_s)
        # Esc must work whatever was typed before, and typing must not cost a message: buckets of their own.
        interrupts = Limiter(self._burst, self._per_s)
        typings = Limiter(self._burst, self._per_s, strikes=100)
        async for data in peer:
            if isinstance(data, bytes):
                self.close(peer, Close.BAD_FRAME, "binary frames are not spoken here")
                return
            try:
                command: wire.Command | wire.BadFrame = wire.decode_command(data)
            except wire.BadFrame as bad:
                command = bad
            match command:
                case wire.Typing():
                    limiter = typings
                case wire.Interrupt():
                    limiter = interrupts
                case _:
                    limiter = commands
            verdict = limiter.ask(self._monotonic_s())
            if verdict.is_flooding:
                self.close(peer, Close.FLOODING, "too many commands")
                return
            if verdict.retry_after_s:
                if not isinstance(command, wire.Typing):
                    ref = command.ref if isinstance(command, wire.BadFrame) else command.cid
                    sentence = "Too many commands at once; wait a moment and send it again."
                    self._send(outlet, refusal(ref, "rate_limited", sentence, verdict.retry_after_s))
                continue
            await self._obey(peer, room, outlet, command)

    async def _obey(self, peer: Peer, room: RoomRunner, outlet: Outlet, command: wire.Command | wire.BadFrame) -> None:
        try:
            match command:
                case wire.Message() | wire.Clear() | wire.SubmitTask() | wire.CancelTask():
                    await room.submit(outlet, command)
                case wire.Interrupt():
                    await room.interrupt(outlet, command)
                case wire.Typing():
                    room.audience.typing(outlet.user, command.active)
                case wire.History():
                    outlet.send(frame(await self._hub.page(room.name, command)))
                case wire.Rooms():
                    allowed = peer.identity.rooms if peer.identity is not None else None
                    self._send(outlet, await self._hub.rooms(outlet.user, allowed, command.cid))
                case wire.BadFrame():
                    self._send(outlet, refusal(command.ref, "bad_request", f"Bad frame: {command.reason}."))
        except StoreTrouble as trouble:
            assert not isinstance(command, wire.BadFrame | wire.Typing)
            self._send(outlet, refusal(command.cid, trouble.code, trouble.message, trouble.retry_after_s))

    @staticmethod
    def _send(outlet: Outlet, event: wire.LiveEvent | wire.Error) -> None:
        outlet.send(frame(encode(event)))

    # ---- the end of a connection ------------------------------------------------------------------

    async def _turn_away(self, peer: Peer, code: int, why: wire.Error) -> None:
        await peer.send(encode(why), text=True)
        self.close(peer, code, why.code)
        await peer.wait_closed()

    def _close_outlet(self, outlet: Outlet, code: int, reason: str) -> None:
        for peer, owned in self._peers.items():
            if owned is outlet:
                self.close(peer, code, reason)
                return

    def close(self, peer: Peer, code: int, reason: str) -> None:
        """End a connection; returns at once. A peer that does not answer is cut off after ABORT_S: websockets'
        own close waits for a stuck reader for ever (its drain comes before its timeout)."""
        if peer not in self._closing:
            self._closing.add(peer)
            self._closers.create_task(self._close(peer, code, reason), name="close")

    @staticmethod
    async def _close(peer: Peer, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(ABORT_S):
                await peer.close(code, reason)
        except TimeoutError:
            pass
        finally:
            peer.transport.abort()


def _try_later(peer: Peer, status: HTTPStatus, text: str) -> Response:
    response = peer.respond(status, text)
    response.headers["Retry-After"] = "5"
    return response
