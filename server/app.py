"""A running server: the store, the agent, the hub and the listeners, from start to a graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from websockets.asyncio.server import Server, serve

from server import protocol as wire
from server.agents.base import Agent
from server.agents.choose import NoAgent, choose
from server.agents.claude import ClaudeAgent
from server.agents.claude_worker import ClaudeWorker
from server.agents.claude_worker import Limits as TaskLimits
from server.agents.demo import DemoAgent
from server.agents.demo_worker import DemoWorker
from server.agents.model import ClaudeConfig
from server.agents.work import Worker
from server.auth import Tokens, is_loopback
from server.config import ConfigTrouble, ServerSettings
from server.core.budget import Budget, Limit, day_of
from server.datadir import DataDir
from server.findable import stay_findable
from server.gateway import Door, Gateway, Peer
from server.protocol import Close
from server.runtime.hub import Hub
from server.runtime.room_runner import Services
from server.runtime.task_desk import TaskDesk
from server.socket_place import SocketPlace
from server.store.sqlite import open_sqlite
from server.tasks.dbos_runner import DbosRunner

log = logging.getLogger("server.app")
# At DEBUG websockets prints the Authorization header; whatever the root logger says, this one does not.
_wire_log = logging.getLogger("server.websockets")
_wire_log.setLevel(logging.WARNING)

ServeOn = Callable[[socket.socket], Awaitable[Server]]

IDLE_LOOK_S = 1.0
BACKLOG = 512
# Young garbage is looked for often, so that each look is short: by the defaults every tenth one took 4 ms in a storm of
# connections, and by these 1 ms. All there is takes longest (20 ms with 1,000 connections), so seldom.
GC_THRESHOLDS: Final = (300, 3, 200)


async def run(
    settings: ServerSettings,
    socket_path: Path | None,
    *,
    on_ready: Callable[[str], None],
    agent: Agent | None = None,
    worker: Worker | None = None,
    on_point: Callable[[str], None] | None = None,
) -> None:
    """Serve until told to stop. `on_ready` gets the address once it listens.

    Tests and the bench bring an `agent` and a `worker` of their own, and are told the crash points of the store and of
    tasks by `on_point`.

    Raises ConfigTrouble, StoreUnusable and datadir.DataDirTaken before anything listens.
    """
    check(settings, socket_path)
    with DataDir(settings.data_path) as data_dir:
        store = await open_sqlite(data_dir.path / "rooms.db", on_point)
        agent = agent or make_agent(settings, os.environ)
        try:
            today = day_of(time.time())
            budget = Budget(_limit(settings), today, *await store.spent(today))
            runner = DbosRunner(data_dir.path / "tasks.db", on_point)
            desk = TaskDesk(
                store,
                runner,
                worker or make_worker(settings, agent),
                budget,
                time.time,
                per_server=settings.tasks_at_once,
                per_person=settings.tasks_per_person,
                on_point=on_point,
            )
            name = f"tui-agent/{wire.AGENT_VERSION}"
            services = Services(store, agent, budget, time.monotonic, time.time, name, desk)
            async with Hub(services) as hub:
                desk.room_of = hub.room
                try:
                    await _serve(settings, socket_path, data_dir, hub, agent, desk, on_ready)
                finally:
                    await desk.close()
        finally:
            await agent.close()
            await store.close()


def check(settings: ServerSettings, socket_path: Path | None) -> None:
    """What must not be started. Raises ConfigTrouble."""
    if socket_path is None and settings.insecure_no_auth and not is_loopback(settings.host or "127.0.0.1"):
        raise ConfigTrouble("--insecure-no-auth works on loopback only; leave it out and hand out tokens instead.")
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise ConfigTrouble("--tls-cert and --tls-key belong together; give both.")
    if socket_path is not None and settings.tls_cert:
        raise ConfigTrouble("A Unix socket needs no TLS; leave --tls-cert out or give --port.")


def make_agent(settings: ServerSettings, environ: Mapping[str, str]) -> Agent:
    """The agent that the settings and the environment ask for. Raises ConfigTrouble."""
    try:
        choice = choose(settings.agent, environ)
    except NoAgent as none:
        raise ConfigTrouble(none.message) from None
    if choice.agent == "demo":
        return DemoAgent(pieces_per_s=settings.demo_tokens_per_s)
    return ClaudeAgent(
        ClaudeConfig(
            model=settings.model,
            base_url=choice.base_url,
            api_key=choice.api_key,
            system_prompt=settings.system_prompt,
            max_tokens=settings.max_tokens,
            web_search=settings.web_search,
            web_fetch=settings.web_fetch,
            silence_timeout_s=settings.silence_timeout_s,
            context_window=settings.context_window,
            prices=settings.prices,
            can_start_tasks=True,
        )
    )


def make_worker(settings: ServerSettings, agent: Agent) -> Worker:
    """Who does the long work: the same model as the agent's, or the demo."""
    if isinstance(agent, ClaudeAgent):
        limits = TaskLimits(settings.task_tokens, settings.task_calls, settings.task_minutes)
        return ClaudeWorker(agent.provider, limits)
    return DemoWorker()


def _limit(settings: ServerSettings) -> Limit:
    dollars = settings.budget_dollars_per_day
    return Limit(settings.budget_tokens_per_day, None if dollars is None else int(dollars * 1_000_000))


async def _serve(
    settings: ServerSettings,
    socket_path: Path | None,
    data_dir: DataDir,
    hub: Hub,
    agent: Agent,
    desk: TaskDesk,
    on_ready: Callable[[str], None],
) -> None:
    started_s = time.monotonic()

    def status() -> dict[str, Any]:
        return {
            "version": wire.AGENT_VERSION,
            "pid": os.getpid(),
            "uptime_s": round(time.monotonic() - started_s),
            "connections": gateway.connections,
            "open_runs": hub.open_runs,
            "queued": hub.queued_messages,
            "tasks": desk.open_count,
            "agent": agent.name,
            "model": agent.model,
        }

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    async with (
        Gateway(
            hub,
            monotonic_s=time.monotonic,
            wall_s=time.time,
            status=status,
            connections_a_user=settings.connections_per_user,
            connections=settings.connections,
            command_burst=settings.command_burst,
            commands_per_s=settings.commands_per_s,
        ) as gateway,
        _listen(settings, socket_path, data_dir, gateway) as listening,
    ):
        about = {"pid": os.getpid(), "address": listening.address, "version": wire.AGENT_VERSION}
        data_dir.publish(about)
        on_ready(listening.address)
        log.info("listening on %s, agent %s", listening.address, agent.name)
        async with asyncio.TaskGroup() as group:
            # Heavy imports (the SDK takes over a second) come after the first client can connect.
            group.create_task(agent.prepare(), name="prepare the agent")
            restore = group.create_task(desk.restore(), name="restore the tasks")
            idle = group.create_task(_leave_when_idle(settings, hub, gateway, stop), name="idle exit")
            findable = group.create_task(
                stay_findable(listening.place, listening.again, data_dir, about, stop), name="stay findable"
            )
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
            await stop.wait()
            idle.cancel()
            restore.cancel()
            findable.cancel()
        log.info("stopping")
        data_dir.withdraw()  # a server that starts now waits for the end of this one
        listening.close()
        gateway.refuse_new()
        await desk.close()
        await hub.stop()
        gateway.close_all(Close.SERVICE_RESTART, "the server restarts")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.remove_signal_handler(number)


async def _leave_when_idle(settings: ServerSettings, hub: Hub, gateway: Gateway, stop: asyncio.Event) -> None:
    """End after `idle_exit_s` without a connection, an open run, a queued message or a task."""
    if settings.idle_exit_s is None:
        return
    idle_since_s = time.monotonic()
    while not stop.is_set():
        await asyncio.sleep(min(IDLE_LOOK_S, settings.idle_exit_s))
        if gateway.connections or hub.is_busy:
            idle_since_s = time.monotonic()
        elif time.monotonic() - idle_since_s >= settings.idle_exit_s:
            log.info("nobody was here for %.0f s", settings.idle_exit_s)
            stop.set()


class Listening:
    """Where this server is reached, and its listeners there: a second one when the first one's file was gone."""

    def __init__(self, address: str, place: SocketPlace | None, serve_on: ServeOn) -> None:
        self.address, self.place = address, place
        self._serve_on = serve_on
        self._servers: list[Server] = []

    async def begin(self, sock: socket.socket) -> None:
        """Take connections from this socket, from now on."""
        self._servers.append(await self._serve_on(sock))
        # asyncio's loop takes up to `backlog` connections in one step, and 300 at once held everybody up for 90 ms. So
        # it takes one a step, as uvloop does, while the kernel's queue is as long as it should be.
        sock.listen(BACKLOG)

    async def again(self) -> None:
        """Make the socket's file anew; who is connected stays so. Raises ConfigTrouble."""
        if self.place is not None:
            sock = self.place.listen()
            for old in self._servers:
                old.server.close()  # its listener alone: `end` closes its connections
            await self.begin(sock)

    def close(self) -> None:
        """Take no more connections; those that are there go on."""
        for server in self._servers:
            server.close(close_connections=False)

    async def end(self) -> None:
        """Every connection has ended."""
        for server in self._servers:
            server.close()
            await server.wait_closed()
        if self.place is not None:
            self.place.leave()


@contextlib.asynccontextmanager
async def _listen(
    settings: ServerSettings, socket_path: Path | None, data_dir: DataDir, gateway: Gateway
) -> AsyncIterator[Listening]:
    """On a Unix socket or TCP. Raises ConfigTrouble when the address cannot be had."""
    host = settings.host or "127.0.0.1"
    tls = _tls(settings)
    place = None
    if socket_path is not None:
        place = SocketPlace(socket_path, BACKLOG)
        sock = place.listen()
        door = Door(tokens=None, status_tokens=None, is_unix=True)
        address = f"unix:{socket_path}"
    else:
        sock = bind_tcp(host, settings.port or 0)
        tokens = Tokens(data_dir.path)
        door = Door(
            tokens=None if settings.insecure_no_auth else tokens,
            status_tokens=tokens,
            is_unix=False,
            bound_host=host,
            allowed_hosts=settings.allow_host,
            allowed_origins=settings.allow_origin,
        )
        shown = f"[{host}]" if ":" in host else host
        address = f"{'wss' if tls else 'ws'}://{shown}:{sock.getsockname()[1]}"

    async def serve_on(sock: socket.socket) -> Server:
        return await serve(
            gateway.handle,
            sock=sock,
            ssl=tls,
            subprotocols=None,
            select_subprotocol=Gateway.select_subprotocol,
            compression=None,
            process_request=gateway.process_request(door),
            server_header=None,
            open_timeout=10,
            ping_interval=wire.HEARTBEAT_S,
            ping_timeout=wire.HEARTBEAT_TIMEOUT_S,
            close_timeout=2,
            max_size=wire.CLIENT_FRAME_BYTES,
            max_queue=4,
            create_connection=cast(type[Peer], gateway.new_peer),  # a factory will do, says websockets
            logger=_wire_log,
            backlog=1,
        )

    listening = Listening(address, place, serve_on)
    try:
        await listening.begin(sock)
        yield listening
    finally:
        await listening.end()


def _tls(settings: ServerSettings) -> ssl.SSLContext | None:
    if not settings.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError):
        raise ConfigTrouble(
            f"The certificate {settings.tls_cert} and its key cannot be used; check both paths (PEM files)."
        ) from None
    return context


def bind_tcp(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigTrouble."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where it sees this protocol number, which socket.create_server leaves out: tokens
    # would wait up to 40 ms for an ACK.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        return sock
    except (OSError, OverflowError):
        sock.close()
        raise ConfigTrouble(f"Port {port} on {host} cannot be used; is it taken? Choose another with --port.") from None
