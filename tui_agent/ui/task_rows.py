"""Running tasks as the panel and the folded top bar show them."""

from __future__ import annotations

import time

from msgspec import UNSET
from textual.content import Content

from server.protocol import TaskInfo
from tui_agent.state.chat import Chat
from tui_agent.state.tasks import left_s, left_words, step_words
from tui_agent.state.told import seconds

DIM = "$foreground 56%"
MOST_TASKS = 6
S = Content.styled


def tasks_rows(chat: Chat, width: int) -> list[Content]:
    """The panel's part: a head, then title, bar and note of each."""
    if not chat.tasks:
        return []
    now_s = time.time()
    running = sum(task.status == "running" for task in chat.tasks.values())
    rows = [S("TASKS", f"bold {DIM}") + S(f"  {running} running", DIM), Content("")]
    for number, task in enumerate(list(chat.tasks.values())[:MOST_TASKS]):
        hue = "$text-primary" if number % 2 == 0 else "$text-secondary"
        rows += [*_task(task, width, hue, chat.me, now_s), Content("")]
    return rows


def _task(task: TaskInfo, width: int, hue: str, me: str, now_s: float) -> list[Content]:
    percent = f"{task.percent}%" if task.status == "running" else task.status
    title = Content(task.title).truncate(max(1, width - len(percent) - 1), ellipsis=True)
    head = title + Content(" " * max(1, width - title.cell_length - len(percent))) + S(percent, f"bold {hue}")
    note = " · ".join(part for part in (task.message, "" if task.user == me else task.user) if part)
    rows = [head, progress_bar(task.percent, width, hue), S(note, DIM).truncate(width, ellipsis=True)]
    left = left_s(task, None if task.started is UNSET else seconds(task.started), now_s)
    more = " · ".join(part for part in (step_words(task), "" if left is None else left_words(left)) if part)
    return [*rows, S(more, DIM).truncate(width, ellipsis=True)] if more else rows


def progress_bar(percent: int, width: int, hue: str) -> Content:
    """A thin line, filled in half cells."""
    halves = round(percent / 100 * width * 2)
    full, half = divmod(halves, 2)
    done = "━" * full + "╸" * half
    rest = width - full - half
    tail = ("╺" if full and not half else "━") + "━" * (rest - 1) if rest > 0 else ""
    return S(done, hue) + S(tail, "$foreground 14%")


def tasks_brief(chat: Chat, *, is_narrow: bool) -> Content:
    """`2 tasks ━━╸━━` for the top bar; nothing while none runs."""
    tasks = chat.tasks.values()
    if not tasks:
        return Content("")
    percent = sum(task.percent for task in tasks) // len(tasks)
    words = f"{len(tasks)} " if is_narrow else f"{len(tasks)} task{'s' if len(tasks) > 1 else ''} "
    return S(words, DIM) + progress_bar(percent, 3 if is_narrow else 7, "$text-primary") + Content("   ")
