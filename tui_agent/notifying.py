"""Tells a person who looks elsewhere: by the terminal, or by a command of one's own. `/notify on|off|test`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
from typing import TYPE_CHECKING, Final

from tui_agent.state.clean import clean_line
from tui_agent.ui.terminal.notification import BELL, notification

if TYPE_CHECKING:
    from tui_agent.app import ChatApp

log = logging.getLogger(__name__)

TITLE: Final = "tui-agent"
COMMAND_S: Final = 10.0
BAD_COMMAND: Final = "The command of [notify] in config.toml cannot be run; correct `command` there."


class Notifying:
    """Off and on for this session; the config says how it begins."""

    def __init__(self, app: ChatApp) -> None:
        self._app = app
        self.is_on = app.settings.notify.on

    def command(self, words: str) -> None:
        """`/notify on|off|test`"""
        match words.strip().lower():
            case "on" | "off" as wanted:
                self.is_on = wanted == "on"
                self._app.say(f"Notifications are {wanted}.")
            case "test":
                self.tell("This is a test notification.", is_test=True)
                self._app.say(f"A notification was sent {self._how()}; nothing seen? Set [notify] how or command.")
            case "":
                self._app.say(f"Notifications are {'on' if self.is_on else 'off'}; /notify on, off or test.")
            case _:
                self._app.say("Write /notify on, /notify off or /notify test.")

    def _how(self) -> str:
        if self._app.settings.notify.command:
            return "by your command"
        return "as a bell" if self._bytes("x") == BELL else "through the terminal"

    def tell(self, text: str, *, is_test: bool = False) -> None:
        """One sentence to the desktop, when the terminal is not looked at."""
        if not is_test and (not self.is_on or self._app.app_focus):
            return
        command = self._app.settings.notify.command
        if command:
            self._app.run_worker(self._run(command, text), group="notify", exit_on_error=False)
            return
        driver = self._app._driver
        if driver is not None:
            driver.write(self._bytes(text))

    def _bytes(self, text: str) -> str:
        return notification(TITLE, text, os.environ, self._app.settings.notify.how)

    async def _run(self, command: str, text: str) -> None:
        """`command TITLE TEXT`, without a shell."""
        try:
            process = await asyncio.create_subprocess_exec(
                *shlex.split(command), TITLE, clean_line(text),
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        except (OSError, ValueError):
            self._app.say(BAD_COMMAND)
            return
        try:
            async with asyncio.timeout(COMMAND_S):
                status = await process.wait()
        except TimeoutError:
            status = -1
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if status != 0:
            self._app.say(BAD_COMMAND)
