"""A link was clicked: where it truly goes, before it is opened."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from tui_agent.state.clean import clean_line
from tui_agent.ui.dialog import DIM, dialog_head
from tui_agent.ui.screens.modal import Modal

S = Content.styled


def is_web(url: str) -> bool:
    """Only http and https are ever opened."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable()


def ascii_host(url: str) -> str:
    """The host as the network sees it, when that is not how it looks: `xn--…`."""
    host = urlsplit(url).hostname or ""
    if host.isascii():
        return ""
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return "a name that no server can have"


def opener(environ: Mapping[str, str]) -> str | None:
    """What opens a page on this machine; None over SSH or on a console, where a text browser would take the screen."""
    if sys.platform == "darwin":
        return shutil.which("open")
    if environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"):
        return shutil.which("xdg-open")
    return shutil.which("wslview")


def open_page(program: str, url: str) -> bool:
    """Start it and forget it; False when it cannot be started."""
    null = subprocess.DEVNULL
    try:
        subprocess.Popen([program, url], stdin=null, stdout=null, stderr=null, start_new_session=True)  # noqa: S603
    except OSError:
        return False
    return True


class LinkScreen(Modal[None]):
    """Enter opens, c copies, Esc closes."""

    def __init__(self, url: str) -> None:
        super().__init__(name="link")
        self._url = url
        self._opener = opener(os.environ) if is_web(url) else None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(dialog_head("This link goes to", ""), classes="dialog-head", markup=False)
            yield Static(self._target(), markup=False)

    def _target(self) -> Content:
        lines = [S(clean_line(self._url), "bold $text-primary")]
        if not is_web(self._url):
            lines += [Content(""), S("It is no web address, so it is not opened.", "$text-warning")]
        elif ascii_host(self._url):
            lines.append(S(f"The host is {ascii_host(self._url)}", "$text-warning"))
        keys = [("enter", "open")] if self._opener else []
        hint = Content("")
        for key, words in [*keys, ("c", "copy"), ("esc", "close")]:
            hint += S(key, "bold $foreground 85%") + S(f" {words}   ", DIM)
        return Content("\n").join([*lines, Content(""), hint])

    def on_key(self, event: events.Key) -> None:
        if event.key == "enter" and self._opener is not None:
            if not open_page(self._opener, self._url):
                self.app.copy_to_clipboard(self._url)
        elif event.key == "c":
            self.app.copy_to_clipboard(self._url)
        elif event.key != "escape":
            return
        event.stop()
        self.dismiss(None)
