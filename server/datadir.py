"""The data folder: one server at a time (a lock that dies with its process), and where that server listens."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from server.errors import StoreUnusable

SHORT_WAIT_S: Final = 0.2
LONG_WAIT_S: Final = 12.0  # the rooms have 5 s to end, and each part a little
LOOK_S: Final = 0.02


class DataDirTaken(Exception):
    """Another server uses the folder. The text is for a person."""


class DataDir:
    """Use as a context manager; it holds the lock. Raises DataDirTaken and StoreUnusable on entering."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1

    def __enter__(self) -> DataDir:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            raise StoreUnusable(
                f"The data folder {self.path} cannot be written; check its permissions or choose another (--data-dir)."
            ) from None
        if self._take_lock():
            self.withdraw()  # what a killed one left
            return self
        os.close(self._lock)
        raise DataDirTaken(
            f"Another server already uses {self.path}; `tui-agent-server stop` ends it, --data-dir chooses another."
        )

    def __exit__(self, *exc_info: object) -> None:
        self.withdraw()
        os.close(self._lock)

    def _take_lock(self) -> bool:
        """`status` and `stop` hold the lock for a moment to see who has it, and a server that begins or ends has
        published nothing: that one is waited for."""
        began_s = time.monotonic()
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except OSError:
                pass
            waited_s = time.monotonic() - began_s
            if waited_s >= (SHORT_WAIT_S if self.is_published else LONG_WAIT_S):
                return False
            time.sleep(LOOK_S)

    @property
    def is_ours(self) -> bool:
        """Whether the folder's lock is still the one that this server holds: else another server may use the folder."""
        try:
            there, held = (self.path / "lock").stat(), os.fstat(self._lock)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)

    @property
    def is_published(self) -> bool:
        return (self.path / "server.json").exists()

    def withdraw(self) -> None:
        """Nobody is to look for this server any more: it ends."""
        if self.is_ours:
            with contextlib.suppress(OSError):
                (self.path / "server.json").unlink()

    def publish(self, about: dict[str, Any]) -> None:
        """Say where this server listens, for `status` and `stop`."""
        fresh = self.path / "server.json.new"
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(about))
        fresh.replace(self.path / "server.json")


def running_server(path: Path) -> dict[str, Any] | None:
    """What the server of a data folder published; None when none runs there, empty while one begins or ends."""
    try:
        descriptor = os.open(path / "lock", os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return None  # nobody held it
    except OSError:
        pass
    finally:
        os.close(descriptor)
    try:
        about = msgspec.json.decode((path / "server.json").read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return about if isinstance(about, dict) else {}
