"""The chat on the screen: joins the link, the fold and the widgets."""

from __future__ import annotations

import logging
import os
import signal
import time
import uuid
from collections.abc import Callable

from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical

from server.protocol import MESSAGE_BYTES, Clear, History, Message, Welcome
from tui_agent.config import Settings
from tui_agent.joining import CannotJoin, make_link
from tui_agent.link.base import Link, LinkStatus, OutboxFull, PendingChanged, Received, StatusChanged
from tui_agent.state.chat import Change, Chat, Upsert
from tui_agent.state.entry import Entry
from tui_agent.ui.bars import Bar, banner_content, panel_content, status_content, top_content
from tui_agent.ui.composer import Composer
from tui_agent.ui.log import Log
from tui_agent.ui.themes import DAWN, DUSK

log = logging.getLogger(__name__)

PAINT_S = 0.05  # at most 20 paints a second, however fast tokens come
WIDE = 104
QUIT_AGAIN_S = 2.0


class ChatApp(App[int]):
    """One room on the screen. `connect` makes its link, so that tests bring their own."""

    CSS = """
    Screen { background: $background; color: $foreground; }
    #banner { display: none; background: $warning 16%; color: $text-warning; }
    #banner.-shown { display: block; }
    #panel { display: none; width: 32; height: 1fr; padding: 1 2; }
    #panel.-shown { display: block; }
    #box { height: auto; margin: 0 1; border: round $border-blurred; padding: 0 1; }
    #box:focus-within { border: round $border; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [
        Binding("escape", "stop", "stop the answer", priority=True),
        Binding("ctrl+c", "clear_or_quit", "clear, twice quits", priority=True),
        Binding("ctrl+d", "quit_when_empty", "quit", priority=True),
        Binding("f3", "panel", "side panel", priority=True),
        Binding("f5", "reconnect", "reconnect", priority=True),
        Binding("pageup", "page(-1)", "scroll up", priority=True),
        Binding("pagedown", "page(1)", "scroll down", priority=True),
        Binding("ctrl+end", "follow", "follow again", priority=True),
    ]

    def __init__(self, settings: Settings, connect: Callable[[Settings], Link] = make_link) -> None:
        super().__init__()
        self.register_theme(DUSK)
        self.register_theme(DAWN)
        self.theme = settings.theme if settings.theme in self.available_themes else "dusk"
        self._settings = settings
        self._chat = Chat(settings.user)
        self._link = connect(settings)
        self._status = LinkStatus("connecting")
        self._retry_at_s = 0.0
        self._changes: list[Change] = []
        self._is_stale = True
        self._hint = "; ".join(settings.problems)
        self._quit_at_s = 0.0
        self._panel_wanted = True
        self._asked_before = 0

    def compose(self) -> ComposeResult:
        yield Bar(id="top")
        yield Bar(id="banner")
        with Horizontal():
            with Vertical():
                yield Log(id="log")
                with Vertical(id="box"):
                    yield Composer(id="composer")
            yield Bar(id="panel")
        yield Bar(id="status")

    def on_mount(self) -> None:
        self.query_one(Composer).focus()
        self.set_interval(PAINT_S, self._paint)
        self.set_interval(1.0, self._mark_stale)
        self._listen()

    # ---- the link -------------------------------------------------------------------------------------

    @work(group="link", exit_on_error=False)
    async def _listen(self) -> None:
        """Run the link and take what it says, until the app ends."""
        running = self.run_worker(self._link.run(), group="link", exit_on_error=False)
        try:
            async for event in self._link.events():
                match event:
                    case Received(event=received):
                        self._changes += self._chat.apply(received)
                        if isinstance(received, Welcome):
                            self._greet()
                    case StatusChanged(status):
                        self._status = status
                        self._retry_at_s = time.monotonic() + status.retry_in_s
                    case PendingChanged(pending):
                        for item in pending:
                            if isinstance(item.command, Message) and not item.is_stale:
                                self._changes += self._chat.sending(item.cid, item.command.content, item.time_s)
                self._is_stale = True
        finally:
            running.cancel()

    def _greet(self) -> None:
        chat = self._chat
        if chat.agent == "demo" and not chat.entries:
            text = (
                "This is the demo agent: it needs no key and knows little. For a real one, set ANTHROPIC_API_KEY "
                "(or ANTHROPIC_BASE_URL), run tui-agent-server stop, and start again."
            )
            self._changes.append(Upsert(Entry("help", "help", text)))

    # ---- painting ---------------------------------------------------------------------------------------

    def _mark_stale(self) -> None:
        if self._status.phase != "live":
            self._is_stale = True

    def _paint(self) -> None:
        if self._changes:
            changes, self._changes = self._changes, []
            self.query_one(Log).apply(changes)
            self._is_stale = True
        if not self._is_stale:
            return
        self._is_stale = False
        width = self.size.width
        has_panel = width >= WIDE and self._panel_wanted
        chat, status = self._chat, self._status
        self.query_one("#panel").set_class(has_panel, "-shown")
        self.query_one("#top", Bar).show(top_content(chat, width - 4, with_faces=not has_panel))
        banner = self.query_one("#banner", Bar)
        banner.set_class(status.phase in ("waiting", "offline") or bool(status.sentence), "-shown")
        banner.show(banner_content(status, self._retry_at_s - time.monotonic()))
        self.query_one("#panel", Bar).show(panel_content(chat))
        view = self.query_one(Log)
        hint = self._hint
        if not view.is_following:
            hint = f"{view.unseen} new below · ctrl+end" if view.unseen else "ctrl+end follows again"
        self.query_one("#status", Bar).show(status_content(chat, status, hint, width - 4))

    def on_resize(self) -> None:
        self._is_stale = True

    @on(Log.FollowChanged)
    def _follow_changed(self) -> None:
        self._is_stale = True

    @on(Log.NeedOlder)
    def _need_older(self) -> None:
        chat = self._chat
        if chat.has_older and chat.oldest_id > 1 and self._asked_before != chat.oldest_id:
            self._asked_before = chat.oldest_id
            self._link.send(History(str(uuid.uuid4()), chat.oldest_id))

    # ---- what a person does -------------------------------------------------------------------------------

    @on(Composer.Sent)
    def _sent(self, message: Composer.Sent) -> None:
        composer = self.query_one(Composer)
        self._hint = ""
        text = message.text.rstrip()
        if text == "/quit":
            self.exit(0)
        elif text == "/clear":
            self._link.send(Clear(str(uuid.uuid4())))
        elif len(text.encode()) > self._chat.message_bytes:
            self._say(f"The message is over {MESSAGE_BYTES:,} bytes; shorten it or send it in parts.")
            return
        else:
            command = Message(str(uuid.uuid4()), text)
            try:
                self._link.send(command)
            except OutboxFull as full:
                self._say(str(full))
                return
            self._changes += self._chat.sending(command.cid, text, time.time())
        composer.clear()
        self.query_one(Log).follow()

    def _say(self, sentence: str) -> None:
        self._hint = sentence
        self._is_stale = True

    def action_stop(self) -> None:
        running = self._chat.running
        if running is not None:
            self._link.interrupt(running.run)
        elif any(entry.state == "sending" for entry in self._chat.entries):
            self._link.interrupt(None)

    def action_clear_or_quit(self) -> None:
        composer = self.query_one(Composer)
        if composer.text:
            composer.clear()
        elif time.monotonic() - self._quit_at_s < QUIT_AGAIN_S:
            self.exit(0)
        else:
            self._quit_at_s = time.monotonic()
            self._say("ctrl+c again quits")

    def action_quit_when_empty(self) -> None:
        if not self.query_one(Composer).text:
            self.exit(0)

    def action_panel(self) -> None:
        self._panel_wanted = not self._panel_wanted
        self._is_stale = True

    def action_reconnect(self) -> None:
        self._link.reconnect_now()

    def action_page(self, direction: int) -> None:
        view = self.query_one(Log)
        view.scroll_relative(y=direction * (view.size.height - 2), animate=False)

    def action_follow(self) -> None:
        self.query_one(Log).follow()


def run_app(settings: Settings) -> int:
    """Show the chat until the person leaves; returns the exit status. SIGTERM and SIGHUP restore the terminal."""
    try:
        app = ChatApp(settings)
    except CannotJoin as trouble:
        os.write(2, f"{trouble}\n".encode())
        return 3

    def leave(_number: int, _frame: object) -> None:
        app.call_later(app.exit, 143)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    result = app.run()
    return app.return_code or 0 if result is None else result
