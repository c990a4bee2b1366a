"""Unacknowledged commands on disk: over a kill, between processes, and when files or the disk are bad."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from server.protocol import Message, SubmitTask
from tui_agent.link import outbox as module
from tui_agent.link.base import OutboxFull
from tui_agent.link.outbox import STALE_S, Outbox, outbox_folder

KILLED = """
import os, signal, sys
from pathlib import Path
from server.protocol import Message
from tui_agent.link.outbox import Outbox
box = Outbox(Path(sys.argv[1]), now_s=0)
for number in range(3):
    box.add(Message(f"c{number}", "text"), 1000.0 + number)
box.remove("c1")
print("ready", flush=True)
if sys.argv[2] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
sys.stdin.read()
"""


def cids(box: Outbox) -> list[str]:
    return [pending.cid for pending in box.pending]


def run_process(folder: Path, what: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), what], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def test_what_a_killed_process_left_is_taken_over_once(tmp_path: Path) -> None:
    process = run_process(tmp_path, "die")
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    first, second = Outbox(tmp_path, now_s=1010), Outbox(tmp_path, now_s=1010)
    assert cids(first) == ["c0", "c2"]
    assert cids(second) == []
    first.close()
    third = Outbox(tmp_path, now_s=1010)
    assert cids(third) == ["c0", "c2"]
    third.close()


def test_a_living_process_keeps_its_own(tmp_path: Path) -> None:
    process = run_process(tmp_path, "live")
    try:
        assert cids(Outbox(tmp_path, now_s=1010)) == []
    finally:
        end(process)
    later = Outbox(tmp_path, now_s=1010)
    assert cids(later) == ["c0", "c2"]
    later.close()


def test_what_is_old_and_of_an_earlier_process_is_offered_not_sent(tmp_path: Path) -> None:
    box = Outbox(tmp_path, now_s=0)
    box.add(Message("old", "x"), 0)
    box.add(SubmitTask("new", "y", "title"), STALE_S)
    assert [pending.is_stale for pending in box.pending] == [False, False]
    box.close()
    later = Outbox(tmp_path, now_s=STALE_S + 1)
    assert [(p.cid, p.is_stale) for p in later.pending] == [("old", True), ("new", False)]
    pending = later.next()
    assert pending is not None
    assert pending.command == SubmitTask("new", "y", "title")
    assert later.renew("old")
    assert [(p.cid, p.is_stale) for p in later.pending] == [("new", False), ("old", False)]
    later.close()


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = outbox_folder(tmp_path, "ws://host", "main", "ada")
    box = Outbox(folder, now_s=0)
    box.add(Message("c", "secret"), 0)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder, *folder.iterdir())]
    assert modes == [0o700, 0o700, 0o600]
    box.close()


def test_rooms_people_and_servers_do_not_share() -> None:
    folders = {
        outbox_folder(Path("/s"), *key)
        for key in [("a", "r", "u"), ("b", "r", "u"), ("a", "q", "u"), ("a", "r", "v"), ("a", "ru", "")]
    }
    assert len(folders) == 5


def test_nothing_is_left_behind_when_all_was_acknowledged(tmp_path: Path) -> None:
    box = Outbox(tmp_path, now_s=0)
    box.add(Message("c", "x"), 0)
    box.remove("c")
    box.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("junk", [b"{\n", b"\x00\xff\n", b'{"cid":5}\n', b"[" * 100_000 + b"\n"])
def test_a_corrupt_file_is_set_aside_and_the_rest_is_kept(tmp_path: Path, junk: bytes) -> None:
    box = Outbox(tmp_path, now_s=0)
    box.add(Message("good", "x"), 0)
    box.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(junk + path.read_bytes())
    later = Outbox(tmp_path, now_s=1)
    assert cids(later) == ["good"]
    assert [aside.suffix for aside in later.aside] == [".corrupt"]
    later.close()
    last = Outbox(tmp_path, now_s=1)
    assert cids(last) == ["good"]
    assert last.aside == []
    last.close()


def test_a_line_torn_by_a_kill_was_never_confirmed(tmp_path: Path) -> None:
    box = Outbox(tmp_path, now_s=0)
    box.add(Message("whole", "x"), 0)
    box.add(Message("torn", "y"), 0)
    box.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    later = Outbox(tmp_path, now_s=1)
    assert cids(later) == ["whole"]
    assert later.aside == []
    later.close()


def test_a_full_disk_is_said_and_nothing_half_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Outbox(tmp_path, now_s=0)
    box.add(Message("first", "x"), 0)
    with monkeypatch.context() as patched:
        patched.setattr(module.os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OutboxFull, match="free space"):
            box.add(Message("second", "x"), 0)
    box.add(Message("third", "x"), 0)
    box.close()
    later = Outbox(tmp_path, now_s=1)
    assert cids(later) == ["first", "third"]
    later.close()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    box = Outbox(tmp_path / "file" / "outbox" / "key", now_s=0)
    with pytest.raises(OutboxFull, match="state folder"):
        box.add(Message("c", "x"), 0)


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "fsync", lambda fd: None)
    box = Outbox(tmp_path, now_s=0)
    for number in range(module.MOST_COMMANDS):
        box.add(Message(str(number), "x"), 0)
    with pytest.raises(OutboxFull, match="waiting"):
        box.add(Message("more", "x"), 0)
    box.close()


def test_a_long_day_does_not_fill_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "fsync", lambda fd: None)
    monkeypatch.setattr(module, "COMPACT_BYTES", 20_000)
    box = Outbox(tmp_path, now_s=0)
    box.add(Message("stays", "x"), 0)
    for number in range(100):
        box.add(Message(str(number), "x" * 1000), number)
        box.remove(str(number))
    files = list(tmp_path.iterdir())
    assert len(files) == 1
    assert files[0].stat().st_size <= 25_000
    box.close()
    later = Outbox(tmp_path, now_s=1)
    assert cids(later) == ["stays"]
    later.close()


def test_two_that_start_at_once_share_what_was_left_without_doubling(tmp_path: Path) -> None:
    run_process(tmp_path, "die").communicate()
    starters = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import sys, time; from pathlib import Path; from tui_agent.link.outbox import Outbox\n"
                "box = Outbox(Path(sys.argv[1]), now_s=1010)\n"
                "print(*[p.cid for p in box.pending], flush=True); sys.stdin.read()",
                str(tmp_path),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ,
        )
        for _ in range(3)
    ]
    lines = [process.stdout.readline().split() for process in starters if process.stdout]
    for process in starters:
        process.communicate(b"")
    assert sorted(cid for line in lines for cid in line) == [b"c0", b"c2"]
