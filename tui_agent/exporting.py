"""A whole room into a file: its history is asked for page by page over the room's own link.

Knows nothing of Textual; the screen and the line mode both use it.
"""

from __future__ import annotations

import asyncio
import errno
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

from server.protocol import PAGE_EVENTS, DurableEvent, Error, Event, History, Page, rfc3339
from tui_agent.files import write_whole
from tui_agent.link.base import Link
from tui_agent.state.clean import clean_line
from tui_agent.state.export import Target, default_name, to_json, to_markdown

END: Final = 2**53  # beyond every id
FAST_PAGES: Final = 4  # then slowly: the server allows two commands a second, and a person's own must fit in
PAUSE_S: Final = 0.75
ANSWER_S: Final = 20.0
GIVE_UP_S: Final = 180.0  # without a page
MOST_NAMES: Final = 1000


class CannotExport(Exception):
    """The text is a sentence for a person."""


class Export:
    """One export. `heard` gets every event of the link; `run` does the work."""

    def __init__(self, link: Link, room: str, agent: str, tell: Callable[[int], None]) -> None:
        """`tell` is called with how many percent have come, each time it is more."""
        self._link, self._room, self._agent, self._tell = link, room, agent, tell
        self._cid = ""
        self._answer: asyncio.Future[Page | Error] | None = None

    def heard(self, event: Event) -> None:
        """An answer to our question is taken; everything else is none of ours."""
        if self._answer is not None and not self._answer.done():
            match event:
                case Page(ref=ref) | Error(ref=ref) if ref == self._cid:
                    self._answer.set_result(event)

    async def run(self, target: Target) -> Path:
        """Write the file (0600, never over another one); returns where it is. Raises CannotExport."""
        now = rfc3339(time.time())
        check_place(target)
        events = await self._all_events()

        def write() -> Path:
            if target.format == "json":
                text = to_json(self._room, events, now)
            else:
                text = to_markdown(self._room, events, now, self._agent)
            return write_export(target, self._room, text.encode(), now)

        return await asyncio.to_thread(write)

    async def _all_events(self) -> list[DurableEvent]:
        pages: list[list[DurableEvent]] = []
        before, head, percent = END, 0, -1
        while True:
            page = await self._page(before)
            if not page.events:
                break
            pages.append(page.events)
            first, last = page.events[0].id, page.events[-1].id
            if not (isinstance(first, int) and isinstance(last, int) and last == (before - 1 if head else last)):
                raise CannotExport("The history has a gap; nothing was written. Try /export again.")
            head, before = head or last, first
            if (done := 100 * (head - first + 1) // head) > percent:
                percent = done
                self._tell(percent)
            if not page.more:
                break
            if len(pages) >= FAST_PAGES:
                await asyncio.sleep(PAUSE_S)
        return [event for page_events in reversed(pages) for event in page_events]

    async def _page(self, before: int) -> Page:
        """The events before an id, asked for again over cut connections and rate limits."""
        deadline_s = time.monotonic() + GIVE_UP_S
        while time.monotonic() < deadline_s:
            self._cid, self._answer = str(uuid.uuid4()), asyncio.get_running_loop().create_future()
            self._link.send(History(self._cid, before, PAGE_EVENTS))
            try:
                async with asyncio.timeout(ANSWER_S if self._link.status.phase == "live" else 1.0):
                    answer = await self._answer
            except TimeoutError:
                continue
            if isinstance(answer, Page):
                return answer
            if answer.retryable is not True and answer.code != "rate_limited":
                raise CannotExport(f"The history did not come: {clean_line(answer.message)}")
            wait_s = answer.retry_after if isinstance(answer.retry_after, float | int) else 1.0
            await asyncio.sleep(max(0.1, min(wait_s, 30.0)))
        raise CannotExport("The history did not come; the connection is down. Nothing was written. Try /export again.")


def check_place(target: Target) -> None:
    """What can be said before anything is asked. Raises CannotExport."""
    if not target.path:
        return
    try:
        path = Path(target.path).expanduser()
        if path.is_dir():
            return
        if path.is_symlink() or path.exists():
            raise CannotExport(f"{_shown(path)} is there already and is not written over. Name another file.")
        if not path.parent.is_dir():
            raise CannotExport(f"There is no folder {_shown(path.parent)}. Make it, or name another.")
    except RuntimeError:
        raise CannotExport("There is no such home folder. Name another file.") from None
    except OSError as exc:
        raise _trouble(exc) from None


def write_export(target: Target, room: str, data: bytes, now: str) -> Path:
    """Whole or not at all, 0600; without a name in the present folder under a free one. Raises CannotExport."""
    named = Path(target.path).expanduser() if target.path else Path()
    try:
        if target.path and not named.is_dir():
            write_whole(named, data, replace=False)
            return named
        for number in range(1, MOST_NAMES):
            path = named / default_name(room, now, target.format, number)
            try:
                write_whole(path, data, replace=False)
            except FileExistsError:
                continue
            return path
        raise CannotExport("There are too many exports of today here. Name a file.")
    except FileExistsError:
        raise CannotExport(f"{_shown(named)} is there already and is not written over. Name another file.") from None
    except OSError as exc:
        raise _trouble(exc) from None
    except ValueError:  # a NUL in the name
        raise CannotExport("This is no name of a file. Name another one.") from None


def _trouble(exc: OSError) -> CannotExport:
    why = {
        errno.EACCES: "you may not write there",
        errno.EPERM: "you may not write there",
        errno.EROFS: "that disk is read-only",
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "your share of the disk is full",
        errno.ENAMETOOLONG: "the name is too long",
        errno.EFBIG: "it would be too large",
    }.get(exc.errno or 0, "that place cannot be written")
    return CannotExport(f"The room was not exported: {why}. Name another file.")


def _shown(path: Path) -> str:
    return clean_line(str(path))[:200]
