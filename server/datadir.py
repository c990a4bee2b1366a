"""The data folder: one server at a time (a lock that dies with its process), and where that server listens."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import Any

import msgspec

from server.errors import StoreUnusable


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
        for wait_s in (0.02, 0.05, 0.1, None):  # `status` and `stop` hold the lock for a moment to see who has it
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return self
            except OSError:
                if wait_s is not None:
                    time.sleep(wait_s)
        os.close(self._lock)
        raise DataDirTaken(
            f"Another server already uses {self.path}; `tui-agent-server stop` ends it, --data-dir chooses another."
        )

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(OSError):
            (self.path / "server.json").unlink()
        os.close(self._lock)

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
    """What the server of a data folder published; None when none runs there."""
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
        return None
    return about if isinstance(about, dict) else None
