"""F4: the tasks of the room. Arrows choose, Enter opens steps and result, Del stops one (asks once), Esc closes.

A result is drawn as the transcript draws it, and copied the same way: by its key, or what the mouse has selected.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import UNSET
from msgspec.structs import replace
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from server.protocol import TaskInfo
from tui_agent.state.changes import Reset
from tui_agent.state.chat import Chat
from tui_agent.state.command import Commands, shown_key
from tui_agent.state.entry import Entry
from tui_agent.state.tasks import MARKS, EndedTask, left_s, left_words, step_words
from tui_agent.state.told import seconds, task_entry
from tui_agent.ui.dialog import DIM, dialog_head
from tui_agent.ui.screens.modal import Modal
from tui_agent.ui.task_rows import progress_bar
from tui_agent.ui.transcript.pane import Anchor, Pane
from tui_agent.ui.transcript.widget import Transcript

ROW_CELLS = 68
HELP = "enter opens · del stops · esc closes"
S = Content.styled


class ResultPane(Transcript, can_focus=False):
    """Steps and result of an ended task, from their beginning; as high as they are. The list keeps the keys."""

    def show(self, task: EndedTask) -> None:
        """Another task's, or nothing new."""
        entries = ended_entries(task)
        if self.items.order != [entry.key for entry in entries]:
            self.apply([Reset(entries)])
            self.restore(Anchor(entries[0].key, 0, 0, -1))
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Exact up to the height of the screen."""
        rows = 0
        self.items.width = self.text_width(width)
        for at in range(len(self.items)):
            rows += self.items.view(at).lay_out_from(0, viewport.height)
        return min(rows, viewport.height)

    @on(Pane.NeedOlder)
    def _there_is_no_older(self, event: Pane.NeedOlder) -> None:
        event.stop()


class TasksScreen(Modal[None]):
    """Draws from the fold; `cancel(task)` is called once a person has confirmed."""

    def __init__(
        self,
        chat: Chat,
        cancel: Callable[[str], None],
        commands: Commands,
        first: str | None = None,
        *,
        ask_cancel: bool = False,
    ) -> None:
        super().__init__(name="tasks")
        self._chat = chat
        self._cancel = cancel
        self._closed_by = frozenset(("escape", *commands["tasks"].keys))
        self._copy_keys, self._copy_selection_keys = commands["copy_message"].keys, commands["copy_or_clear"].keys
        self._copied = ""
        self._first = first
        self._asks = first if ask_cancel else None  # the task that the next Del stops
        self._opened: str | None = None
        self._shown: list[str] = []
        self._is_ready = False

    def compose(self) -> ComposeResult:
        with Vertical(id="tasks-box", classes="dialog"):
            yield Static(id="tasks-head", classes="dialog-head", markup=False)
            yield OptionList(id="tasks-list", markup=False, compact=True)
            with VerticalScroll(id="tasks-detail"):
                yield Static(id="tasks-text", markup=False)
            yield ResultPane(id="tasks-result")

    def on_mount(self) -> None:
        self._is_ready = True
        self.refresh_tasks()
        self.query_one(OptionList).focus()
        self.set_interval(1.0, self.refresh_tasks)  # the time that is left goes on

    # ---- drawing ----------------------------------------------------------------------------------------

    def refresh_tasks(self) -> None:
        """Show the tasks as they are now; what is chosen stays chosen."""
        if not self._is_ready or not self.is_attached:
            return
        chat, now_s = self._chat, time.time()
        rows = [(task.task, open_row(task, now_s)) for task in chat.tasks.values()]
        rows += [(task.task, ended_row(task)) for task in reversed(chat.ended_tasks.values())]
        view = self.query_one(OptionList)
        ids = [id for id, _ in rows]
        chosen = self._first or self._chosen
        self._first = None
        if ids == self._shown:
            for id, row in rows:
                view.replace_option_prompt(id, row)
        else:
            view.clear_options()
            view.add_options(Option(row, id=id) for id, row in rows)
            self._shown = ids
        if ids:
            view.highlighted = ids.index(chosen) if chosen in ids else min(view.highlighted or 0, len(ids) - 1)
        view.display = bool(ids)
        if self._asks not in chat.tasks:
            self._asks = None
        self._draw_detail()

    @property
    def _chosen(self) -> str | None:
        option = self.query_one(OptionList).highlighted_option
        return None if option is None else option.id

    def _draw_detail(self) -> None:
        text = self.query_one("#tasks-text", Static)
        detail = self.query_one("#tasks-detail", VerticalScroll)
        result = self.query_one(ResultPane)
        ended = None if self._asks or self._opened is None else self._chat.ended_tasks.get(self._opened)
        keys = "del again stops it · any other key does not" if self._asks else HELP
        if ended is not None:
            keys = self._copied or f"{' '.join(map(shown_key, self._copy_keys))} copies the result · esc closes"
        self.query_one("#tasks-head", Static).update(dialog_head("Tasks", keys))
        self.query_one("#tasks-box").set_class(self._opened is not None, "-open")
        result.display = ended is not None
        if not self._shown:
            detail.display = True
            text.update(S("No task yet. /task and the work to be done starts one; it goes on when you leave.", DIM))
            return
        detail.display = ended is None and (self._opened is not None or self._asks is not None)
        if ended is not None:
            result.show(ended)
        elif self._asks is not None:
            text.update(S(f"Stop “{self._chat.tasks[self._asks].title}”? Del again stops it for everybody.", "bold"))
        elif self._opened in self._chat.tasks:
            text.update(open_detail(self._chat.tasks[self._opened]))

    # ---- keys -------------------------------------------------------------------------------------------------

    @on(OptionList.OptionSelected)
    def _open(self, event: OptionList.OptionSelected) -> None:
        self._opened = None if self._opened == event.option_id else event.option_id
        self._copied = ""
        self._draw_detail()
        self.query_one("#tasks-detail", VerticalScroll).scroll_home(animate=False)
        self.on_resize()

    def on_resize(self) -> None:
        """The list may be lower now: what is chosen stays in sight."""
        self.call_after_refresh(self.query_one(OptionList).scroll_to_highlight)

    @on(OptionList.OptionHighlighted)
    def _moved(self, event: OptionList.OptionHighlighted) -> None:
        if self._opened is not None and event.option_id != self._opened:
            self._opened = event.option_id
            self._copied = ""
            self._draw_detail()

    async def on_key(self, event: events.Key) -> None:
        asked, self._asks = self._asks, None
        result = self.query_one(ResultPane)
        detail = result if result.display else self.query_one("#tasks-detail", VerticalScroll)
        if result.display and event.key in self._copy_keys:
            result.copy_message()
        elif event.key in self._copy_selection_keys:
            result.copy_selection()
        elif event.key == "delete":
            chosen = self._chosen
            if asked is not None and asked == chosen:
                self._cancel(asked)
            elif chosen in self._chat.tasks:
                self._asks = chosen
        elif event.key == "escape" and asked is not None:
            pass  # not stopped
        elif event.key in self._closed_by:
            self.dismiss(None)
        elif event.key == "pageup":
            detail.scroll_page_up(animate=False)
        elif event.key == "pagedown":
            detail.scroll_page_down(animate=False)
        else:
            if asked is not None:
                self._draw_detail()
            return
        self._draw_detail()
        event.stop()
        event.prevent_default()

    @on(Transcript.Copied)
    def _was_copied(self, event: Transcript.Copied) -> None:
        self._copied = event.what
        self._draw_detail()


# ---- rows and details ------------------------------------------------------------------------------------


def open_row(task: TaskInfo, now_s: float) -> Content:
    """Title and owner, then bar, percent, step and time left."""
    place = "" if task.place is UNSET else task.message
    started_s = None if task.started is UNSET else seconds(task.started)
    left = left_s(task, started_s, now_s)
    parts = [step_words(task), "" if left is None else left_words(left)]
    head = S(task.title, "bold").truncate(ROW_CELLS - 16, ellipsis=True) + S(f"  {task.user}", DIM)
    percent = S(f"{task.percent:3} %  ", "bold $text-primary")
    tail = place or " · ".join(part for part in (*parts, task.message) if part)
    second = progress_bar(task.percent, 20, "$text-primary") + Content(" ") + percent + S(tail, DIM)
    return head + Content("\n") + second.truncate(ROW_CELLS, ellipsis=True)


def ended_row(task: EndedTask) -> Content:
    """One line: how it ended, its title and owner."""
    hue = {"completed": "$text-success", "failed": "$text-error"}.get(task.status, "$foreground 56%")
    row = S(f"{MARKS.get(task.status, '·')} ", hue) + Content(task.title).truncate(ROW_CELLS - 24, ellipsis=True)
    return (row + S(f"  {task.user}  {task.note or task.status}", DIM)).truncate(ROW_CELLS, ellipsis=True)


def open_detail(task: TaskInfo) -> Content:
    """The plan, and where it is."""
    steps = [] if task.steps is UNSET else task.steps
    at = -1 if task.step is UNSET else task.step
    lines = [
        S("✓ ", "$text-success") + S(step, DIM) if number < at
        else S("◐ ", "$text-primary") + S(step, "bold") if number == at
        else S("○ ", "$foreground 25%") + Content(step)
        for number, step in enumerate(steps)
    ]  # fmt: skip
    if not lines:
        lines = [S("There is no plan yet.", DIM)]
    return Content("\n").join([*lines, Content(""), S(task.message, DIM)])


def ended_entries(task: EndedTask) -> tuple[Entry, ...]:
    """The steps that were seen, and the whole result with how it ended."""
    steps = [] if task.info is None or task.info.steps is UNSET else task.info.steps
    done = (
        len(steps)
        if task.status == "completed"
        else 0
        if task.info is None or task.info.step is UNSET
        else task.info.step
    )
    lines = [f"{'✓' if number < done else '○'} {step}" for number, step in enumerate(steps)]
    seen = (Entry(f"steps {task.task}", "notice", "\n".join(lines)),) if lines else ()
    result = task_entry(task)
    return (*seen, result if task.result else replace(result, text="There is no result."))
