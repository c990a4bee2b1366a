"""What the pictures and snapshots show: one room in each of its states, told event by event."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from textual.pilot import Pilot

from server import protocol as wire
from tests.fakes.link import ScriptedLink
from tests.ui.conftest import until
from tui_agent.app import ChatApp
from tui_agent.config import Settings
from tui_agent.link.base import LinkStatus
from tui_agent.state.tasks import Away
from tui_agent.ui.frame import Item

ANSWER: Final = """\
Two things drop the frames. **The socket task** parses every token on the UI loop, and the log re-renders the whole
answer each time. Batch first, then append:

```python
async def pump(ws, stream: Stream) -> None:
    batch: list[str] = []
    async for event in ws:
        batch.append(event.text)
        if clock() - last > 0.08:        # ~12 frames a second
            await stream.write("".join(batch))
            batch.clear()
```

| stage | before | after |
|---|---:|---:|
| parse + layout | 41 ms | 6 ms |
| worst stall | 410 ms | 38 ms |
| cpu while streaming | 93 % | 14 % |

What changes for the room:

1. everyone sees the same stream, **one** renderer
2. `Esc` still lands within a frame
3. replay after a drop is a single"""

ROOM: Final = "design-review"
LIVE: Final = LinkStatus("live", latency_ms=18.0)


def at(minute: int) -> str:
    return f"2026-11-24T14:{minute:02d}:00.000Z"


def welcome(**changed: Any) -> wire.Welcome:
    """Ada, ben and the agent, nothing said yet."""
    values: dict[str, Any] = {
        "server": "tui-agent/1.0.0", "room": ROOM, "user": "ada", "connection": "c1", "epoch": "e1", "head": 0,
        "recovered": False, "members": [wire.Member("ada", 1, at(1)), wire.Member("ben", 1, at(1))], "count": 2,
        "open_run": None, "queue": [], "tasks": [], "agent": wire.AgentInfo("agent", "claude-sonnet-5-5"),
        "limits": wire.Limits(),
    }  # fmt: skip
    return wire.Welcome(**(values | changed))


ASKED: Final = wire.UserMessage(1, at(2), "ada", "c1", "why does the log stutter when the agent answers fast?", "r1")
ALSO: Final = wire.UserMessage(2, at(2), "ben", "c2", "same here, worse over ssh. can we see it in numbers?", "r1")
USAGE: Final = wire.Usage(12_000, 400, context_window=200_000, context_tokens=12_400)
TASKS: Final = [
    wire.TaskInfo("t1", "Crawl the docs", "ada", "running", 62, "148 of 240 pages · 2 m left"),
    wire.TaskInfo("t2", "Benchmark replay", "ben", "running", 37, "step 3 of 8"),
]


def snapshot(*events: Any, open_run: wire.OpenRun | None = None) -> wire.Snapshot:
    return wire.Snapshot("e1", len(events), list(events), False, open_run)


class Scene:
    """An app on a scripted link."""

    def __init__(self, app: ChatApp, link: ScriptedLink, pilot: Pilot[int]) -> None:
        self.app, self.link, self.pilot = app, link, pilot

    async def tell(self, *events: Any) -> None:
        """Events, until the app has folded and drawn them."""
        self.link.tell(*events)
        await until(lambda: self.link._events.empty())
        await self.settle()

    async def settle(self) -> None:
        """Until nothing waits to be drawn."""
        await self.pilot.pause()
        await until(lambda: self.app._painter._timer is None)
        await self.pilot.pause()


@asynccontextmanager
async def scene(size: tuple[int, int], theme: str = "dusk") -> AsyncIterator[Scene]:
    """An app that has connected."""
    link = ScriptedLink(ROOM)
    settings = Settings(user="ada", room=ROOM, server_url="ws://127.0.0.1:1", theme=theme)
    app = ChatApp(settings, connect=lambda _settings, _room: link)
    app.conversation.monotonic_s = lambda: 86_400.0  # the same countdown in each picture
    app.conversation.wall_s = lambda: datetime.fromisoformat(at(3)).timestamp()
    async with app.run_test(size=size) as pilot:
        await until(lambda: app.conversation.is_running)
        link.tell_status(LIVE)
        yield Scene(app, link, pilot)


async def empty(scene: Scene) -> None:
    await scene.tell(welcome(), snapshot())


async def streaming(scene: Scene) -> None:
    members = [wire.Member(name, 1, at(1)) for name in ("ada", "ben", "chen")]
    await scene.tell(welcome(members=members, count=3, tasks=TASKS), snapshot(ASKED, ALSO))
    scene.app.conversation.chat.usage = USAGE  # of an answer before what is loaded
    await scene.tell(
        wire.UserLeft(["chen"], 2, ["ada", "ben"]),
        wire.Status("r1", "streaming", [1, 2], ["ada", "ben"]),
        wire.UserTyping("ben", True),
        wire.Token("r1", 0, ANSWER),
    )
    scene.app.conversation.left_at_s["chen"] -= 12 * 60
    scene.app.soon()
    await scene.settle()


async def interrupted(scene: Scene) -> None:
    await streaming(scene)
    await scene.tell(wire.Interrupted(3, at(4), "r1", [1, 2], ["ada", "ben"], "ben", "user", ANSWER[:330]))


async def queued(scene: Scene) -> None:
    await streaming(scene)
    await scene.tell(
        wire.UserMessage(3, at(3), "ada", "c5", "and can you compare that with the redis node?", "r2"),
        wire.Status("r2", "queued", [3], ["ada"]),
    )


async def reconnecting(scene: Scene) -> None:
    await streaming(scene)
    scene.link.tell_status(LinkStatus("waiting", 2, retry_in_s=3.2, sentence="The connection was cut."))
    await scene.settle()


async def offline(scene: Scene) -> None:
    await streaming(scene)
    words = "The server does not answer at 127.0.0.1:8000. Press F5 to try again."
    scene.link.tell_status(LinkStatus("offline", 5, sentence=words))
    await scene.settle()


async def error(scene: Scene) -> None:
    await streaming(scene)
    words = "The model is overloaded. Ask again in a minute."
    await scene.tell(wire.Error("model_overloaded", words, 3, at(4), "r1", [1, 2], ["ada", "ben"], ANSWER[:120]))


async def rooms(scene: Scene) -> None:
    await streaming(scene)
    await scene.pilot.press("ctrl+o")
    await until(lambda: scene.app.screen.name == "picker")
    infos = [
        wire.RoomInfo(ROOM, 5, 2, wire.LastLine(at(2), "", ALSO.content)),
        wire.RoomInfo("ops", 310, 3, wire.LastLine(at(1), "chen", "the disk is at 81 %, [/] is fine")),
        wire.RoomInfo("standup", 12, 0, None),
    ]
    await scene.tell(wire.RoomList("x", infos))


async def search(scene: Scene) -> None:
    """Ctrl+R: earlier inputs, narrowed to those with two words."""
    await streaming(scene)
    inputs = [
        "show the last deploy of the redis node", "/task Compare the redis node with the log", "thanks!",
        "why does the log stutter when the agent answers fast?\nI see it over ssh only", "/export md",
        "can you compare that with the redis node?",
    ]  # fmt: skip
    scene.app.chat_screen.composer.inputs.extend(inputs)
    await scene.pilot.press("ctrl+r")
    await until(lambda: scene.app.screen.name == "picker")
    await scene.pilot.press(*"redis")
    await scene.settle()


async def palette(scene: Scene) -> None:
    await streaming(scene)
    await scene.pilot.press("ctrl+p")
    await until(lambda: scene.app.screen.name == "picker")
    await scene.settle()


async def help(scene: Scene) -> None:
    await streaming(scene)
    await scene.pilot.press("f1")
    await until(lambda: scene.app.screen.name == "help")
    await scene.settle()


async def tasks(scene: Scene) -> None:
    """F4: one at work with its plan open, one that waits, one that is done and one that failed."""
    steps = ["Searching for relevant sources", "Analyzing 12 documents", "Comparing the dates"]
    work = wire.TaskInfo(
        "t3", "The history of quantum computing", "ada", "running", 40, "Analyzing 12 documents…", step=1, steps=steps
    )
    waiting = wire.TaskInfo("t4", "Benchmark replay", "ben", "queued", 0, "waiting, next in the queue", place=1)
    ends = [
        wire.Complete(2, at(3), "t1", "completed", ANSWER, title="Crawl the docs", user="ada"),
        wire.Complete(
            3, at(4), "t2", "failed", "", code="model_overloaded", title="Read the log", user="ben",
            message="The model is overloaded. What was found so far is kept; submit the task again to retry.",
        ),
    ]  # fmt: skip
    await scene.tell(welcome(head=3, tasks=[work, waiting]), snapshot(ASKED, *ends))
    await scene.pilot.press("f4")
    await until(lambda: scene.app.screen.name == "tasks")
    await scene.pilot.press("enter")
    await scene.settle()


async def result(scene: Scene) -> None:
    """F4: a result, as the transcript draws it."""
    await tasks(scene)
    await scene.pilot.press("down", "down", "down")
    await scene.settle()


async def away(scene: Scene) -> None:
    """A task ended while one was away: the line that says so, and its folded result."""
    scene.app.conversation.chat._away = Away(1)
    begun = wire.TaskSubmitted(2, at(3), "t1", "c9", "ada", "The history of quantum computing", "Research it")
    result = "# The history of quantum computing\n\nIt began in **1980**.\n\n" + "More of it.\n\n" * 9
    end = wire.Complete(3, at(4), "t1", "completed", result, title=begun.title, user="ada")
    await scene.tell(welcome(head=3), snapshot(ASKED, begun, end))


async def recording(scene: Scene) -> None:
    """What the voice's part sets; it is drawn here without a microphone."""
    from textual.content import Content

    await streaming(scene)
    S, dim, key = Content.styled, "$foreground 56%", "bold $foreground 85%"
    frame = scene.app.frame
    frame.is_recording, frame.box_note = True, "listening"
    frame.voice = (
        Item(S("● ▂▄▄▄▅▂▄▃▆▃", "$text-error") + S(" 0:04", "$foreground 85%")),
        Item(S("F2 ", key) + S("send", dim), "talk"),
        Item(S("esc ", key) + S("cancel", dim), "stop"),
    )
    composer = scene.app.chat_screen.composer
    composer.load_text("can you compare that with the redis nod")
    composer.move_cursor(composer.document.end)
    scene.app.soon()
    await scene.settle()


SCENES: Final[dict[str, Callable[[Scene], Awaitable[None]]]] = {
    "empty": empty, "streaming": streaming, "interrupted": interrupted, "queued": queued, "reconnecting": reconnecting,
    "offline": offline, "error": error, "rooms": rooms, "search": search, "palette": palette, "help": help,
    "recording": recording, "tasks": tasks, "result": result, "away": away,
}  # fmt: skip
