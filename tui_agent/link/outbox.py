"""Messages and tasks on disk until the server has acknowledged them.

One folder for each (server, room, user), one append-only file for each process, which holds an flock on it while it
lives. A later process takes over the files whose owner is gone, once; a living process's are left alone. A
confirmed write is fsync'ed. A line torn by a kill was never confirmed; any other line that cannot be read sets the
file aside (`*.corrupt`) after what could be read was taken.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from server.protocol import Message, SubmitTask
from tui_agent.link.base import OutboxFull, Pending
from tui_agent.paths import room_key

STALE_S: Final = 600.0  # older than this, from an earlier process: offered to the person, not sent
MOST_COMMANDS: Final = 256
MOST_BYTES: Final = 8 * 1024 * 1024
COMPACT_BYTES: Final = 4 * 1024 * 1024
_NO_DISK = "This could not be kept on disk, so it was not sent. Check free space and rights of the state folder: {}"


class _Line(msgspec.Struct, omit_defaults=True):
    """One line of a file: a command, or (without one) that `cid` is done."""

    cid: str
    time_s: float = 0.0
    command: Message | SubmitTask | None = None


_decode = msgspec.json.Decoder(_Line).decode
_encode = msgspec.json.Encoder().encode


def outbox_folder(state_folder: Path, server: str, room: str, user: str) -> Path:
    """Where the commands of this person for this room of that server wait."""
    key = room_key(server, room, user)
    return state_folder / "outbox" / key


class Outbox:
    """The unacknowledged commands of one process for one room, in order. Not for two threads."""

    def __init__(self, folder: Path, *, now_s: float) -> None:
        self._folder = folder
        self._pending: dict[str, Pending] = {}
        self._fd: int | None = None
        self._path: Path | None = None
        self._size_bytes = 0
        self.aside: list[Path] = []  # files that could not be read whole
        self._adopt(now_s)

    @property
    def pending(self) -> tuple[Pending, ...]:
        """What waits for its ack, in the order in which it goes out."""
        return tuple(self._pending.values())

    def __contains__(self, cid: str) -> bool:
        return cid in self._pending

    def next(self) -> Pending | None:
        """The first command that may go out by itself."""
        return next((pending for pending in self._pending.values() if not pending.is_stale), None)

    def add(self, command: Message | SubmitTask, time_s: float) -> Pending:
        """Keep a command; it is on disk when this returns. Raises OutboxFull."""
        if len(self._pending) >= MOST_COMMANDS or self._size_bytes >= MOST_BYTES:
            raise OutboxFull("Too much is waiting for the connection. Send again when it is back.")
        self._write([_Line(command.cid, time_s, command)])
        pending = Pending(command.cid, command, time_s)
        self._pending[command.cid] = pending
        return pending

    def remove(self, cid: str) -> bool:
        """Acknowledged, refused or forgotten. False when it was not there."""
        if self._pending.pop(cid, None) is None:
            return False
        try:
            if self._pending:
                self._write([_Line(cid)], is_synced=False)  # lost in a crash it is sent again, and the server drops it
                if self._size_bytes > COMPACT_BYTES:
                    self._compact()
            elif self._fd is not None:
                os.ftruncate(self._fd, 0)
                self._size_bytes = 0
        except (OutboxFull, OSError):
            pass  # the same: at worst it is sent once more under its cid
        return True

    def renew(self, cid: str) -> bool:
        """An offered old command is to go out after all."""
        pending = self._pending.get(cid)
        if pending is None or not pending.is_stale:
            return False
        del self._pending[cid]  # it goes out after what was sent before
        self._pending[cid] = Pending(cid, pending.command, pending.time_s)
        return True

    def close(self) -> None:
        """Let go: what still waits is there for the next process."""
        if self._fd is None or self._path is None:
            return
        if not self._pending:
            self._path.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = self._path = None

    # ---- files -----------------------------------------------------------------------------------

    def _write(self, lines: list[_Line], *, is_synced: bool = True) -> None:
        data = b"".join(_encode(line) + b"\n" for line in lines)
        try:
            fd = self._own_file()
            try:
                _write_all(fd, data)
                if is_synced:
                    os.fsync(fd)
            except OSError:
                os.ftruncate(fd, self._size_bytes)
                raise
        except OSError:
            raise OutboxFull(_NO_DISK.format(self._folder.parent.parent)) from None
        self._size_bytes += len(data)

    def _compact(self) -> None:
        """Begin a file with what still waits; a kill between leaves both, and the same cid counts once."""
        old = self._fd, self._path, self._size_bytes
        self._fd, self._path, self._size_bytes = None, None, 0
        try:
            self._write([_Line(pending.cid, pending.time_s, pending.command) for pending in self._pending.values()])
        except OutboxFull:
            self._fd, self._path, self._size_bytes = old
            raise
        if old[0] is not None and old[1] is not None:
            old[1].unlink(missing_ok=True)
            os.close(old[0])

    def _own_file(self) -> int:
        """Locked before it gets the name under which others look for it."""
        if self._fd is not None:
            return self._fd
        _make_private(self._folder)
        name = f"{os.getpid()}-{uuid.uuid4().hex}"
        fresh, path = self._folder / f"{name}.new", self._folder / f"{name}.jsonl"
        fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fresh.rename(path)
            _sync_folder(self._folder)
        except OSError:
            os.close(fd)
            raise
        self._fd, self._path = fd, path
        return fd

    def _adopt(self, now_s: float) -> None:
        """Take over what processes that are gone have left."""
        try:
            paths = sorted(self._folder.glob("*.jsonl"))
        except OSError:
            return
        taken: list[tuple[int, Path]] = []
        found: list[_Line] = []
        try:
            for path in paths:
                fd = _lock(path)
                if fd is None:
                    continue
                taken.append((fd, path))
                found += self._read(fd, path)
            found.sort(key=lambda line: line.time_s)
            fresh = {line.cid: line for line in found}
            if fresh:
                try:
                    self._write(list(fresh.values()))  # ours now, before theirs goes
                except OutboxFull:
                    return  # left for a process that can write
            for line in fresh.values():
                if line.command is not None:
                    is_stale = now_s - line.time_s > STALE_S
                    self._pending[line.cid] = Pending(line.cid, line.command, line.time_s, is_stale)
            for _, path in taken:
                path.unlink(missing_ok=True)
        finally:
            for fd, _ in taken:
                os.close(fd)

    def _read(self, fd: int, path: Path) -> list[_Line]:
        with os.fdopen(os.dup(fd), "rb") as file:
            data = file.read()
        lines: dict[str, _Line] = {}
        is_corrupt = False
        for raw in _whole_lines(data):
            try:
                line = _decode(raw)
            except (msgspec.MsgspecError, RecursionError, UnicodeError):
                is_corrupt = True
                continue
            if line.command is None:
                lines.pop(line.cid, None)
            elif line.command.cid == line.cid:
                lines[line.cid] = line
        if is_corrupt:
            aside = path.with_suffix(".corrupt")
            path.rename(aside)
            self.aside.append(aside)
        return list(lines.values())


def _whole_lines(data: bytes) -> Iterator[bytes]:
    *lines, _torn = data.split(b"\n")
    return (line for line in lines if line)


def _lock(path: Path) -> int | None:
    """The file, locked; None when its owner lives, or somebody else has just taken it over."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(path).st_ino == os.fstat(fd).st_ino:
            return fd
    except OSError:
        pass
    os.close(fd)
    return None


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _make_private(folder: Path) -> None:
    for part in (folder.parent.parent, folder.parent, folder):
        part.mkdir(mode=0o700, parents=True, exist_ok=True)
        if part is not folder.parent.parent and part.stat().st_mode & 0o077:
            part.chmod(0o700)  # the state folder itself holds more than ours


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
