"""The download of a model in the chat: asked for, shown, cancelled. Nothing is got without a yes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from tui_agent.ui.screens.voice import DownloadScreen
from tui_agent.voice.getting import Download, offer

if TYPE_CHECKING:
    from tui_agent.app import ChatApp

SENTENCE_S = 60.0


class Fetching:
    """One download at a time; `on_done` when a model has come."""

    def __init__(self, app: ChatApp, on_done: Callable[[], None]) -> None:
        self._app = app
        self._on_done = on_done
        self._download: Download | None = None
        self._running: asyncio.Task[None] | None = None
        self._screen: DownloadScreen | None = None

    @property
    def words(self) -> str:
        """`base 42 %`; "" when nothing comes."""
        return "" if self._download is None else f"{self._download.name} {self._download.share:.0%}"

    def offer(self, name: str) -> None:
        """Ask; while one runs, show it."""
        running = self._download
        what = offer(name if running is None else running.name)
        screen = self._screen = DownloadScreen(what, running is not None, lambda: self._start(name), self._cancel)
        self._app.push_screen(screen, lambda _: self._closed())
        if running is not None:
            self._app.call_after_refresh(self._show, running)

    def _closed(self) -> None:
        self._screen = None

    def _start(self, name: str) -> None:
        self._download = Download(name, self._show)
        self._running = asyncio.create_task(self._run(self._download), name="download")

    def _cancel(self) -> None:
        if self._running is not None:
            self._running.cancel()

    async def close(self) -> None:
        """End a download; what came stays."""
        running = self._running
        if running is not None:
            running.cancel()
            await asyncio.wait([running])

    async def _run(self, download: Download) -> None:
        try:
            sentence = await download.run()
        except asyncio.CancelledError:
            self._app.say("The download was stopped; F2 goes on where it was.")
            raise
        finally:
            self._download = self._running = None
            self._app.soon()
        if self._screen is not None:
            self._screen.dismiss(None)
        if sentence:
            self._app.say(sentence, for_s=SENTENCE_S)
        else:
            self._on_done()

    def _show(self, download: Download) -> None:
        if self._screen is not None:
            self._screen.show(download.share, download.done_bytes, download.total_bytes)
        self._app.soon()
