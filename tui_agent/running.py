"""Runs the chat in a terminal and gives the terminal back, however it ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal

from tui_agent.app import ChatApp
from tui_agent.config import Settings
from tui_agent.crash import PlacesHandler, note_crash
from tui_agent.joining import CannotJoin, check_settings
from tui_agent.memory import spare_the_loop
from tui_agent.ui.terminal.ask import Question, is_dark_by_environment

QUIET_S = 2.0


def collect_again() -> None:
    """The collector of garbage was off for the start, which imports and makes none (cli.py). From now on it works, and
    what stands already is left out of its rounds, so that they are short while an answer streams."""
    gc.freeze()
    gc.enable()


def run_app(settings: Settings, question: Question | None = None) -> int:
    """Show the chat until the person leaves; returns the exit status. A signal or a crash restores the terminal."""
    logging.basicConfig(handlers=[PlacesHandler()])
    is_dark = None if question is None else question.end()
    if is_dark is None:
        is_dark = is_dark_by_environment(os.environ)
    try:
        check_settings(settings)
    except CannotJoin as trouble:
        os.write(2, f"{trouble}\n".encode())
        return 3
    app = ChatApp(settings, is_dark=is_dark)

    def hear_signals() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            loop.add_signal_handler(number, app.leave, 128 + number)

    def collect_later() -> None:
        asyncio.get_running_loop().call_later(QUIET_S, collect_again)

    app.on_started += [hear_signals, collect_later]
    app.on_started.append(lambda: spare_the_loop(app))
    result = app.run()
    crash = app.crash
    if crash is not None:
        words = f"Something went wrong inside tui-agent; nothing that was sent is lost. {note_crash(crash)}\n"
        os.write(2, words.encode())
        return 1
    return app.return_code or 0 if result is None else result
