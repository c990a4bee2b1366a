"""One connection's life: hello, welcome, then events in and frames out until it ends. Owned by connection.RoomLink."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed

from server.protocol import BadFrame, Error, Event, Hello, Snapshot, Welcome, decode_event, encode
from tui_agent.link import trouble
from tui_agent.link.address import Address
from tui_agent.link.base import Received
from tui_agent.link.mailbox import Mailbox
from tui_agent.link.resume import Cursor, Not
from tui_agent.link.sending import Sending
from tui_agent.link.trouble import Trouble

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from tui_agent.link.connection import Times

log = logging.getLogger(__name__)

_MOST_FRAMES = 256  # waiting to go out; more are refused, and kept commands wait in the outbox
_GAP = Trouble("Something was missing in what the server sent; getting it again.")
_NOT_WORDS = Trouble("The server sent something that is not of this protocol. Update the older of the two.")
_RENEWED = Trouble("The server was replaced by the newer version.", at_once=True)
_HALF_OPEN = Trouble("The server no longer answers.")


class Session:
    """A connected socket and what happens on it."""

    def __init__(
        self,
        socket: ClientConnection,
        hello: Hello,
        cursor: Cursor,
        sending: Sending,
        mailbox: Mailbox,
        times: Times,
        on_live: Callable[[float | None], None],
        renew: Callable[[Welcome], Awaitable[bool]],
        address: Address,
    ) -> None:
        self._socket = socket
        self._hello = hello
        self._cursor = cursor
        self._sending = sending
        self._mailbox = mailbox
        self._times = times
        self._on_live = on_live
        self._renew = renew
        self._address = address
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(_MOST_FRAMES)
        self._why: Trouble | None = None
        self._ending = asyncio.Event()
        self.is_welcomed = False

    def end(self, why: Trouble) -> None:
        """End this connection for a reason of our own, without waiting for the other side."""
        if self._why is None:
            self._why = why
        self.abort()

    def leave(self) -> None:
        """End it politely (1000)."""
        self._ending.set()

    def abort(self) -> None:
        """Cut it."""
        self._socket.transport.abort()

    async def run(self) -> Trouble:
        """Until the connection ends; why it did."""
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [
                    group.create_task(self._send_frames(), name="link: sender"),
                    group.create_task(self._ping(), name="link: pinger"),
                    group.create_task(self._wait_leave(), name="link: leaver"),
                ]
                try:
                    await self._greet()
                    if self._why is None:
                        await self._read()
                finally:
                    for helper in helpers:
                        helper.cancel()
        except* ConnectionClosed:
            pass
        except* TimeoutError:
            self._why = self._why or Trouble(f"The server at {self._address} does not say welcome.")
        finally:
            self._sending.closed()
            await self._close()
        return self._why or self._of_close()

    def _of_close(self) -> Trouble:
        if not self.is_welcomed and self._socket.close_code == 1002:
            return trouble.not_ours(self._address)
        return trouble.of_close(self._socket.close_code)

    async def _greet(self) -> None:
        async with asyncio.timeout(self._times.welcome_timeout_s):
            await self._socket.send(encode(self._hello).decode())
            frame = await self._socket.recv()
        event = self._decode(frame)
        if isinstance(event, Error):
            return  # a refusal: the close code that follows says it
        if not isinstance(event, Welcome):
            self.end(self._why or trouble.not_ours(self._address))
            return
        if await self._renew(event):
            self.end(_RENEWED)
            return
        if self._cursor.take(event) is Not.GAP:
            self.end(_GAP)
            return
        self.is_welcomed = True
        await self._mailbox.put(Received(event))
        self._on_live(None)
        self._sending.opened(self._put, event)

    async def _read(self) -> None:
        async for frame in self._socket:
            event = self._decode(frame)
            if event is not None and self.is_welcomed:
                await self._take(event)
            if self._why is not None:
                return

    def _decode(self, frame: str | bytes) -> Event | None:
        if isinstance(frame, str):
            try:
                return decode_event(frame)
            except BadFrame:
                pass
        log.warning("a frame of %d characters was no event of this protocol", len(frame))
        self.end(_NOT_WORDS)
        return None

    async def _take(self, event: Event) -> None:
        if isinstance(event, Error) and self._sending.takes_refusal(event):
            return
        taken = self._cursor.take(event)
        if taken is Not.GAP:
            log.info("gap after id %d, offset %d", self._cursor.after, self._cursor.offset)
            self.end(_GAP)
            return
        if isinstance(taken, Not):
            return
        await self._mailbox.put(Received(taken))
        self._sending.settle(taken)
        if isinstance(taken, Snapshot):
            for old in taken.events:
                self._sending.settle(old)

    def _put(self, frame: bytes) -> bool:
        try:
            self._frames.put_nowait(frame)
        except asyncio.QueueFull:
            return False
        return True

    async def _send_frames(self) -> None:
        try:
            while True:
                frame = await self._frames.get()
                await self._socket.send(frame.decode())
                self._sending.pump()  # a kept command that found the queue full goes now
        except ConnectionClosed:
            pass

    async def _ping(self) -> None:
        """Every 15 s; no answer within 10 s means a half-open connection, which only an abort ends."""
        times = self._times
        try:
            while True:
                try:
                    async with asyncio.timeout(times.ping_timeout_s):
                        latency_s = await (await self._socket.ping())
                except TimeoutError:
                    self.end(_HALF_OPEN)
                    return
                if self.is_welcomed:
                    self._on_live(round(latency_s * 1000, 1))
                await asyncio.sleep(times.ping_every_s)
        except ConnectionClosed:
            pass

    async def _wait_leave(self) -> None:
        await self._ending.wait()
        await self._close()

    async def _close(self) -> None:
        """1000 and the other side's answer, or an abort when that takes too long."""
        try:
            async with asyncio.timeout(self._times.close_timeout_s):
                await self._socket.close()
        except TimeoutError:
            self._socket.transport.abort()
        except asyncio.CancelledError:
            self._socket.transport.abort()
            raise
