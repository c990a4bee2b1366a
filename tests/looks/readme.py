"""The pictures of the README: the real app on a real server, whose model is led by hand."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from textual.pilot import Pilot

from server.agents.work import Assignment, Site
from server.core.task import Moved, Outcome
from server.protocol import SubmitTask, Usage
from tests.fakes.agents import ScriptedAgent
from tests.fakes.served import served
from tests.fakes.wire_client import WireClient
from tests.looks.scenes import ANSWER
from tests.ui.conftest import until
from tui_agent.app import ChatApp
from tui_agent.config import Settings

ROOM = "design-review"


class Model(ScriptedAgent):
    """Bears the names that people see."""

    name = "agent"
    model = "claude-sonnet-5-5"


class Crawler:
    """Long work that has come so far and stays there."""

    async def work(self, assignment: Assignment, site: Site) -> Outcome:
        is_first = "docs" in assignment.title
        site.report(Moved(62, "148 of 240 pages") if is_first else Moved(37, "step 3 of 8"), "")
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


@asynccontextmanager
async def room(folder: Path, theme: str) -> AsyncIterator[tuple[ChatApp, Pilot[int], Model, WireClient]]:
    model = Model()
    async with served(folder, model, worker=Crawler()) as server:
        settings = Settings(user="ada", room=ROOM, server_url=f"unix:{server.address}", theme=theme)
        app = ChatApp(settings)
        async with (
            app.run_test(size=(120, 40)) as pilot,
            WireClient(server.address, ROOM, "ben") as ben,
        ):
            await until(lambda: app.conversation.is_live and "ben" in app.conversation.chat.members.people)
            yield app, pilot, model, ben


async def talk(app: ChatApp, pilot: Pilot[int], model: Model, ben: WireClient) -> None:
    """Ada asks, ben agrees, the agent is in the middle of its answer, two tasks run."""
    app.send("could you keep an eye on the log while we talk?")
    first = await model.wait_run()
    first.say("Yes. I have started two tasks for it; ask whenever you like.")
    first.finish(usage=Usage(12_000, 400, context_window=200_000, context_tokens=12_400))
    await until(lambda: app.conversation.chat.running is None and app.conversation.chat.usage is not None)
    for title in ("Crawl the docs", "Benchmark replay"):
        app.conversation.command(SubmitTask(str(uuid.uuid4()), title, title))
    await until(lambda: sum(task.percent > 0 for task in app.conversation.chat.tasks.values()) == 2)
    app.send("why does the log stutter when the agent answers fast?")
    second = await model.wait_run()
    second.say(ANSWER)
    await until(lambda: ANSWER in app.conversation.chat.entries[-1].text)
    await ben.send({"type": "typing", "active": True})
    await until(lambda: app.conversation.chat.members.people["ben"].is_typing)
    await pilot.pause(0.2)


def is_picking(app: ChatApp) -> bool:
    """Whether the palette is open."""
    return app.screen.name == "picker"


def picture(app: ChatApp) -> str:
    """The screen as an SVG that fetches nothing: fonts of the viewer's own, not of somebody's server."""
    return re.sub(
        r"\s*@font-face \{.*?\}", "", app.export_screenshot(title=f"tui-agent --room {ROOM}"), flags=re.DOTALL
    )


async def images(folder: Path, home: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, theme in (("chat-dusk", "dusk"), ("chat-dawn", "dawn")):
        place = home / theme
        place.mkdir()
        async with room(place, theme) as (app, pilot, model, ben):
            await talk(app, pilot, model, ben)
            (folder / f"{name}.svg").write_text(picture(app))
            if theme == "dusk":
                await pilot.press("ctrl+p")
                await until(partial(is_picking, app))
                await pilot.pause(0.2)
                (folder / "palette.svg").write_text(picture(app))
