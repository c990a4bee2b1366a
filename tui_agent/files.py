"""Small private files: 0600 in folders of 0700, written whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """The folder, open to its owner only; those above it are made but left as they are. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def read_file(path: Path, most_bytes: int) -> bytes:
    """What the file holds, at most so much from its end; b"" where there is none. Raises OSError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return b""
    with os.fdopen(fd, "rb") as file:
        size_bytes = os.fstat(fd).st_size
        if size_bytes > most_bytes:
            file.seek(size_bytes - most_bytes)
        return file.read(most_bytes)


def write_whole(path: Path, data: bytes, *, replace: bool = True, is_synced: bool = True) -> None:
    """Put the data under that name at once, on disk (fsync). Raises OSError; FileExistsError when not to replace.

    Not synced, a power cut may leave an empty file: for what is written often and not missed for ever.
    """
    fresh = path.with_name(f".{path.name[:80]}.{uuid.uuid4().hex[:12]}.new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            if is_synced:
                file.flush()
                os.fsync(fd)
        if replace:
            os.replace(fresh, path)
        else:
            _put_where_nothing_is(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def _put_where_nothing_is(fresh: Path, path: Path) -> None:
    """Give the file its name; unlike a rename it fails where something stands already."""
    try:
        os.link(fresh, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        os.replace(fresh, path)


def append_line(path: Path, line: bytes) -> int:
    """Append under a lock, so that another process cutting the file short loses nothing; returns the size in bytes.

    A line that a kill tore is ended first. Raises OSError.
    """
    with locked(path):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "r+b", buffering=0) as file:
            size_bytes = os.fstat(fd).st_size
            if size_bytes and os.pread(fd, 1, size_bytes - 1) != b"\n":
                line = b"\n" + line
            file.write(line)
            return size_bytes + len(line)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Alone with the file, among those who ask so. Raises OSError."""
    fd = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
