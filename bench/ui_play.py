"""A chat screen on this terminal that plays a scene and writes what it cost: run on a pty by `bench.ui`.

python -m bench.ui_play SCENE RESULT_FILE [ARGUMENTS]
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from textual import events
from textual._time import get_time
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Markdown

from bench.procs import ROOT
from bench.ui_text import answer, message
from server import protocol as wire
from tui_agent.app import ChatApp
from tui_agent.config import Settings
from tui_agent.link.base import LinkEvent, LinkStatus, Received, StatusChanged
from tui_agent.memory import LOADED_S, spare_the_loop

SIZES = (100, 10_000)
LAG_S = 0.005
TIME = "2026-01-01T12:00:00Z"
Scene = Coroutine[Any, Any, dict[str, Any]]


class Lag:
    """How late the event loop is: a timer of 5 ms. Beside it the processor time that the loop's thread used between two
    ticks: what is late beyond that waited for other programs, where the machine is busy."""

    def __init__(self) -> None:
        self.late_s: list[float] = []
        self.used_s: list[float] = []
        self._task = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            due, used = time.perf_counter() + LAG_S, time.thread_time()
            await asyncio.sleep(LAG_S)
            self.late_s.append(max(0.0, time.perf_counter() - due))
            self.used_s.append(time.thread_time() - used)

    def stop(self) -> dict[str, float]:
        self._task.cancel()
        late, used = sorted(self.late_s), sorted(self.used_s)
        last = int(len(late) * 0.99)
        return {
            "lag_p99_ms": late[last] * 1000,
            "stall_ms": late[-1] * 1000,
            "used_p99_ms": used[last] * 1000,
            "used_ms": used[-1] * 1000,
        }


class Room:
    """A link to a room that is played here. `events` are what the server would send."""

    def __init__(self) -> None:
        self.status = LinkStatus("live", latency_ms=1.0)
        self.pending = ()
        self.queue: asyncio.Queue[LinkEvent] = asyncio.Queue(100_000)
        self.run_id = ""
        self.said: list[str] = []  # of the open answer
        self.length = 0
        self.old: list[wire.DurableEvent] = []

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def events(self) -> AsyncIterator[LinkEvent]:
        yield StatusChanged(self.status)
        while True:
            yield await self.queue.get()

    def say(self, event: wire.Event) -> None:
        self.queue.put_nowait(Received(event))

    def welcome(self) -> None:
        self.say(
            wire.Welcome(
                server="bench", room="main", user="ada", connection="c1", epoch="e", head=len(self.old),
                recovered=False,
                members=[wire.Member("ada", 1, TIME), wire.Member("ben", 1, TIME)],
                count=2, open_run=None, queue=[], tasks=[], agent=wire.AgentInfo("claude", "claude"),
                limits=wire.Limits(60_000, 8), heartbeat=15,
            )
        )  # fmt: skip
        last = self.old[-50:]
        self.say(wire.Snapshot("e", len(self.old), last, len(self.old) > 50, None))

    def send(self, command: Any) -> None:
        if isinstance(command, wire.History):
            before = command.before - 1
            page = self.old[max(0, before - command.limit) : before]
            self.say(wire.Page(command.cid, page, before > command.limit))

    def interrupt(self, run: str | None) -> None:
        """The room has heard it: the answer ends."""
        if self.run_id:
            ended, self.run_id = self.run_id, ""
            self.say(wire.Interrupted(2, TIME, ended, [1], ["ada"], "ada", "user", "".join(self.said)))

    def begin(self, run: str) -> None:
        """An answer begins."""
        self.run_id, self.said, self.length = run, [], 0
        self.say(wire.Status(run, "thinking", [1], ["ada"]))

    def token(self, text: str) -> None:
        if self.run_id:
            self.said.append(text)
            self.say(wire.Token(self.run_id, self.length, text))
            self.length += len(text)

    def resend_stale(self, cid: str) -> None: ...

    def forget(self, cid: str) -> None: ...

    def reconnect_now(self) -> None: ...

    async def close(self) -> None: ...


async def paced(tokens: list[str], per_s: float, take: Callable[[str], Any]) -> None:
    """Give the tokens at this pace; late ones come at once."""
    began = time.perf_counter()
    for number, token in enumerate(tokens):
        wait_s = began + number / per_s - time.perf_counter()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        given = take(token)
        if asyncio.iscoroutine(given):
            await given


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def painted(app: App[Any]) -> None:
    """What was changed until now is on the terminal."""
    done = asyncio.Event()
    app.screen.call_after_refresh(done.set)
    await done.wait()


class Played(ChatApp):
    """Our whole screen in a room that is played."""

    CSS_PATH = ROOT / "tui_agent" / "ui" / "tui_agent.tcss"

    def __init__(self, play: Callable[[Played], Scene], result: Path) -> None:
        self.room = Room()
        super().__init__(Settings(user="ada"), lambda _settings, _room: self.room)
        self.play, self.result = play, result
        self.escape_s = 0.0
        self.delays_s: list[float] = []

    def on_mount(self) -> None:
        spare_the_loop(self)
        self.run_worker(self._run_scene(), exit_on_error=True)

    async def _run_scene(self) -> None:
        await asyncio.sleep(LOADED_S + 0.2)
        found = await self.play(self)
        self.result.write_text(json.dumps(found))
        self.exit(0)

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key) and event.key == "escape":
            self.escape_s = event.time
        await super().on_event(event)


class Plain(App[None]):
    """What one gets from Textual itself: a Markdown widget in a scroll, streamed into."""

    def __init__(self, per_s: float, count: int, result: Path) -> None:
        super().__init__()
        self.per_s, self.count, self.result = per_s, count, result

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Markdown()

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).anchor()
        self.run_worker(self._run_scene(), exit_on_error=True)

    async def _run_scene(self) -> None:
        await asyncio.sleep(0.5)
        lag, began, begun = Lag(), cpu_s(), time.perf_counter()
        stream = Markdown.get_stream(self.query_one(Markdown))
        await paced(answer(self.count), self.per_s, stream.write)
        await stream.stop()
        await painted(self)
        took = {"cpu_s": cpu_s() - began, "took_s": time.perf_counter() - begun}
        self.result.write_text(json.dumps({**took, **lag.stop()}))
        self.exit()


# ---- scenes -----------------------------------------------------------------------------------------------


def stream(per_s: float, count: int) -> Callable[[Played], Scene]:
    """One answer of so many tokens at this pace; the CPU of each quarter too."""

    async def play(app: Played) -> dict[str, Any]:
        room, tokens = app.room, answer(count)
        room.welcome()
        room.begin("r1")
        await asyncio.sleep(0.3)
        lag, begun, marks = Lag(), time.perf_counter(), [cpu_s()]
        quarter = count // 4
        for number in range(4):
            await paced(tokens[number * quarter : (number + 1) * quarter], per_s, room.token)
            marks.append(cpu_s())
        await asyncio.sleep(0.1)
        await painted(app)
        quarters = [b - a for a, b in zip(marks, marks[1:], strict=False)]
        return {
            "cpu_s": cpu_s() - marks[0],
            "took_s": time.perf_counter() - begun,
            "quarters": quarters,
            "shown": len("".join(room.said)) == len(app.conversation.chat.entries[-1].text),
            **lag.stop(),
        }

    return play


def history(count: int) -> Callable[[Played], Scene]:
    """So many messages, all paged in; then pages, sizes and jumps."""

    async def play(app: Played) -> dict[str, Any]:
        room = app.room
        before_mib = rss_mib()  # what the server would hold counts too: the texts are the same objects here
        for number in range(1, count + 1):
            text, run = message(number), f"r{number}"
            if number % 2:
                room.old.append(wire.UserMessage(number, TIME, "ben", f"c{number}", text, run))
            else:
                room.old.append(wire.Done(number, TIME, run, [number - 1], ["ben"], text, "end_turn", wire.Usage()))
        lag = Lag()
        room.welcome()
        await asyncio.sleep(0.3)
        view = app.chat_screen.transcript
        oldest = count - 50
        while oldest > 0:
            room.send(wire.History("h", oldest + 1, 200))
            oldest -= 200
            await asyncio.sleep(0.06)
            await painted(app)
        loaded = lag.stop()
        assert len(view.items) == count, len(view.items)
        found: dict[str, Any] = {"rss_mib": rss_mib() - before_mib, "load_stall_ms": loaded["stall_ms"]}
        for name, steps in (("page", pages(app)), ("resize", sizes(app)), ("jump", jumps(app))):
            lag, times = Lag(), []
            async for took_s in steps:
                times.append(took_s)
                await asyncio.sleep(0.03)
            ended = lag.stop()
            found[name] = {
                "ms": sorted(times)[len(times) // 2] * 1000,
                "stall_ms": ended["stall_ms"],
                "used_ms": ended["used_ms"],
            }
        return found

    return play


async def timed(app: Played, do: Callable[[], Any], is_done: Callable[[], bool] = lambda: True) -> float:
    began = time.perf_counter()
    do()
    await painted(app)
    while not is_done():
        await asyncio.sleep(0.001)
    await painted(app)
    return time.perf_counter() - began


async def pages(app: Played) -> AsyncIterator[float]:
    for number in range(40):
        yield await timed(app, lambda up=number < 20: app.chat_screen.page(-1 if up else 1))


async def sizes(app: Played) -> AsyncIterator[float]:
    """The terminal becomes narrower and wider again."""
    import fcntl
    import signal
    import struct
    import termios

    app.chat_screen.page(-1)
    for number in range(12):
        width = 100 if number % 2 else 116

        def change(width: int = width) -> None:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
            os.kill(os.getpid(), signal.SIGWINCH)

        before = app.chat_screen.transcript.items.width
        yield await timed(app, change, lambda before=before: app.chat_screen.transcript.items.width != before)
        await asyncio.sleep(0.1)


async def jumps(app: Played) -> AsyncIterator[float]:
    view = app.chat_screen.transcript
    for _ in range(20):
        yield await timed(app, lambda: view.jump(-1))
    for _ in range(6):
        yield await timed(app, lambda: view.scroll_to(y=0, animate=False))
        yield await timed(app, view.follow)


def keys(per_s: float, count: int) -> Callable[[Played], Scene]:
    """A quiet time, then a fast answer; the other side types and looks for the echo."""

    async def play(app: Played) -> dict[str, Any]:
        app.room.welcome()
        span_s = 2 + 0.12 * count
        await asyncio.sleep(span_s)
        app.room.begin("r1")
        await paced(answer(int(per_s * span_s)), per_s, app.room.token)
        return {}

    return play


def escapes(count: int) -> Callable[[Played], Scene]:
    """Answers that are stopped with Esc: from the app's key event to the word "interrupted" given to the terminal."""

    async def play(app: Played) -> dict[str, Any]:
        room = app.room
        room.welcome()
        driver = app._driver
        assert driver is not None
        write = driver.write

        def watched(data: str) -> None:
            write(data)
            if app.escape_s and "interrupted by" in data:
                app.delays_s.append(get_time() - app.escape_s)
                app.escape_s = 0.0

        driver.write = watched
        for number in range(count):
            room.begin(f"r{number}")
            await paced(answer(200), 200, room.token)
            await asyncio.sleep(0.2)
        return {"delays_ms": [delay_s * 1000 for delay_s in app.delays_s]}

    return play


def main() -> None:
    scene, result, *rest = sys.argv[1:]
    numbers = [int(each) for each in rest]
    if scene == "markdown":
        Plain(numbers[0], numbers[1], Path(result)).run()
        return
    scenes: dict[str, Callable[..., Callable[[Played], Scene]]] = {
        "stream": stream, "history": history, "keys": keys, "escapes": escapes,
    }  # fmt: skip
    Played(scenes[scene](*numbers), Path(result)).run()


if __name__ == "__main__":
    main()
