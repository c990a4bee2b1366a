"""A room told in lines, for the line mode: who says what, and what happens, in words. Pure.

Answers are told line by line as they stream. When somebody else speaks between two lines of an answer, the next one
says that it goes on. All foreign text is cleaned here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import UNSET, Struct, field

from server.protocol import (
    Cleared,
    Complete,
    Done,
    DurableEvent,
    Error,
    Event,
    Interrupted,
    OpenRun,
    Progress,
    RoomList,
    Snapshot,
    Status,
    TaskSubmitted,
    Token,
    UserJoined,
    UserLeft,
    UserMessage,
    Welcome,
)
from tui_agent.state.clean import Cleaner, clean_line, clean_text
from tui_agent.state.members import Members

EARLIER: Final = 10  # events told when one comes in
PERCENT_STEP: Final = 25
_STOPPED_SHORT: Final = {
    "max_tokens": "The answer was cut at the model's length limit; ask it to go on.",
    "size_limit": "The answer was cut at the size limit; ask it to go on.",
    "model_context_window_exceeded": "The conversation fills the model's context; /clear makes room.",
}


class Line(Struct, frozen=True):
    """One line to print. Notices are about the room, not of it."""

    text: str
    kind: Literal["talk", "notice"] = "talk"


def notice(text: str) -> Line:
    """About the room."""
    return Line(text, "notice")


class _Answer(Struct):
    """The open answer as far as it was told."""

    run: str
    raw_length: int = 0
    cleaner: Cleaner = field(default_factory=Cleaner)
    rest: str = ""  # of a line that is not whole yet
    has_begun: bool = False


class Narrator:
    """Tells one room to `me`. `tells_own`: also what was written here (a pipe does not show it otherwise)."""

    def __init__(self, me: str, *, tells_own: bool, tells_earlier: bool) -> None:
        self.me = me
        self.agent = "agent"
        self.members = Members()
        self.tasks: dict[str, str] = {}  # those that run: title
        self.running: str | None = None  # the open run
        self.message_bytes = 60_000
        self._tells_own, self._tells_earlier = tells_own, tells_earlier
        self._own: set[str] = set()  # cids sent from here
        self._answer: _Answer | None = None
        self._speaker = ""  # whose line came last
        self._epoch = ""
        self._last_id = 0
        self._has_come_in = False
        self._told_percent: dict[str, int] = {}
        self._told_queued: set[int] = set()
        self._own_ids: set[int] = set()

    def sent(self, cid: str) -> None:
        """A message of that cid was sent from here."""
        self._own.add(cid)

    def apply(self, event: Event) -> list[Line]:
        """One event, in order."""
        match event:
            case Welcome():
                return self._welcome(event)
            case Snapshot():
                return self._snapshot(event)
            case Token():
                return self._token(event)
            case Status():
                return self._status(event)
            case UserJoined() | UserLeft():
                return self._moved(event)
            case Progress():
                return self._progress(event)
            case RoomList():
                return self._rooms(event)
            case Error() if event.run is UNSET:
                if isinstance(event.ref, str) and event.ref in self._own:
                    return [notice(f"Not sent: {clean_line(event.message)}")]
                return []
            case UserMessage() | Done() | Interrupted() | Error() | Cleared() | TaskSubmitted() | Complete():
                return self._durable(event)
            case _:
                return []

    # ---- coming in, and coming back ----------------------------------------------------------------------

    def _welcome(self, event: Welcome) -> list[Line]:
        self.me = clean_line(event.user)
        self.agent = clean_line(event.agent.name) or "agent"
        self.message_bytes = event.limits.message_bytes
        self.members.welcome(event)
        self.tasks = {task.task: clean_line(task.title) for task in event.tasks}
        if event.open_run is None:
            self.running = None
        if self._has_come_in:
            return [notice("Connected again.")]
        self._has_come_in = True
        others = [name for name in self.members.people if name != self.me]
        company = f"With you: {_names(others)}." if others else "Nobody else is here."
        lines = [notice(f"You are in #{clean_line(event.room)} as {self.me}. {company} The agent is {self.agent}.")]
        if self.agent == "demo":
            lines.append(
                notice(
                    "This is the demo agent: it needs no key and knows little. For a real one, set ANTHROPIC_API_KEY, "
                    "run tui-agent-server stop, and start again."
                )
            )
        return lines

    def _snapshot(self, event: Snapshot) -> list[Line]:
        lines: list[Line] = []
        events: Sequence[DurableEvent] = event.events
        is_first = not self._epoch
        if is_first:
            events = events[-EARLIER:] if self._tells_earlier else []
            if events:
                lines.append(notice("Earlier in this room:"))
        elif event.epoch != self._epoch:
            lines.append(notice("The room's history was lost or reset on the server; this is what it has now:"))
            self._last_id = 0
        elif events and isinstance(events[0].id, int) and events[0].id > self._last_id + 1:
            lines.append(notice("More was said in between than is shown here; /export writes all of it."))
        self._epoch = event.epoch
        for old in events:
            lines += self._durable(old)
        if is_first and events:
            lines.append(notice("Now:"))
        self._last_id = max(self._last_id, event.head)
        if event.open_run is not None:
            lines += self._open_run(event.open_run)
        return lines

    def _open_run(self, open_run: OpenRun) -> list[Line]:
        self.running = open_run.run
        content = open_run.content if isinstance(open_run.content, str) else ""
        return self._token(Token(open_run.run, 0, content)) if content else []

    # ---- what was said -------------------------------------------------------------------------------------

    def _durable(self, event: DurableEvent) -> list[Line]:
        if isinstance(event.id, int):
            if event.id <= self._last_id:
                return []
            self._last_id = event.id
        match event:
            case UserMessage():
                is_from_here = event.cid in self._own and clean_line(event.user) == self.me
                if is_from_here:
                    self._own_ids.add(event.id)
                return [] if is_from_here and not self._tells_own else self._say(event.user, event.content)
            case Done():
                lines = self._ended(event.run, event.content)
                note = _STOPPED_SHORT.get(event.stop_reason)
                return [*lines, notice(note)] if note else lines
            case Interrupted():
                lines = self._ended(event.run, event.content)
                by = clean_line(event.by or "")
                words = f"The answer was interrupted by {by}." if by else "The answer was interrupted."
                if event.reason == "server_restart":
                    words = "The answer was cut off by a restart of the server. Ask again."
                return [*lines, notice(words)]
            case Error():
                assert event.run is not UNSET
                lines = self._ended(event.run, event.content if isinstance(event.content, str) else "")
                return [*lines, notice(f"The answer failed: {clean_line(event.message)}")]
            case Cleared():
                return [notice(f"{clean_line(event.by)} cleared the conversation; the agent starts afresh.")]
            case TaskSubmitted():
                self.tasks[event.task] = clean_line(event.title)
                who, title = clean_line(event.user), self.tasks[event.task]
                return [notice(f"{who} started the task “{title}” ({clean_line(event.task)}).")]
            case Complete():
                return self._task_ended(event)

    def _say(self, user: str, text: str) -> list[Line]:
        self._speaker = ""
        first, *more = clean_text(text).split("\n")
        return [Line(f"{clean_line(user)}: {first}"), *map(Line, more)]

    def _task_ended(self, event: Complete) -> list[Line]:
        title = self.tasks.pop(event.task, clean_line(event.task))
        self._told_percent.pop(event.task, None)
        why = f": {clean_line(event.message)}" if isinstance(event.message, str) and event.message else "."
        if event.status == "canceled":
            by = f" by {clean_line(event.by)}" if isinstance(event.by, str) else ""
            return [notice(f"The task “{title}” was stopped{by}.")]
        if event.status == "failed":
            return [notice(f"The task “{title}” failed{why}")]
        self._speaker = ""
        return [notice(f"The task “{title}” is done."), *map(Line, clean_text(event.result).strip("\n").split("\n"))]

    # ---- the answer -----------------------------------------------------------------------------------------

    def _of(self, run: str) -> _Answer:
        if self._answer is None or self._answer.run != run:
            self._answer = _Answer(run)
        return self._answer

    def _token(self, event: Token) -> list[Line]:
        answer = self._of(event.run)
        self.running = event.run
        return self._more(answer, event.content[max(0, answer.raw_length - event.offset) :])

    def _more(self, answer: _Answer, piece: str) -> list[Line]:
        answer.raw_length += len(piece)
        *whole, answer.rest = (answer.rest + answer.cleaner.feed(piece)).split("\n")
        return [self._answer_line(answer, line) for line in whole]

    def _answer_line(self, answer: _Answer, text: str) -> Line:
        if self._speaker != answer.run:
            text = f"{self.agent}, going on: {text}" if answer.has_begun else f"{self.agent}: {text}"
        self._speaker, answer.has_begun = answer.run, True
        return Line(text)

    def _ended(self, run: str, content: str) -> list[Line]:
        answer = self._of(run)
        lines = self._more(answer, content[answer.raw_length :])
        rest = answer.rest + answer.cleaner.end()
        if rest or not (answer.has_begun or not content):
            lines.append(self._answer_line(answer, rest))
        self._answer, self._speaker = None, ""
        if self.running == run:
            self.running = None
        return lines

    # ---- what happens ------------------------------------------------------------------------------------------

    def _status(self, event: Status) -> list[Line]:
        if event.status == "queued":
            lines = []
            for place, id in enumerate(event.asked, 1):
                if id in self._own_ids and id not in self._told_queued:
                    self._told_queued.add(id)
                    lines.append(notice(f"The agent is busy; your message is number {place} in the queue."))
            return lines
        if event.status == "idle":
            return []
        is_new, self.running = self.running != event.run, event.run
        if isinstance(event.note, str) and event.note:
            return [notice(clean_line(event.note))]
        return [notice(f"{self.agent} is thinking…")] if is_new and event.status == "thinking" else []

    def _moved(self, event: UserJoined | UserLeft) -> list[Line]:
        self.members.change(event)
        names = [name for name in map(clean_line, event.users) if name != self.me]
        word = "joined" if isinstance(event, UserJoined) else "left"
        return [notice(f"{_names(names)} {word}.")] if names else []

    def _progress(self, event: Progress) -> list[Line]:
        title = self.tasks.get(event.task)
        step = event.percent // PERCENT_STEP * PERCENT_STEP
        if title is None or step <= self._told_percent.get(event.task, 0) or event.percent >= 100:
            return []
        self._told_percent[event.task] = step
        message = clean_line(event.message)
        return [notice(f"The task “{title}”: {event.percent} %{f', {message}' if message else ''}.")]

    def _rooms(self, event: RoomList) -> list[Line]:
        if not event.rooms:
            return [notice("You have been in no other room. /room NAME makes one.")]
        lines = []
        for info in event.rooms:
            last = (
                f" {clean_line(info.last.user) or 'agent'}: {clean_line(info.last.content)[:100]}" if info.last else ""
            )
            lines.append(notice(f"#{clean_line(info.room)}, {info.count} here.{last}"))
        return lines


def _names(names: Sequence[str]) -> str:
    if len(names) > 6:
        return f"{', '.join(names[:5])} and {len(names) - 5} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
