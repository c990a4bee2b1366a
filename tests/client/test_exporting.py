"""A whole room into a file: paging on a real server, and every place that cannot be written."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from server import protocol as wire
from tests.fakes.wire_server import TIME, WireServer
from tests.link.conftest import FAST
from tui_agent import exporting
from tui_agent.exporting import CannotExport, Export, check_place, write_export
from tui_agent.link.address import parse_address
from tui_agent.link.base import Received
from tui_agent.link.connection import RoomLink
from tui_agent.state.export import Target

NOW = "2026-11-25T08:00:00.000Z"


@pytest.fixture
def server() -> WireServer:
    server = WireServer()
    server.events = [wire.UserMessage(id, TIME, "ada", f"c{id}", f"message {id}", f"r{id}") for id in range(1, 1051)]
    return server


@asynccontextmanager
async def exporting_from(server: WireServer, folder: Path) -> AsyncIterator[tuple[Export, list[int]]]:
    """An export on a live link."""
    told: list[int] = []
    async with server.listen() as url:
        link = RoomLink(parse_address(url), "main", "ada", client="t/1.0.0", state_folder=folder, times=FAST)
        export = Export(link, "main", "agent", told.append)

        async def read() -> None:
            async for event in link.events():
                if isinstance(event, Received):
                    export.heard(event.event)

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            running = group.create_task(link.run())
            try:
                yield export, told
            finally:
                await link.close()
                running.cancel()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PAUSE_S", 0.01)


async def test_all_pages_come_in_order_once_with_progress(server: WireServer, tmp_path: Path) -> None:
    async with exporting_from(server, tmp_path) as (export, told):
        path = await export.run(Target("json", str(tmp_path / "room.json")))
    events = json.loads(path.read_text())["events"]
    assert [event["id"] for event in events] == list(range(1, 1051))
    assert told == sorted(set(told))
    assert told[-1] == 100
    assert len(told) == 6
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_cut_connection_and_a_rate_limit_are_waited_out(server: WireServer, tmp_path: Path) -> None:
    server.refusals = [wire.Error("rate_limited", "Too fast.", retryable=True, retry_after=0.05)]
    server.cut_after_frames = 5
    async with exporting_from(server, tmp_path) as (export, _):
        path = await export.run(Target("md", str(tmp_path / "room.md")))
    text = path.read_text()
    assert [line for line in text.split("\n") if line.startswith("> ")] == [f"> message {id}" for id in range(1, 1051)]
    assert server.connected > 1


async def test_a_refused_history_is_a_sentence(server: WireServer, tmp_path: Path) -> None:
    server.refusals = [wire.Error("internal", "The disk \x1b[31mfailed.", retryable=False)]
    async with exporting_from(server, tmp_path) as (export, _):
        with pytest.raises(CannotExport, match="The history did not come: The disk ␛"):
            await export.run(Target("md", str(tmp_path / "room.md")))
    assert not (tmp_path / "room.md").exists()


async def test_an_empty_room_is_exported(tmp_path: Path) -> None:
    async with exporting_from(WireServer(), tmp_path) as (export, _):
        path = await export.run(Target("json", str(tmp_path / "room.json")))
    assert json.loads(path.read_text())["events"] == []


def test_without_a_name_a_free_one_is_found_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [write_export(Target("md", ""), "main", b"x", NOW).name for _ in range(3)]
    assert names == [f"tui-agent-main-2026-11-25{end}.md" for end in ("", "-2", "-3")]
    (tmp_path / "sub").mkdir()
    assert write_export(Target("md", "sub"), "main", b"x", NOW).parent.name == "sub"


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_nothing_is_written_over(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "room.md"
    if kind == "file":
        path.write_text("mine")
    else:
        path.symlink_to(tmp_path / "elsewhere")
    for attempt in (
        lambda: check_place(Target("md", str(path))),
        lambda: write_export(Target("md", str(path)), "r", b"x", NOW),
    ):
        with pytest.raises(CannotExport, match="is there already"):
            attempt()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["room.md"]
    assert kind != "file" or path.read_text() == "mine"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("no/such/folder/x.md", "no folder"),
        ("~nobody-of-this-name/x.md", "home folder"),
        ("a\0b.md", "no name of a file"),
        ("x" * 300, "the name is too long"),
    ],
)
def test_a_place_that_cannot_be_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)

    def attempt() -> None:
        check_place(Target("md", path))
        write_export(Target("md", path), "main", b"x", NOW)

    with pytest.raises(CannotExport, match=words):
        attempt()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CannotExport, match="the disk is full"):
        write_export(Target("md", str(tmp_path / "x.md")), "main", b"x", NOW)
    assert list(tmp_path.iterdir()) == []
