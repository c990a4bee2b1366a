"""What a room's screen shows, folded from events. Pure: the same events give the same screen, live or from a snapshot.

`Chat.apply` takes one event of the server and returns what changed in the transcript, so that a token costs its length.
Offsets count raw code points, so the raw length of the open answer is kept beside the cleaned text. An answer stands
right after the last message it was asked, as it does when history is read later.

All foreign text is cleaned once: here, in `members` and `unsent`, and in `told` and `tasks` what is durable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import UNSET, Struct, field
from msgspec.structs import replace

from server.protocol import (
    Ack,
    Cleared,
    Complete,
    Done,
    DurableEvent,
    Error,
    Event,
    Interrupted,
    OpenRun,
    Page,
    Progress,
    RoomList,
    Snapshot,
    Status,
    TaskInfo,
    TaskSubmitted,
    Token,
    Usage,
    UserJoined,
    UserLeft,
    UserMessage,
    UserTyping,
    Welcome,
)
from tui_agent.state import tasks
from tui_agent.state.changes import Change, Prepend, Reset, Stream, Upsert
from tui_agent.state.clean import Cleaner, clean_line
from tui_agent.state.entry import Entry, EntryState
from tui_agent.state.members import Members
from tui_agent.state.tasks import Away, EndedTask
from tui_agent.state.told import answer_entry, cleared_entry, key_of, message_entry, submitted_entry, task_entry
from tui_agent.state.unsent import Unsent


class Running(Struct):
    """The open answer."""

    run: str
    status: str
    users: tuple[str, ...]
    raw_length: int = 0
    note: str = ""
    cleaner: Cleaner = field(default_factory=Cleaner)
    pieces: list[str] = field(default_factory=list)  # cleaned, not yet in the entry: joined when it is looked at


class Chat:
    """One room as `me` sees it."""

    def __init__(self, me: str, seen_id: int | None = None) -> None:
        """`seen_id`: the last durable event that `me` saw on an earlier visit; None for a first one."""
        self.me = me
        self.room = ""
        self.members = Members()
        self.agent = ""
        self.model = ""
        self.message_bytes = 60_000
        self.usage: Usage | None = None
        self.running: Running | None = None
        self.tasks: dict[str, TaskInfo] = {}  # open ones
        self.ended_tasks: dict[str, EndedTask] = {}  # of what is loaded
        self.head = 0  # the newest durable event
        self._away = Away(seen_id)
        self.oldest_id = 0  # of what is loaded; 0: nothing
        self.has_older = False
        self._entries: dict[str, Entry] = {}  # in the order of the screen
        self._message_of: dict[int, str] = {}  # durable id of a message -> key
        self._queue: list[int] = []
        self._last_id = 0  # of the durable events so far
        self._opens: OpenRun | None = None  # an open answer whose question is still to come in a replay
        self._unsent = Unsent()

    @property
    def entries(self) -> list[Entry]:
        """Everything on the screen, oldest first."""
        self._join()
        return [*self._entries.values(), *(e for key, e in self._unsent.entries.items() if key not in self._entries)]

    @property
    def is_caught_up(self) -> bool:
        """Whether all that was there at the first welcome has come."""
        return self._away.is_over

    @property
    def queued(self) -> int:
        return len(self._queue)

    # ---- own messages before they are durable ------------------------------------------------------

    def sending(self, cid: str, text: str, time_s: float, *, is_offered: bool = False) -> list[Change]:
        """A message was given to the link; an offered one is too old to go out by itself."""
        key = key_of(self.me, cid)
        if key in self._entries:
            return []
        return self._unsent.add(key, self.me, text, time_s, is_offered=is_offered)

    @property
    def unsent(self) -> list[tuple[str, str]]:
        """(cid, text) of one's own messages that were refused or are only offered, oldest first."""
        return self._unsent.failed

    def forget(self, cid: str) -> list[Change]:
        """An unsent message was given up."""
        return self._unsent.forget(key_of(self.me, cid))

    # ---- events -------------------------------------------------------------------------------------

    def apply(self, event: Event, now_s: float | None = None) -> list[Change]:
        """One event, in order. `now_s`: the client's clock, unix seconds; an answer that begins live shows it until the
        server tells its own."""
        match event:
            case Welcome():
                return self._welcome(event)
            case Snapshot():
                return self._snapshot(event)
            case Page():
                return self._page(event)
            case Token():
                return self._token(event)
            case Status():
                return self._status(event, now_s)
            case Error() if event.run is UNSET:
                if event.ref is not UNSET and event.ref is not None:
                    return self._unsent.refused(key_of(self.me, event.ref), event.message)
            case UserJoined() | UserLeft():
                self.members.change(event)
            case UserTyping():
                self.members.typing(event)
            case Ack():
                return self._unsent.acked(key_of(self.me, event.ref))
            case Progress():
                task = self.tasks.get(event.task)
                if task is not None:
                    self.tasks[event.task] = tasks.moved(task, event)
            case RoomList():
                pass
            case _:
                changes = self._durable(event)
                if event.id is not UNSET:
                    self.head = event.id
                    changes += self._tell_away(event.id)
                return changes
        return []

    def _welcome(self, event: Welcome) -> list[Change]:
        self.room = clean_line(event.room)
        self.me = clean_line(event.user)
        self.members.welcome(event)
        self.agent, self.model = clean_line(event.agent.name), clean_line(event.agent.model)
        self.message_bytes = event.limits.message_bytes
        # What ended meanwhile is still known by its title until the replay tells its end.
        known = self.tasks if event.recovered else {}
        self.tasks = known | {task.task: tasks.cleaned(task) for task in event.tasks}
        self._away.welcome(event.head)
        self._queue = [item.id for item in event.queue]
        if not event.recovered:
            return []
        changes = self._requeue() + self._tell_away(self.head)
        if self.running is not None and (event.open_run is None or event.open_run.run != self.running.run):
            self._join()
            self.running = None  # its end is among the events that follow
        self._opens = None
        if event.open_run is not None and self.running is None:
            if event.open_run.asked[-1:] > [self._last_id]:
                self._opens = event.open_run  # its question is among the events that follow, and stands before it
            else:
                changes += self._open(event.open_run)
        return changes

    def _snapshot(self, event: Snapshot) -> list[Change]:
        self._entries.clear()
        self._message_of.clear()
        self.running = self._opens = None
        self.usage = None
        open_tasks = dict(self.tasks)  # as the welcome told them: the events here are older
        for old in event.events:
            self._durable(old)
        self.tasks = open_tasks
        self._last_id = event.head
        self.oldest_id = _first_id(event.events)
        self.has_older = event.more
        if event.open_run is not None:
            self._open(event.open_run)
            content = event.open_run.content
            if content is not UNSET and content:
                self._token(Token(event.open_run.run, 0, content))
        self._requeue()
        self.head = event.head
        self._tell_away(event.head)
        return [Reset(tuple(self.entries))]

    def _page(self, event: Page) -> list[Change]:
        if event.events and not _first_id(event.events) < self.oldest_id <= _last_id(event.events) + 1:
            return []  # it does not adjoin: an export's, or asked for before a snapshot
        older = Chat(self.me)
        for old in event.events:
            if old.id is not UNSET and old.id < self.oldest_id:
                older._durable(old)
        entries = {key: entry for key, entry in older._entries.items() if key not in self._entries}
        self._entries = entries | self._entries
        self._message_of = older._message_of | self._message_of
        self.ended_tasks = older.ended_tasks | self.ended_tasks
        self.oldest_id = _first_id(event.events) or self.oldest_id
        self.has_older = event.more
        return [Prepend(tuple(entries.values()))] if entries else []

    # ---- durable events -------------------------------------------------------------------------------

    def _durable(self, event: DurableEvent) -> list[Change]:
        match event:
            case UserMessage():
                return self._message(event)
            case Done() | Interrupted() | Error():
                if isinstance(event, Done):
                    self.usage = event.usage
                return self._ended(event)
            case Cleared():
                # A replay comes after the welcome, whose queue is the present one: later messages stay in it.
                self._queue = [id for id in self._queue if id > event.id]
                changes = self._requeue()
                self.usage = None
                return [*changes, self._put(cleared_entry(event))]
            case TaskSubmitted():
                return self._task_submitted(event)
            case Complete():
                return self._task_ended(event)
            case _:
                return []

    def _message(self, event: UserMessage) -> list[Change]:
        entry = message_entry(event, self.me)
        key = entry.key
        self._unsent.entries.pop(key, None)
        self._message_of[event.id] = key
        # It now stands where the log has it, behind what was durable before and before what is still being sent.
        self._entries.pop(key, None)
        changes: list[Change] = [self._put(entry)]
        self._last_id = event.id
        if self._opens is not None and self._opens.asked[-1] == event.id:
            opens, self._opens = self._opens, None
            changes += self._open(opens)
        if event.id in self._queue:
            changes += self._requeue()
        return changes

    def _ended(self, event: Done | Interrupted | Error) -> list[Change]:
        if self.running is not None and self.running.run == event.run:
            self.running = None
        asked = [] if event.asked is UNSET else event.asked
        return [*self._taken_up(asked), self._put(answer_entry(event, self.agent or "agent"), asked)]

    def _task_submitted(self, event: TaskSubmitted) -> list[Change]:
        info = tasks.submitted(event)
        self.tasks.setdefault(event.task, info)  # a welcome may have told more of it
        return [self._put(submitted_entry(event, info))]

    def _task_ended(self, event: Complete) -> list[Change]:
        task = tasks.ended(event, self.tasks.pop(event.task, None))
        self.ended_tasks[event.task] = task
        self._away.ended(event.id, task)
        return [self._put(replace(task_entry(task), id=event.id, is_folded=True))]

    def _tell_away(self, id: int) -> list[Change]:
        """What ended while one was away, once all of it has come."""
        lines = self._away.passed(id)
        return [self._put(Entry(f"away:{id}:{n}", "notice", line)) for n, line in enumerate(lines)]

    def _put(self, entry: Entry, asked: Sequence[int] = ()) -> Upsert:
        """Into its place: as it stood, after the last message it answers, or at the end."""
        if entry.key in self._entries:
            self._entries[entry.key] = entry
            return Upsert(entry)
        after = next((self._message_of[id] for id in reversed(asked) if id in self._message_of), None)
        if after is None or after not in self._entries or next(reversed(self._entries)) == after:
            self._entries[entry.key] = entry
            last = None if len(self._entries) == 1 else list(self._entries)[-2] if self._unsent.entries else None
            return Upsert(entry, last)
        placed: dict[str, Entry] = {}
        for key, value in self._entries.items():
            placed[key] = value
            if key == after:
                placed[entry.key] = entry
        self._entries = placed
        return Upsert(entry, after)

    # ---- the open answer --------------------------------------------------------------------------------

    def _open(self, info: OpenRun | Status, now_s: float | None = None) -> list[Change]:
        users = tuple(clean_line(user) for user in info.users)
        self._join()
        self.running = Running(info.run, info.status, users)
        entry = Entry(
            f"a:{info.run}", "answer", "", self.agent or "agent", state="thinking", time_s=now_s, run=info.run,
            has_markdown=True,
        )  # fmt: skip
        return [*self._taken_up(info.asked), self._put(entry, info.asked)]

    def _status(self, event: Status, now_s: float | None) -> list[Change]:
        if event.status == "queued":
            self._queue = list(event.asked)
            return self._requeue()
        if event.status == "idle":
            return []
        changes: list[Change] = []
        if self.running is None or self.running.run != event.run:
            changes = self._open(event, now_s)
        assert self.running is not None
        self.running.status = event.status
        note = "" if event.note is UNSET else clean_line(event.note)
        self.running.note = note
        key = f"a:{event.run}"
        self._join()
        entry = self._entries[key]
        state: EntryState = "streaming" if event.status == "streaming" else "thinking"
        if (entry.state, entry.note) != (state, note):
            self._entries[key] = replace(entry, state=state, note=note)
            changes.append(Upsert(self._entries[key]))
        return changes

    def _token(self, event: Token) -> list[Change]:
        changes: list[Change] = []
        if self.running is None or self.running.run != event.run:
            return []  # a late piece of a run that ended
        known = self.running.raw_length - event.offset
        if known < 0:
            return []  # a gap: the link comes back with all of it
        piece = event.content[known:]
        if not piece:
            return []
        key = f"a:{event.run}"
        entry = self._entries[key]
        if entry.state == "thinking":
            self._join()
            entry = self._entries[key] = replace(self._entries[key], state="streaming", note="")
            changes.append(Upsert(entry))
        self.running.raw_length += len(piece)
        self.running.status = "streaming"
        text = self.running.cleaner.feed(piece)
        if text:
            self.running.pieces.append(text)
            changes.append(Stream(key, text))
        return changes

    def _join(self) -> None:
        """Put the pieces of the open answer into its entry: not at each token, which would cost the answer's length."""
        running = self.running
        if running is not None and running.pieces:
            key = f"a:{running.run}"
            entry = self._entries[key]
            self._entries[key] = replace(entry, text="".join([entry.text, *running.pieces]))
            running.pieces.clear()

    def _taken_up(self, asked: Iterable[int]) -> list[Change]:
        """The messages of a run that began are not queued any more."""
        taken = set(asked)
        if not taken.intersection(self._queue):
            return []
        self._queue = [id for id in self._queue if id not in taken]
        return self._requeue(taken)

    def _requeue(self, also: Iterable[int] = ()) -> list[Change]:
        """Show each message's place in the queue, or that it waits no more."""
        changes: list[Change] = []
        places = {id: place for place, id in enumerate(self._queue, 1)}
        for id, key in self._message_of.items():
            entry = self._entries.get(key)
            if entry is None or (id not in places and entry.state != "queued"):
                continue
            state: EntryState = "queued" if id in places else "sent"
            note = f"{_ordinal(places[id])} in the queue" if id in places else ""
            if (entry.state, entry.note) != (state, note):
                self._entries[key] = replace(entry, state=state, note=note)
                changes.append(Upsert(self._entries[key]))
        return changes


def _first_id(events: Sequence[DurableEvent]) -> int:
    for event in events:
        if event.id is not UNSET:
            return event.id
    return 0


def _last_id(events: Sequence[DurableEvent]) -> int:
    return _first_id(events[::-1])


def _ordinal(number: int) -> str:
    return {1: "1st", 2: "2nd", 3: "3rd"}.get(number, f"{number}th")
