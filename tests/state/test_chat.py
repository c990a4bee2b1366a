"""The fold: live events and a fresh snapshot give the same screen, for every event type."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from server import protocol as wire
from server.core import room as rules
from server.core import room_tasks
from server.core.log import Log
from server.core.task import Moved, OpenTask, Outcome
from server.protocol import decode_durable, encode
from tui_agent.state.changes import Prepend, Remove, Reset, Stream, Upsert
from tui_agent.state.chat import Chat
from tui_agent.state.entry import Entry

TEXT = st.text(alphabet="ab \n\r\x1b\u0301é漢😀[/]*", min_size=1, max_size=12).filter(lambda text: text.strip() != "")


class Screen:
    """What a widget makes of the changes alone."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def show(self, changes) -> None:
        for change in changes:
            keys = [entry.key for entry in self.entries]
            match change:
                case Reset(entries):
                    self.entries = list(entries)
                case Prepend(entries):
                    self.entries[:0] = entries
                case Remove(key):
                    del self.entries[keys.index(key)]
                case Stream(key, text):
                    old = self.entries[keys.index(key)]
                    self.entries[keys.index(key)] = replace(old, text=old.text + text)
                case Upsert(entry, after):
                    if entry.key in keys:
                        self.entries[keys.index(entry.key)] = entry
                    elif after is None:
                        self.entries.append(entry)
                    else:
                        self.entries.insert(keys.index(after) + 1, entry)


def task_info(task: OpenTask) -> wire.TaskInfo:
    return wire.TaskInfo(task.task, task.title, task.user, task.status, task.percent, task.message)


class Server:
    """The real rules, with the events they make."""

    def __init__(self) -> None:
        self.state = rules.RoomState()
        self.events: list[wire.DurableEvent] = []
        self.text = ""
        self.log = Log()

    def do(self, action, chat_apply) -> None:
        kind, user, text = action
        before = self.state.open_run
        plan = None
        match kind:
            case "say":
                plan = rules.post(self.state, user=user, cid=f"c{self.state.head}", content=text, now_s=1e9)
            case "token" if before is not None:
                chat_apply(wire.Token(before.run, len(self.text), text))
                self.text += text
            case "late":
                chat_apply(wire.Token("r0", 0, text))
            case "done" if before is not None:
                plan = rules.finish(
                    self.state, run=before.run, content=self.text, stop_reason="end_turn", usage=wire.Usage(), now_s=1e9
                )
            case "fail" if before is not None:
                plan = rules.fail(
                    self.state, run=before.run, code="model_error", message=text, content=self.text, now_s=1e9
                )
            case "stop" if before is not None:
                plan = rules.interrupt(self.state, run=before.run, by=user, reason="user", content=self.text, now_s=1e9)
            case "clear":
                plan = rules.clear(self.state, user=user, cid=f"c{self.state.head}", content=self.text, now_s=1e9)
            case "task":
                plan = room_tasks.submit(
                    self.state, user=user, cid=f"c{self.state.head}", prompt=text, title="", now_s=1e9
                )
            case "move" if self.state.tasks:
                plan = room_tasks.progress(
                    self.state, task=self.state.tasks[0].task, moved=Moved(len(text) * 5, text), now_s=1e9
                )
                if plan is not None:
                    task = plan.state.tasks[0]
                    chat_apply(wire.Progress(task.task, task.percent, task.message))
            case "complete" if self.state.tasks:
                plan = room_tasks.complete(
                    self.state, task=self.state.tasks[-1].task, outcome=Outcome("completed", text), now_s=1e9
                )
            case "cancel" if self.state.tasks:
                plan = room_tasks.complete(
                    self.state, task=self.state.tasks[0].task, outcome=Outcome("canceled", text), now_s=1e9, by=user
                )
            case "refuse":
                chat_apply(wire.Error("busy", text, ref="unknown", retryable=True))
            case "leave":
                chat_apply(wire.UserLeft([user], 0))
            case "join":
                chat_apply(wire.UserJoined([user], 1))
            case "typing":
                chat_apply(wire.UserTyping(user, True))
        if not isinstance(plan, rules.Plan):
            return
        self.state = plan.state
        for event in plan.events:
            self.log.append(event.id, encode(event))
            self.events.append(event)
            chat_apply(event)
        if plan.ends or plan.starts:
            self.text = ""
        if plan.starts is not None:
            info = plan.starts
            chat_apply(wire.Status(info.run, "thinking", list(info.asked), list(info.users)))
        elif self.state.queue and not plan.ends:
            ids = [message.id for message in self.state.queue]
            chat_apply(wire.Status(self.state.queued_run, "queued", ids, []))

    def welcome(self, me: str, recovered: bool) -> wire.Welcome:
        return wire.Welcome(
            "s/1", "main", me, "c1", "e", self.log.head, recovered, [], 0, self.open_run(False), list(self.state.queue),
            [task_info(task) for task in self.state.tasks], wire.AgentInfo("agent", "m"), wire.Limits(),
        )  # fmt: skip

    def open_run(self, with_content: bool) -> wire.OpenRun | None:
        info = self.state.open_run
        if info is None:
            return None
        status = "streaming" if self.text else "thinking"
        run = wire.OpenRun(info.run, status, list(info.asked), list(info.users))
        if with_content:
            run.content = self.text
        return run

    def snapshot(self) -> wire.Snapshot:
        events = [decode_durable(encode(event)) for event in self.events]
        return wire.Snapshot("e", self.log.head, events, False, self.open_run(True))


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "say",
                "say",
                "token",
                "token",
                "late",
                "done",
                "fail",
                "stop",
                "clear",
                "join",
                "leave",
                "typing",
                "refuse",
            ]
            + ["task", "move", "complete", "cancel"]
        ),
        st.sampled_from(["ada", "ben"]),
        TEXT,
    ),
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(ACTIONS, st.integers(0, 30))
def test_live_events_and_a_fresh_snapshot_give_the_same_screen(actions, joins_at: int) -> None:
    server, chat, screen = Server(), Chat("ada"), Screen()

    def apply(event) -> None:
        screen.show(chat.apply(event))

    for action in actions[:joins_at]:
        server.do(action, lambda event: None)
    for event in (server.welcome("ada", False), server.snapshot()):
        apply(event)
    for action in actions[joins_at:]:
        server.do(action, apply)
    fresh = Chat("ada")
    fresh.apply(server.welcome("ada", False))
    fresh.apply(server.snapshot())
    assert chat.entries == fresh.entries
    assert screen.entries == chat.entries, "the changes alone draw the same"
    assert chat.queued == fresh.queued
    assert chat.tasks.keys() == fresh.tasks.keys()


def connected(me: str = "ada") -> tuple[Chat, Server]:
    server, chat = Server(), Chat(me)
    chat.apply(server.welcome(me, False))
    chat.apply(server.snapshot())
    return chat, server


def test_an_own_message_is_sending_then_sent_and_never_twice() -> None:
    chat, server = connected()
    screen = Screen()
    screen.show(chat.sending("c0", "hello", 1.0))
    assert [entry.state for entry in screen.entries] == ["sending"]
    screen.show(chat.apply(wire.Ack("c0", False, 1, "r1")))
    assert [entry.state for entry in screen.entries] == ["sent"]
    server.do(("say", "ada", "hello"), lambda event: screen.show(chat.apply(event)))
    assert [(entry.kind, entry.state) for entry in screen.entries] == [("message", "sent"), ("answer", "thinking")]
    assert chat.sending("c0", "hello", 2.0) == []


def test_a_refused_message_says_why_and_can_be_forgotten() -> None:
    chat, _ = connected()
    chat.sending("c0", "hello", 1.0)
    chat.apply(wire.Error("busy", "8 messages wait\x1b already.", ref="c0", retryable=True))
    assert (chat.entries[0].state, chat.entries[0].note) == (
        "failed",
        "8 messages wait␛ already. · /resend tries again, /discard drops it",
    )
    chat.forget("c0")
    assert chat.entries == []


def test_own_unsent_messages_stay_below_everything_and_survive_a_snapshot() -> None:
    chat, server = connected()
    screen = Screen()
    server.do(("say", "ben", "hi"), lambda event: screen.show(chat.apply(event)))
    screen.show(chat.sending("mine", "later", 1.0))
    server.do(("done", "", ""), lambda event: screen.show(chat.apply(event)))
    server.do(("say", "ben", "again"), lambda event: screen.show(chat.apply(event)))
    assert [entry.text for entry in screen.entries] == ["hi", "", "again", "", "later"]
    screen.show(chat.apply(server.snapshot()))
    assert [entry.text for entry in screen.entries] == ["hi", "", "again", "", "later"]


def test_queued_messages_show_their_place() -> None:
    chat, server = connected()
    for text in ("first", "second", "third"):
        server.do(("say", "ben", text), chat.apply)
    assert [entry.note for entry in chat.entries if entry.kind == "message"] == [
        "",
        "1st in the queue",
        "2nd in the queue",
    ]
    server.do(("done", "", ""), chat.apply)
    assert [entry.state for entry in chat.entries if entry.kind == "message"] == ["sent"] * 3


def test_older_pages_go_before_and_never_twice() -> None:
    chat, server = connected()
    for number in range(6):
        server.do(("say", "ben", f"message {number}"), lambda event: None)
        server.do(("done", "", ""), lambda event: None)
    snapshot = server.snapshot()
    events = snapshot.events
    snapshot.events, snapshot.more = events[6:], True
    chat.apply(snapshot)
    changes = chat.apply(wire.Page("p", events[2:8], True))
    assert isinstance(changes[0], Prepend)
    assert [entry.id for entry in chat.entries] == list(range(3, 13))
    assert (chat.oldest_id, chat.has_older) == (3, True)


def test_a_page_that_does_not_adjoin_changes_nothing() -> None:
    chat, server = connected()
    for number in range(6):
        server.do(("say", "ben", f"message {number}"), lambda event: None)
        server.do(("done", "", ""), lambda event: None)
    snapshot = server.snapshot()
    events = snapshot.events
    snapshot.events, snapshot.more = events[6:], True
    chat.apply(snapshot)
    for page in (wire.Page("an export's", events[8:], True), wire.Page("far off", events[:3], False)):
        assert chat.apply(page) == []
        assert (chat.oldest_id, chat.has_older) == (7, True)


def test_a_resumed_answer_continues_where_it_was() -> None:
    chat, server = connected()
    server.do(("say", "ben", "q"), chat.apply)
    server.do(("token", "", "one "), chat.apply)
    chat.apply(server.welcome("ada", True))
    chat.apply(wire.Token("r1", 2, "e two"))
    assert chat.entries[-1].text == "one two"
    chat.apply(wire.Token("r1", 99, "gap"))
    assert chat.entries[-1].text == "one two"


@settings(max_examples=200, deadline=None)
@given(ACTIONS, st.integers(0, 30), st.integers(0, 30))
def test_a_replay_of_what_was_missed_gives_the_screen_of_a_fresh_snapshot(actions, leaves_at: int, back: int) -> None:
    server, chat = Server(), Chat("ada")
    chat.apply(server.welcome("ada", False))
    chat.apply(server.snapshot())
    for action in actions[:leaves_at]:
        server.do(action, chat.apply)
    known, run, length = server.log.head, chat.running, 0
    if run is not None:
        length = run.raw_length
    for action in actions[leaves_at : leaves_at + back]:
        server.do(action, lambda event: None)
    chat.apply(server.welcome("ada", True))
    for event in server.events[known:]:
        chat.apply(event)
    if server.state.open_run is not None:
        offset = length if run is not None and run.run == server.state.open_run.run else 0
        chat.apply(wire.Token(server.state.open_run.run, offset, server.text[offset:]))
    fresh = Chat("ada")
    fresh.apply(server.welcome("ada", False))
    fresh.apply(server.snapshot())
    assert chat.entries == fresh.entries


def test_an_answer_that_begins_live_has_the_clients_time_until_the_server_tells_its_own() -> None:
    chat = Chat("ada")
    chat.apply(wire.Status("r1", "thinking", [1], ["ada"]), 1000.0)
    assert chat.entries[-1].time_s == 1000.0
    chat.apply(wire.Token("r1", 0, "text"), 1060.0)
    chat.apply(wire.Status("r1", "streaming", [1], ["ada"], note="slow"), 1070.0)
    assert chat.entries[-1].time_s == 1000.0, "it says when the answer began"
    done = wire.Done(2, "1970-01-01T01:00:00Z", "r1", [1], ["ada"], "text", "end_turn", wire.Usage())
    chat.apply(done, 1080.0)
    assert chat.entries[-1].time_s == 3600.0


def test_an_answer_that_is_found_open_has_no_time_before_it_ends() -> None:
    chat, server = connected()
    server.do(("say", "ben", "q"), lambda event: None)
    server.do(("token", "", "one "), lambda event: None)
    chat.apply(server.welcome("ada", False), 1000.0)
    chat.apply(server.snapshot(), 1000.0)
    chat.apply(wire.Token("r1", 4, "two"), 1001.0)
    assert (chat.entries[-1].text, chat.entries[-1].time_s) == ("one two", None)


def test_a_token_costs_its_own_length_and_the_whole_text_is_there_when_looked_at() -> None:
    chat = Chat("ada")
    chat.apply(wire.Status("r1", "streaming", [1], ["ada"]))
    before = chat._entries["a:r1"]
    for number in range(50):
        assert chat.apply(wire.Token("r1", number * 2, "ab"))[-1] == Stream("a:r1", "ab")
    assert chat._entries["a:r1"].text == before.text == ""  # no text was built meanwhile
    assert chat.entries[-1].text == "ab" * 50
    chat.apply(wire.Token("r1", 100, "c"))
    chat.apply(wire.Status("r1", "streaming", [1], ["ada"], note="slow"))
    assert chat.entries[-1].text == "ab" * 50 + "c"
