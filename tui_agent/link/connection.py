"""The connection to one room: connect, resume, send once, connect again when it drops.

`RoomLink.run` owns everything. It makes one connection at a time; `link.session` is what happens on one. The loop
is our own because websockets' own retries begin anew after each handshake and know no Retry-After.
"""

from __future__ import annotations

import asyncio
import logging
import random as random_module
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace
from websockets.asyncio.client import connect, unix_connect
from websockets.typing import Subprotocol

from server.protocol import (
    CLIENT_FRAME_BYTES,
    MESSAGE_BYTES,
    SERVER_FRAME_BYTES,
    SUBPROTOCOL,
    Close,
    Hello,
    Message,
    SubmitTask,
    Welcome,
    encode,
)
from tui_agent.link import trouble
from tui_agent.link.address import Address
from tui_agent.link.backoff import Backoff
from tui_agent.link.base import (
    LinkEvent,
    LinkStatus,
    OutboxFull,
    Pending,
    PendingChanged,
    Sendable,
    StatusChanged,
)
from tui_agent.link.mailbox import Mailbox
from tui_agent.link.outbox import Outbox, outbox_folder
from tui_agent.link.resume import Cursor
from tui_agent.link.sending import Sending
from tui_agent.link.session import Session
from tui_agent.link.trouble import Trouble, Unreachable

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

log = logging.getLogger(__name__)
# At DEBUG websockets prints the Authorization header; whatever the root logger says, this one does not.
_wire_log = logging.getLogger("tui_agent.link.wire")
_wire_log.setLevel(logging.INFO)

QUEUE_FULL_S = 0.01  # before another try
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")  # a lone one would break every replay


async def connect_unix(path: Path, timeout_s: float) -> socket.socket:
    """A connected socket. Raises OSError, TimeoutError.

    By hand: where a server's queue is full, as when several clients wait for it to start, the kernel says EAGAIN, which
    asyncio takes for a connection under way; the first read then finds an end of file.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    sock.connect(str(path))
                except BlockingIOError:
                    await asyncio.sleep(QUEUE_FULL_S)
                else:
                    return sock
    except BaseException:
        sock.close()
        raise


class LocalHost(Protocol):
    """Who starts the server on this machine (local_server.LocalServer)."""

    async def start(self) -> None:
        """Have a server listen. Raises Unreachable."""
        ...

    async def renew(self, seen: str) -> str | None:
        """Replace an older server: None nothing to do, "" replaced, else why not. Raises Unreachable."""
        ...


class Times(Struct, frozen=True):
    """Every wait of a link, in seconds; tests make them short."""

    open_timeout_s: float = 10.0
    welcome_timeout_s: float = 10.0
    ping_every_s: float = 15.0
    ping_timeout_s: float = 10.0
    close_timeout_s: float = 1.5
    sleep_look_s: float = 5.0
    sleep_drift_s: float = 30.0
    backoff_scale: float = 1.0


class RoomLink:
    """The real Link (see base.py)."""

    def __init__(
        self,
        address: Address,
        room: str,
        user: str,
        *,
        client: str,
        state_folder: Path,
        token: str | None = None,
        local: LocalHost | None = None,
        times: Times | None = None,
        random: Callable[[], float] = random_module.random,
        wall_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`local` starts the server on this machine when nobody listens; None for a server elsewhere."""
        self.address, self.room, self.user = address, room, user
        self._client, self._token = client, token
        self._local = local
        self._has_renewed = False
        self._times = times or Times()
        self._wall_s, self._monotonic_s = wall_s, monotonic_s
        self._device = str(uuid.uuid4())
        self._backoff = Backoff(random)
        self._mailbox = Mailbox()
        self._cursor = Cursor()
        self._outbox = Outbox(outbox_folder(state_folder, address.key, room, user), now_s=wall_s())
        for path in self._outbox.aside:
            log.warning("an outbox file could not be read and was set aside: %s", path)
        self._sending = Sending(self._outbox, self._cursor, self._report_pending)
        self._status = LinkStatus("connecting", attempts=self._backoff.attempts)
        self._session: Session | None = None
        self._kick = asyncio.Event()  # stop waiting: a new try, or the end
        self._is_closing = False
        self._note: str | None = None  # what is to be said while live
        self._finished: asyncio.Event | None = None
        if self._outbox.pending:
            self._report_pending()

    # ---- what the app calls ------------------------------------------------------------------------

    @property
    def status(self) -> LinkStatus:
        return self._status

    @property
    def pending(self) -> Sequence[Pending]:
        return self._outbox.pending

    def events(self) -> AsyncIterator[LinkEvent]:
        return self._mailbox.read()

    def stop_events(self) -> None:
        """End `events` for the reader, with the connection as it is."""
        self._mailbox.close()

    def send(self, command: Sendable) -> None:
        if isinstance(command, Message | SubmitTask):
            self._keep(command)
        elif self._session is not None:
            self._sending.send_live(command)

    def interrupt(self, run: str | None) -> None:
        self._sending.interrupt(run)

    def resend_stale(self, cid: str) -> None:
        if self._outbox.renew(cid):
            self._report_pending()
            self._sending.pump()

    def forget(self, cid: str) -> None:
        self._sending.forget(cid)

    def reconnect_now(self) -> None:
        if self._status.phase == "live" or self._status.is_final:
            return
        self._backoff.reset()
        self._kick.set()

    async def close(self) -> None:
        self._is_closing = True
        self._kick.set()
        self._mailbox.end_waiting()
        if self._session is not None:
            self._session.leave()
        if self._finished is not None:
            try:
                async with asyncio.timeout(self._times.close_timeout_s + 0.3):
                    await self._finished.wait()
            except TimeoutError:
                if self._session is not None:
                    self._session.abort()
        else:
            self._end()

    # ---- the loop ----------------------------------------------------------------------------------

    async def run(self) -> None:
        self._finished = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch_for_sleep(), name="link: sleep watch")
                try:
                    await self._stay_connected()
                finally:
                    watch.cancel()
        finally:
            self._end()
            self._finished.set()

    async def _stay_connected(self) -> None:
        while not self._is_closing:
            attempt = self._backoff.attempt
            self._report(LinkStatus("connecting", attempt, sentence=self._status.sentence if attempt else ""))
            self._kick.clear()
            what = await self._connect_once()
            if self._is_closing:
                return
            if what.at_once:
                continue
            await self._wait_after(what)

    async def _wait_after(self, what: Trouble) -> None:
        delay_s = self._backoff.next_delay_s(what.retry_after_s) if what.what == "retry" else None
        if delay_s is None:
            sentence = what.sentence if what.what != "retry" else f"{what.sentence} Press F5 to try again."
            self._report(LinkStatus("offline", self._backoff.attempt, sentence=sentence, is_final=what.what == "final"))
            await self._kick.wait()
            return
        delay_s *= self._times.backoff_scale
        self._report(LinkStatus("waiting", self._backoff.attempt, retry_in_s=delay_s, sentence=what.sentence))
        try:
            async with asyncio.timeout(delay_s):
                await self._kick.wait()
        except TimeoutError:
            pass

    async def _connect_once(self) -> Trouble:
        """One connection, from the first packet to its end; why it ended."""
        try:
            socket = await self._open_or_start()
        except Exception as exc:
            return trouble.of_failed_connect(exc, self.address, self._wall_s())
        if socket.subprotocol != SUBPROTOCOL:
            return await self._of_strange(socket)
        hello = Hello(self._client, self._device, self.user, self._cursor.resume)
        session = Session(
            socket,
            hello,
            self._cursor,
            self._sending,
            self._mailbox,
            self._times,
            self._on_live,
            self._renew,
            self.address,
        )
        self._session = session
        began_s = self._monotonic_s()
        try:
            if self._is_closing:
                session.leave()
            return await session.run()
        finally:
            self._session = None
            self._backoff.ended(was_welcomed=session.is_welcomed, lived_s=self._monotonic_s() - began_s)

    async def _open_or_start(self) -> ClientConnection:
        try:
            return await self._open()
        except (FileNotFoundError, ConnectionRefusedError):
            if self._local is None:
                raise
        await self._local.start()
        return await self._open()

    async def _of_strange(self, socket: ClientConnection) -> Trouble:
        """Connected, but not with our subprotocol: a server of another version says so in its close code."""
        try:
            async with asyncio.timeout(self._times.close_timeout_s):
                await socket.wait_closed()
        except TimeoutError:
            pass
        finally:
            socket.transport.abort()
        if socket.subprotocol is not None or socket.close_code == Close.UNSUPPORTED_VERSION:
            return trouble.of_version(self.address)
        return trouble.not_ours(self.address)

    async def _renew(self, welcome: Welcome) -> bool:
        """Whether the local server was replaced by a newer one, so that this connection is to be left."""
        if self._local is None or self._has_renewed:
            return False
        self._has_renewed = True
        try:
            self._note = await self._local.renew(welcome.server)
        except Unreachable:
            return True  # it stopped; the next attempt says what is wrong
        return self._note == ""

    async def _open(self) -> ClientConnection:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else None
        url = self.address.url(self.room)
        options = {
            "subprotocols": [Subprotocol(SUBPROTOCOL)],
            "compression": None,
            "additional_headers": headers,
            "user_agent_header": self._client,
            "open_timeout": self._times.open_timeout_s,
            "ping_interval": None,  # the session pings: websockets' keepalive can hang in drain()
            "close_timeout": self._times.close_timeout_s,
            "max_size": SERVER_FRAME_BYTES,
            "logger": _wire_log,
            "proxy": None,  # http_proxy in the environment would break loopback
        }
        if self.address.socket_path is not None:
            sock = await connect_unix(self.address.socket_path, self._times.open_timeout_s)
            return await unix_connect(None, url, sock=sock, **options)
        return await connect(url, **options)  # type: ignore[arg-type]

    async def _watch_for_sleep(self) -> None:
        """While a machine sleeps its wall clock goes on and the monotonic one does not."""
        times = self._times
        drift_s = self._wall_s() - self._monotonic_s()
        while True:
            await asyncio.sleep(times.sleep_look_s)
            now_s = self._wall_s() - self._monotonic_s()
            if abs(now_s - drift_s) > times.sleep_drift_s and not self._status.is_final:
                if self._session is not None:
                    self._session.end(Trouble("This machine has slept.", at_once=True))
                else:
                    self.reconnect_now()
            drift_s = now_s

    # ---- inside ------------------------------------------------------------------------------------

    def _keep(self, command: Message | SubmitTask) -> None:
        text = (command.content if isinstance(command, Message) else command.prompt).translate(_SURROGATES)
        size_bytes = len(text.encode())
        if size_bytes > MESSAGE_BYTES:
            raise OutboxFull(
                f"This message has {size_bytes:,} bytes; the limit is {MESSAGE_BYTES:,}. Send it in parts."
            )
        if isinstance(command, Message):
            command = Message(command.cid, text)
        else:
            title = command.title.translate(_SURROGATES) if isinstance(command.title, str) else command.title
            command = SubmitTask(command.cid, text, title)
        if len(encode(command)) > CLIENT_FRAME_BYTES:
            raise OutboxFull("This message is too long for one frame once it is encoded. Send it in parts.")
        if command.cid in self._outbox:
            return
        self._outbox.add(command, self._wall_s())
        self._report_pending()
        self._sending.pump()

    def _on_live(self, latency_ms: float | None) -> None:
        self._report(LinkStatus("live", latency_ms=latency_ms, sentence=self._note or ""))

    def _report(self, status: LinkStatus) -> None:
        self._status = replace(status, attempts=self._backoff.attempts)
        self._mailbox.put_latest(StatusChanged(self._status))

    def _report_pending(self) -> None:
        self._mailbox.put_latest(PendingChanged(self._outbox.pending))

    def _end(self) -> None:
        if self._status.phase != "closed":
            self._report(LinkStatus("closed"))
        self._outbox.close()
        self._mailbox.close()
