"""Hostile payloads through every place that shows foreign text, on the real screen in a real terminal."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

from websockets.asyncio.server import ServerConnection

from server import protocol as wire
from tests.attacks.payloads import HEAVY, PAYLOADS
from tests.attacks.raw import rss_bytes
from tests.attacks.terminal import Terminal, violations
from tests.fakes.wire_server import TIME, WireServer

TUI = (sys.executable, "-P", "-m", "tui_agent.cli")
WATCHED = str(Path(__file__).with_name("watched.py"))
STALL_MS, GROWN_MIB = 250, 50
PLACES = (
    "message", "name", "answer", "interrupted", "failed answer", "refusal", "note", "task title", "task progress",
    "task result", "task error", "member", "typing", "agent and model", "rooms", "last line", "queued", "open answer",
)  # fmt: skip


class Hostile(WireServer):
    """A server whose every word is the payload of the moment."""

    payload = "harmless"

    async def _welcome(self, connection: ServerConnection, hello: wire.Hello, left: list[int | None]) -> None:
        words = self.payload
        await self.send_one(
            connection,
            wire.Welcome(
                words, words, hello.user or "", words, self.epoch, len(self.events), False,
                [wire.Member("ada", 1, TIME), wire.Member(words, 2, words)], 2, None, [],
                [wire.TaskInfo("t0", words, words, "running", 5, words)], wire.AgentInfo(words, words), wire.Limits(),
            ),
        )  # fmt: skip
        await self.send_one(connection, wire.Snapshot(self.epoch, len(self.events), self.events[-50:], False, None))

    async def _obey(self, connection: ServerConnection, user: str, command: Any, left: list[int | None]) -> None:
        words = self.payload
        match command:
            case wire.Rooms():
                rooms = [
                    wire.RoomInfo(words, 3, 2, wire.LastLine(TIME, words, words)),
                    wire.RoomInfo("main", 1, 1, None),
                ]
                await self.send_one(connection, wire.RoomList(command.cid, rooms))
            case _:
                await super()._obey(connection, user, command, left)

    async def attack(self, number: int, words: str) -> None:
        """The payload in every place; then a harmless line that names the number, to wait for."""
        self.payload = words
        run = f"r{number}"
        await self.log(wire.UserMessage(self._next, TIME, "ben", f"c{number}", words, run))
        await self.log(wire.UserMessage(self._next, TIME, words[:2000], f"n{number}", "a name", run))
        asked = [self._next - 1]
        await self.show(wire.UserJoined([words[:200], "zoe"], 3, ["ada", words[:200], "zoe"]))
        await self.show(wire.UserTyping(words[:200], True))
        await self.show(wire.Status(run, "thinking", asked, [words[:200]], words))
        offset = 0
        for piece in (words[: len(words) // 2], words[len(words) // 2 :]):
            await self.show(wire.Token(run, offset, piece))
            offset += len(piece)
        await self.log(wire.Done(self._next, TIME, run, asked, [words[:200]], words, words[:50], wire.Usage()))
        await self.log(wire.Interrupted(self._next, TIME, f"i{number}", [], [words[:200]], words, "user", words))
        await self.log(
            wire.Error(
                code=words[:60], message=words, id=self._next, time=TIME, run=f"e{number}", asked=[], users=[],
                content=words,
            )
        )  # fmt: skip
        await self.show(wire.Error(code="bad_request", message=words, ref=None, retryable=False))
        task = f"t{number}"
        await self.log(wire.TaskSubmitted(self._next, TIME, task, f"ct{number}", words[:200], words, words))
        await self.show(wire.Progress(task, 40, words))
        endings: tuple[Literal["completed", "failed", "canceled"], ...] = "completed", "failed", "canceled"
        how = endings[number % 3]
        await self.log(wire.Complete(self._next, TIME, task, how, words, words[:60], words, words[:200]))
        await self.log(wire.Cleared(self._next, TIME, words[:200]))
        await self.log(wire.UserMessage(self._next, TIME, "zoe", f"z{number}", f"END{number}.", f"z{number}"))

    @property
    def _next(self) -> int:
        return len(self.events) + 1


@contextlib.asynccontextmanager
async def attacked(
    folder: Path, *arguments: str, program: tuple[str, ...] = TUI, **env: str
) -> AsyncIterator[tuple[Hostile, Terminal]]:
    """The real app in a pty, joined to a hostile server."""
    server = Hostile()
    async with server.listen(path=folder / "hostile.sock") as url:
        command = (*program, "--server", url, "--user", "ada", *arguments)
        async with Terminal(*command, folder=folder, **env) as terminal:
            await server.wait(lambda: bool(server.connections), 30)
            await terminal.wait("live")
            yield server, terminal


async def payloads_on_the_screen(folder: Path, seed: int, payloads: int) -> dict[str, int]:
    """Every payload in every place; the panel, the tasks, the rooms and the search are opened on them too."""
    chosen = list(PAYLOADS.items())[:: max(1, len(PAYLOADS) // payloads)]
    async with attacked(folder) as (server, terminal):
        for number, (_, words) in enumerate(chosen):
            await server.attack(number, words)
            await terminal.wait(f"END{number}.")
            for keys in ("\x1b[5~", "\x1b[5~", "\x1b[1;5F") if number % 4 == 0 else ():
                terminal.type(keys)  # page up through it, and back
            if number % 6 == 0:
                await _look_everywhere(terminal)
        server.payload = "\x1b]0;evil 98765\x07 \x1b[98765m [/]"
        server.cut()  # the welcome, the snapshot and the whole history once more, under a hostile name
        await server.wait(lambda: server.connected >= 2, 30)
        await terminal.wait(lambda: "END" in terminal.text)
        terminal.type("\x04")
        status = await terminal.wait_end()
        found = violations(bytes(terminal.output))
        wrong = terminal.is_restored()
    assert not found, f"{len(found)} violations: {found[:8]}"
    assert not wrong, wrong
    assert status == 0
    return {"payloads": len(chosen), "places": len(PLACES), "bytes judged": len(terminal.output), "violations": 0}


async def _look_everywhere(terminal: Terminal) -> None:
    for keys in ("\x1bOR", "\x1bOS", "\x0f", "\x12", "\x10", "\x1bOP"):  # F3 F4 Ctrl+O Ctrl+R Ctrl+P F1
        terminal.type(keys)
        await asyncio.sleep(0.15)
        terminal.type("\x1b")
        await asyncio.sleep(0.15)


async def heavy_texts(folder: Path, seed: int, texts: int, *, is_quiet: bool = True) -> dict[str, float | str]:
    """Texts that cost much to draw, each streamed as an answer and then whole as somebody's message, while keys are
    typed; paged through and wrapped anew: how long the app's loop stalls, and what the app grows by.

    Raises AssertionError over 250 ms or 50 MiB. `is_quiet` says that nothing else runs on the machine: then the clock
    on the wall counts, else the time of the processor that the app itself took.
    """
    chosen = list(HEAVY.items())[:texts]
    beats = Beats(folder / "beats")
    grown: dict[str, float] = {}
    stalls_ms: dict[str, float] = {}
    keys_ms: list[float] = []
    async with attacked(folder, program=(sys.executable, "-P", WATCHED, str(beats.path))) as (server, terminal):
        await server.say("warm")
        await terminal.wait("warm")
        began_bytes = rss_bytes(terminal.pid)
        for number, (name, words) in enumerate(chosen):
            before_bytes = rss_bytes(terminal.pid)
            beats.take()
            forget_peak(terminal.pid)
            async with typing(terminal, keys_ms):
                await _show_heavy(server, terminal, number, words)
            wall_ms, cpu_ms = beats.take()
            stalls_ms[name] = wall_ms if is_quiet else cpu_ms
            grown[name] = (peak_bytes(terminal.pid) - before_bytes) / 2**20
        grown_bytes = rss_bytes(terminal.pid) - began_bytes
        found = violations(bytes(terminal.output))
        wrong = "Traceback" in terminal.text
    assert not found, found[:5]
    assert not wrong, terminal.text
    assert max(stalls_ms.values()) <= STALL_MS, stalls_ms
    assert max(grown.values()) <= GROWN_MIB, grown
    longest, largest = (max(of, key=of.__getitem__) for of in (stalls_ms, grown))
    return {
        "texts": len(chosen),
        "longest stall, ms": round(stalls_ms[longest]),
        "by": longest,
        "slowest key, ms": round(max(keys_ms)),
        "grown at most, MiB": round(grown[largest], 1),
        "in": largest,
        "grown after all, MiB": round(grown_bytes / 2**20, 1),
    }


async def _show_heavy(server: Hostile, terminal: Terminal, number: int, words: str) -> None:
    """The text streamed, then in one frame, then paged through, then wrapped anew."""
    run = f"h{number}"
    await server.begin(run)
    for place in range(0, len(words), 2000):
        await server.token(words[place : place + 2000])
        await asyncio.sleep(0.002)
    await server.end(server.done(run, words))
    await server.say(f"HALF{number}.")
    await terminal.wait(f"HALF{number}.", 120)
    await server.say(words)
    await server.log(server.done(f"w{number}", words))  # as after a time away
    await server.say(f"END{number}.")
    await terminal.wait(f"END{number}.", 120)
    for keys in ("\x1b[5~", "\x1b[5~", "\x1b[1;5F"):
        terminal.type(keys)
        await asyncio.sleep(0.1)
    for columns in (70, terminal.columns):
        terminal.resize(columns, terminal.rows)
        os.killpg(terminal.pid, signal.SIGWINCH)
        await asyncio.sleep(0.3)


class Beats:
    """What watched.py has written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0

    def take(self) -> tuple[float, float]:
        """The longest beats since the last call, in milliseconds: by the clock on the wall and by the processor's."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        beats = [[float(number) * 1000 for number in line.split()] for line in lines[self._read :]]
        self._read = len(lines)
        return max((wall for wall, _ in beats), default=0.0), max((cpu for _, cpu in beats), default=0.0)


@contextlib.asynccontextmanager
async def typing(terminal: Terminal, keys_ms: list[float]) -> AsyncIterator[None]:
    """Letters typed while the block runs; how long each took until something was drawn."""

    async def type_on() -> None:
        for key in itertools.cycle("abcdefghij"):
            before, began_s = len(terminal.output), time.monotonic()
            terminal.type(key)
            while len(terminal.output) == before:
                await asyncio.sleep(0.002)
            keys_ms.append((time.monotonic() - began_s) * 1000)
            await asyncio.sleep(0.05)
            terminal.type("\x7f")
            await asyncio.sleep(0.05)

    task = asyncio.create_task(type_on())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def forget_peak(pid: int) -> None:
    """The kernel counts the most memory of the process anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_bytes(pid: int) -> int:
    """The most memory the process has held."""
    return rss_bytes(pid, "VmHWM")
