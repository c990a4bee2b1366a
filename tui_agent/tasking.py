"""Long work from the chat: /task and /cancel, the list of tasks (F4), and telling when one has ended."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from server.protocol import Ack, CancelTask, Complete, Error, Event, SubmitTask
from tui_agent.link.base import OutboxFull
from tui_agent.state.clean import clean_line
from tui_agent.state.tasks import end_words

if TYPE_CHECKING:
    from tui_agent.app import ChatApp
    from tui_agent.conversation import Conversation
    from tui_agent.ui.screens.tasks import TasksScreen

TOAST_S: Final = 8.0


class Tasking:
    """`on_ended` hears one sentence for each of one's own tasks that ends: the voice says it."""

    def __init__(self, app: ChatApp) -> None:
        self._app = app
        self._screen: TasksScreen | None = None
        self._sent: set[str] = set()  # cids of commands that were not answered yet
        self.on_ended: list[Callable[[str], None]] = []

    # ---- what a person does ------------------------------------------------------------------------------

    def submit(self, words: str) -> None:
        """`/task PROMPT`; without words it says how."""
        app = self._app
        prompt = words.strip()
        if not prompt:
            app.chat_screen.composer.load_text_at_end("/task ")
            app.say("What is to be done? For one: /task Research the history of quantum computing")
            return
        cid = str(uuid.uuid4())
        try:
            app.conversation.command(SubmitTask(cid, prompt))
        except OutboxFull as full:
            app.say(str(full))
            return
        self._sent.add(cid)
        app.say("The task is on its way to the agent.")

    def cancel(self, words: str) -> None:
        """`/cancel [ID or words of the title]`; one open task needs no name. Asks once."""
        app = self._app
        wanted = words.strip().lower()
        tasks = list(app.conversation.chat.tasks.values())
        fits = [task for task in tasks if task.task == wanted] or [t for t in tasks if wanted in t.title.lower()]
        if not tasks:
            app.say("No task is open in this room.")
        elif len(fits) != 1:
            app.say("Which one? F4 lists them, Del there stops one; or /cancel with words of its title.")
        else:
            self.show(fits[0].task, ask_cancel=True)

    def cancel_task(self, task: str) -> None:
        """Stop it; it was asked before."""
        cid = str(uuid.uuid4())
        self._sent.add(cid)
        self._app.conversation.command(CancelTask(cid, task))

    def show(self, task: str | None = None, *, ask_cancel: bool = False) -> None:
        """F4: the tasks of the room; again closes it."""
        from tui_agent.ui.screens.tasks import TasksScreen

        app = self._app
        if self._screen is not None:
            self._screen.dismiss(None)
            return
        screen = self._screen = TasksScreen(
            app.conversation.chat, self.cancel_task, app.commands, task, ask_cancel=ask_cancel
        )

        def closed(_result: None) -> None:
            self._screen = None

        app.push_screen(screen, closed)

    def look(self) -> None:
        """Something has changed: the list shows it."""
        if self._screen is not None:
            self._screen.refresh_tasks()

    # ---- what the rooms tell --------------------------------------------------------------------------------

    def heard(self, conversation: Conversation, event: Event) -> None:
        """Each event of each open room, after it was folded."""
        match event:
            case Ack() if event.ref in self._sent:
                self._sent.discard(event.ref)
                if event.task is not UNSET:
                    self._app.say(f"The agent has it: task {clean_line(event.task)}. F4 shows where it is.")
            case Error() if isinstance(event.ref, str) and event.ref in self._sent:
                self._sent.discard(event.ref)
                self._app.say(clean_line(event.message), for_s=None)
            case Complete() if conversation.is_caught_up:
                self._ended(conversation, event)
            case _:
                pass

    def _ended(self, conversation: Conversation, event: Complete) -> None:
        chat, app = conversation.chat, self._app
        task = chat.ended_tasks.get(event.task)
        if task is None:
            return
        if conversation is app.conversation:
            conversation.note_seen()
        if task.user != chat.me:
            return
        words = end_words(task, chat.me)
        if conversation is not app.conversation:
            app.notify(f"#{conversation.room}: {words}", timeout=TOAST_S, markup=False)
        app.notifying.tell(words)
        for tell in self.on_ended:
            tell(words)
