"""Running tasks as the panel and the folded top bar show them."""

from __future__ import annotations

from textual.content import Content

from server.protocol import TaskInfo
from tui_agent.state.chat import Chat

DIM = "$foreground 56%"
MOST_TASKS = 6
S = Content.styled


def tasks_rows(chat: Chat, width: int) -> list[Content]:
    """The panel's part: a head, then title, bar and note of each."""
    if not chat.tasks:
        return []
    running = sum(task.status == "running" for task in chat.tasks.values())
    rows = [S("TASKS", f"bold {DIM}") + S(f"  {running} running", DIM), Content("")]
    for number, task in enumerate(list(chat.tasks.values())[:MOST_TASKS]):
        rows += [*_task(task, width, "$text-primary" if number % 2 == 0 else "$text-secondary", chat.me), Content("")]
    return rows


def _task(task: TaskInfo, width: int, hue: str, me: str) -> list[Content]:
    percent = f"{task.percent}%" if task.status == "running" else task.status
    title = Content(task.title).truncate(max(1, width - len(percent) - 1), ellipsis=True)
    head = title + Content(" " * max(1, width - title.cell_length - len(percent))) + S(percent, f"bold {hue}")
    note = " · ".join(part for part in (task.message, "" if task.user == me else task.user) if part)
    return [head, progress_bar(task.percent, width, hue), S(note, DIM).truncate(width, ellipsis=True)]


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
