"""A screen with nothing but the transcript, and what one reads on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual import on
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot

from tui_agent.commands import COMMANDS
from tui_agent.state.changes import Reset, Stream, Upsert
from tui_agent.state.entry import Entry
from tui_agent.ui.themes import DAWN, DUSK
from tui_agent.ui.transcript.widget import Transcript

KEYS = {key: command.name for command in COMMANDS if command.owner == "transcript" for key in command.keys}


def said(number: int, text: str = "", **more: Any) -> Entry:
    """A person's message."""
    return Entry(f"m{number}", "message", text or f"message {number}", "ben", state="sent", time_s=1e9 + number, **more)


def answered(number: int, text: str, **more: Any) -> Entry:
    """An answer of the agent."""
    return Entry(f"a{number}", "answer", text, "agent", has_markdown=True, time_s=1e9 + number, **more)


class Host(App[None]):
    """The transcript alone; keeps the messages that it posts."""

    def __init__(self) -> None:
        super().__init__()
        self.register_theme(DUSK)
        self.register_theme(DAWN)
        self.theme = "dusk"
        self.heard: list[Message] = []

    def compose(self) -> ComposeResult:
        yield Transcript(id="log", keys=KEYS)

    @on(Transcript.NeedOlder)
    @on(Transcript.FollowChanged)
    @on(Transcript.LinkClicked)
    @on(Transcript.Typed)
    @on(Transcript.Copied)
    def hear(self, message: Message) -> None:
        self.heard.append(message)

    def of(self, kind: type[Message]) -> list[Any]:
        return [message for message in self.heard if isinstance(message, kind)]


class Hall:
    """The widget on its screen."""

    def __init__(self, app: Host, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot
        self.view = app.query_one(Transcript)

    async def show(self, *entries: Entry) -> None:
        self.view.apply([Reset(entries)])
        await self.pilot.pause()

    async def more(self, key: str, text: str) -> None:
        self.view.apply([Stream(key, text)])
        await self.pilot.pause()

    async def add(self, *entries: Entry) -> None:
        self.view.apply([Upsert(entry) for entry in entries])
        await self.pilot.pause()

    def rows(self) -> list[str]:
        """What the compositor shows."""
        return [strip.text[:-1].rstrip() for strip in self.app.screen._compositor.render_strips()]

    def row_with(self, words: str) -> int:
        return next(number for number, row in enumerate(self.rows()) if words in row)

    def column_of(self, words: str) -> int:
        return self.rows()[self.row_with(words)].index(words)


@pytest.fixture
def hall() -> Callable[..., Any]:
    @asynccontextmanager
    async def opened(size: tuple[int, int] = (80, 24), entries: Sequence[Entry] = ()) -> AsyncIterator[Hall]:
        app = Host()
        async with app.run_test(size=size) as pilot:
            hall = Hall(app, pilot)
            if entries:
                await hall.show(*entries)
            yield hall

    return opened
