"""One connection's way out: whole frames written at once, with a look at what still waits before each.

An event is encoded and framed once and the same bytes go to every connection: measured at about half of
`websockets.broadcast`, and a quarter of a queue and a writer task each. The limits (PROTOCOL, Slow peers): over 256 KiB
waiting, tokens are dropped and caught up by offset; over 1 MiB, or 10 s without progress, the connection is closed with
4408. Only whole, unfragmented text frames are written and only in state OPEN, so websockets' own control frames
(ping, pong, close) always fall between ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from server.protocol import Close

DROP_TOKENS_BYTES: Final = 256 * 1024
CATCH_UP_BYTES: Final = 64 * 1024
CLOSE_BYTES: Final = 1024 * 1024
STUCK_S: Final = 10.0
OPEN: Final = State.OPEN


def frame(payload: bytes) -> bytes:
    """`payload` (UTF-8) as one unmasked text frame (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return b"\x81" + size.to_bytes(1, "big") + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class Outlet:
    """What the room knows of a connection. `close` asks the gateway to end it (code, reason) and returns at once."""

    __slots__ = (
        "_allowance",
        "_drained",
        "_moved_at_s",
        "close",
        "device",
        "is_behind",
        "number",
        "protocol",
        "sent_offset",
        "transport",
        "user",
        "written",
    )

    def __init__(
        self, ws: ServerConnection, *, user: str, device: str, number: int, close: Callable[[Outlet, int, str], None]
    ) -> None:
        self.transport: asyncio.WriteTransport = ws.transport
        self.protocol = ws.protocol
        self.user = user
        self.device = device
        self.number = number
        self.close = close
        self.is_behind = False  # tokens were dropped since `sent_offset`
        self.sent_offset = 0
        self.written = 0  # bytes handed to the transport by us
        self._allowance = 0  # replayed bytes still waiting: they do not count
        self._drained = 0
        self._moved_at_s: float | None = None

    @property
    def waiting_bytes(self) -> int:
        """What the peer has not taken yet, without the rest of a replay."""
        size_bytes = self.transport.get_write_buffer_size()
        self._allowance = min(self._allowance, size_bytes)
        return size_bytes - self._allowance

    def send(self, data: bytes) -> None:
        """Write frames that must not be dropped; a peer that does not take them is closed."""
        if self.protocol.state is not OPEN:
            return
        if self.waiting_bytes + len(data) > CLOSE_BYTES:
            self.close(self, Close.SLOW_CONSUMER, "too slow")
            return
        self.transport.write(data)
        self.written += len(data)

    def replay(self, data: bytes) -> None:
        """Write the beginning of a connection: whatever its size, it does not count against the limits."""
        if self.protocol.state is not OPEN:
            return
        self.transport.write(data)
        self.written += len(data)
        self._allowance = self.transport.get_write_buffer_size()

    def is_stuck(self, now_s: float) -> bool:
        """Whether bytes have waited for STUCK_S without any being taken. To be asked about once a second."""
        size_bytes = self.transport.get_write_buffer_size()
        drained = self.written - size_bytes
        if size_bytes == 0 or drained > self._drained or self._moved_at_s is None:
            self._drained = drained
            self._moved_at_s = now_s
            return False
        return now_s - self._moved_at_s > STUCK_S


def fan_out(outlets: Iterable[Outlet], data: bytes) -> None:
    """The same frame to everybody."""
    size_bytes = len(data)
    for outlet in outlets:
        transport = outlet.transport
        if transport.get_write_buffer_size():
            outlet.send(data)
        elif outlet.protocol.state is OPEN:
            transport.write(data)
            outlet.written += size_bytes


def fan_out_token(outlets: Iterable[Outlet], data: bytes, offset: int, catch_up: Callable[[int], bytes]) -> None:
    """A token frame to everybody who keeps up. Who was behind and has drained gets `catch_up(from_offset)` instead."""
    size_bytes = len(data)
    for outlet in outlets:
        transport = outlet.transport
        waiting = transport.get_write_buffer_size()
        if waiting == 0 and not outlet.is_behind:
            if outlet.protocol.state is OPEN:
                transport.write(data)
                outlet.written += size_bytes
        elif outlet.is_behind:
            if outlet.waiting_bytes < CATCH_UP_BYTES:
                outlet.is_behind = False
                outlet.send(catch_up(outlet.sent_offset))
        elif outlet.waiting_bytes > DROP_TOKENS_BYTES:
            outlet.is_behind = True
            outlet.sent_offset = offset
        else:
            outlet.send(data)
