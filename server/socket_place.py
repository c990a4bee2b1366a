"""The path where a Unix socket is found: made so that it listens from its first moment, and known as one's own."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path
from typing import Literal

from server.config import ConfigTrouble


class SocketPlace:
    """One server's socket file. Others may remove or replace it, so it is compared by its inode, never by its name."""

    def __init__(self, path: Path, backlog: int) -> None:
        self.path = path
        self._backlog = backlog
        self._own: tuple[int, int] | None = None

    def listen(self) -> socket.socket:
        """A listening socket that only its owner may use (0600 in 0700). Raises ConfigTrouble.

        A file that nobody listens on is what a killed server left; it is replaced. The new one listens before it has
        its name: a second server that looks at that moment would take it for a dead one's.
        """
        path = self.path
        fresh = path.with_name(f".{os.getpid()}")  # not longer than the name itself: an address has 108 bytes
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            info = path.parent.stat()
            if info.st_uid == os.getuid() and stat.S_IMODE(info.st_mode) & 0o077 and path.parent.name == "tui-agent":
                path.parent.chmod(0o700)
            if is_listening(path):
                raise ConfigTrouble(f"A server already listens on {path}; `tui-agent-server stop` ends it.")
            with contextlib.suppress(FileNotFoundError):
                fresh.unlink()
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            old_mask = os.umask(0o177)
            try:
                sock.bind(str(fresh))
            finally:
                os.umask(old_mask)
            sock.listen(self._backlog)
            self._own = _identity(fresh)
            fresh.rename(path)
            return sock
        except OSError:
            raise ConfigTrouble(
                f"The socket {path} cannot be made; choose a shorter or writable path with --socket."
            ) from None

    def state(self) -> Literal["ours", "gone", "taken"]:
        """`taken`: another server listens there."""
        if _identity(self.path) == self._own:
            return "ours"
        return "taken" if is_listening(self.path) else "gone"

    def leave(self) -> None:
        """Remove the file, if it is still ours."""
        if self._own is not None and _identity(self.path) == self._own:
            with contextlib.suppress(OSError):
                self.path.unlink()


def is_listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        info = path.lstat()
    except OSError:
        return None
    return info.st_dev, info.st_ino
