"""Keeps a running server where clients look for it: its socket's file, its data folder and what it says there.

Files in a runtime folder or in /tmp go without a word to the server: a cleaner of old files, a hand, a script. Nobody
could connect then, and no new server could start, because this one holds the data folder.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from server.config import ConfigTrouble
from server.datadir import DataDir
from server.socket_place import SocketPlace

log = logging.getLogger("server.findable")

LOOK_S: Final = 1.0


async def stay_findable(
    place: SocketPlace | None,
    listen_again: Callable[[], Awaitable[None]],
    data_dir: DataDir,
    about: dict[str, Any],
    stop: asyncio.Event,
) -> None:
    """Until cancelled. What is gone is made again; `stop` is set when that would be two servers for one thing."""
    has_said_trouble = False
    while not stop.is_set():
        await asyncio.sleep(LOOK_S)
        if not data_dir.is_ours:
            log.error("the data folder is gone or another's; this server ends, the next one begins there")
            stop.set()
            return
        try:
            if place is not None:
                match place.state():
                    case "taken":
                        log.error("another server listens at this one's socket; this one ends")
                        stop.set()
                        return
                    case "gone":
                        await listen_again()
                        log.warning("the socket's file was gone; it is made again")
            if not data_dir.is_published:
                data_dir.publish(about)
                log.warning("server.json was gone; it is written again")
            has_said_trouble = False
        except (ConfigTrouble, OSError) as trouble:
            if not has_said_trouble:
                log.error("cannot be found: %s, tried again each %.0f s", type(trouble).__name__, LOOK_S)
            has_said_trouble = True
