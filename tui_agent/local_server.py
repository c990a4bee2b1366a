"""The server on one's own machine: where its socket is, start it when nobody listens, replace it when it is older.

Two clients that start at the same moment start one server: a lock file (flock) lies beside the socket. The server is a
process of its own (own session, output to a log), so that it outlives the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from server.protocol import AGENT_VERSION, default_socket_path
from tui_agent.link.trouble import Unreachable

IDLE_EXIT_S: Final = 900
START_TIMEOUT_S: Final = 15.0
STOP_TIMEOUT_S: Final = 10.0
FOUND_AGAIN_S: Final = 1.5
LONGEST_PATH_BYTES: Final = 100  # sun_path has 108 on Linux, 104 on macOS
_POLL_S = 0.01
_VERSION = re.compile(r"(?:tui-agent/)?(\d+)\.(\d+)(?:\.(\d+))?")

_started: list[subprocess.Popen[bytes]] = []  # kept, so that they are reaped and not warned about


def socket_path(environ: Mapping[str, str] | None = None) -> Path:
    """Where this person's server listens; short enough for a socket's address."""
    path = default_socket_path(os.environ if environ is None else environ)
    if len(os.fsencode(path)) <= LONGEST_PATH_BYTES:
        return path
    return Path("/tmp") / f"tui-agent-{os.getuid()}" / "server.sock"  # noqa: S108 - owner and mode are checked


class LocalServer:
    """The server behind one socket path."""

    def __init__(self, path: Path, log_folder: Path, *, idle_exit_s: float = IDLE_EXIT_S) -> None:
        self.path = path
        self._log = log_folder / "server-start.log"
        self._idle_exit_s = idle_exit_s

    async def start(self) -> None:
        """Have a server listen; at once when one does. Raises Unreachable with a sentence."""
        self._check_folder()
        async with self._one_at_a_time():
            if not _is_listening(self.path):
                await self._wait_listening(self._spawn())

    async def renew(self, seen: str) -> str | None:
        """`seen` is the version that a server told. Replace it when it is older than this client and idle.

        None: nothing to do; "": replaced, connect again; else a sentence that says why it was not.
        Raises Unreachable.
        """
        if not is_older(seen, AGENT_VERSION):
            return None
        later = "The server on this machine is older than this client; it is replaced as soon as it is idle."
        async with self._one_at_a_time():
            about = await self._status()
            if about is None or not isinstance(about.get("pid"), int):
                return later
            if not is_older(str(about.get("version")), AGENT_VERSION):
                return ""  # another client was faster
            busy = [about.get(key) for key in ("open_runs", "queued", "tasks")]
            if any(busy) or about.get("connections", 0) > 1:  # one of them is ours
                return later
            os.kill(about["pid"], signal.SIGTERM)
            if not await _wait_until(lambda: not _is_listening(self.path), STOP_TIMEOUT_S):
                return later
            await self._wait_listening(self._spawn())
        return ""

    # ---- inside ------------------------------------------------------------------------------------

    def _check_folder(self) -> None:
        """Only our own folder, closed to others: who can write there could be the server."""
        folder = self.path.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            info = folder.lstat()
            if stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid():
                if stat.S_IMODE(info.st_mode) & 0o077:
                    folder.chmod(0o700)
                return
        except OSError:
            pass
        raise Unreachable(
            f"The folder {folder} for the server's socket is not yours or cannot be made. "
            "Set XDG_RUNTIME_DIR to a folder of your own.",
            is_final=True,
        )

    @contextlib.asynccontextmanager
    async def _one_at_a_time(self) -> AsyncIterator[None]:
        fd = os.open(self.path.parent / "start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if not await _wait_until(lambda: _try_lock(fd), START_TIMEOUT_S + STOP_TIMEOUT_S):
                raise Unreachable(
                    f"Another client has been starting the server for long. See {self._log} and try again."
                )
            yield
        finally:
            os.close(fd)

    def _spawn(self) -> subprocess.Popen[bytes]:
        # -P: a file server.py in the present folder must not be taken for ours.
        command = [sys.executable, "-P", "-m", "server", "--socket", str(self.path)]
        command += ["--idle-exit", f"{self._idle_exit_s:g}"]
        for child in _started[:]:
            if child.poll() is not None:
                _started.remove(child)
        try:
            self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        except OSError:
            raise Unreachable(
                f"The state folder {self._log.parent} cannot be written. Mend its rights or set XDG_STATE_HOME.",
                is_final=True,
            ) from None
        try:
            child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command, stdin=subprocess.DEVNULL, stdout=fd, stderr=fd, start_new_session=True
            )
        except OSError:
            raise Unreachable(f"The server could not be started with {sys.executable}. Is it installed?") from None
        finally:
            os.close(fd)
        _started.append(child)
        return child

    async def _wait_listening(self, child: subprocess.Popen[bytes]) -> None:
        await _wait_until(lambda: _is_listening(self.path) or child.poll() is not None, START_TIMEOUT_S)
        # One that ended at once may have met a server whose socket's file was gone: that one makes it again.
        if await _wait_until(lambda: _is_listening(self.path), FOUND_AGAIN_S):
            return
        if child.poll() is not None:
            raise Unreachable(f"The server did not start: {self._last_words()}", is_final=True)
        raise Unreachable(f"The server has not begun to listen within {START_TIMEOUT_S:g} s. See {self._log}.")

    def _last_words(self) -> str:
        """The sentence with which it ended; it may quote a path or a setting, so only what can be shown."""
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            lines = []
        words = next((line.strip() for line in reversed(lines) if line.strip()), "")
        words = "".join(char if char.isprintable() else " " for char in words[:400])
        return words or f"it said nothing. See {self._log}."

    async def _status(self) -> dict[str, Any] | None:
        """GET /status over the socket, in HTTP/1.1 by hand: importing a client costs more than the request."""
        import json

        try:
            async with asyncio.timeout(3.0):
                reader, writer = await asyncio.open_unix_connection(str(self.path))
                try:
                    writer.write(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    answer = await reader.read(65_536)
                    while more := await reader.read(65_536):
                        answer += more
                finally:
                    writer.close()
                    await writer.wait_closed()
            head, _, body = answer.partition(b"\r\n\r\n")
            about = json.loads(body) if b" 200 " in head.split(b"\r\n")[0] else None
        except (OSError, ValueError):
            return None
        return about if isinstance(about, dict) else None


def is_older(version: str, than: str) -> bool:
    """Whether one version comes before another; what cannot be read is not older."""
    ours, theirs = _VERSION.match(than), _VERSION.match(version)
    if ours is None or theirs is None:
        return False
    return [int(part or 0) for part in theirs.groups()] < [int(part or 0) for part in ours.groups()]


def _is_listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(path)) in (0, errno.EAGAIN)  # EAGAIN: its queue is full, so somebody listens


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


async def _wait_until(is_so: Callable[[], bool], timeout_s: float) -> bool:
    """False when it has not become so in time. Another process makes it so: nothing but looking tells."""
    try:
        async with asyncio.timeout(timeout_s):
            while not is_so():  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        return False
    return True
