"""A room told in lines, and several typed lines as one message."""

from __future__ import annotations

from typing import Any

import pytest

from server import protocol as wire
from tui_agent.state.lines import Gatherer
from tui_agent.state.narrator import Narrator

TIME = "2026-11-24T12:00:00.000Z"


def welcome(*users: str, open_run: wire.OpenRun | None = None) -> wire.Welcome:
    members = [wire.Member(user, 1, TIME) for user in users]
    return wire.Welcome(
        "tui-agent/1.0.0", "main", "ada", "c1", "e1", 0, False, members, len(members), open_run, [], [],
        wire.AgentInfo("claude", "m"), wire.Limits(),
    )  # fmt: skip


def said(id: int, user: str, text: str, run: str = "r1") -> wire.UserMessage:
    return wire.UserMessage(id, TIME, user, f"c{id}", text, run)


def done(id: int, text: str, run: str = "r1", stop_reason: str = "end_turn") -> wire.Done:
    return wire.Done(id, TIME, run, [1], ["ada"], text, stop_reason, wire.Usage())


def snapshot(*events: Any, epoch: str = "e1", open_run: wire.OpenRun | None = None) -> wire.Snapshot:
    return wire.Snapshot(epoch, events[-1].id if events else 0, list(events), False, open_run)


class Told:
    """A narrator in a room, and what it tells."""

    def __init__(self, *, tells_own: bool = True, tells_earlier: bool = True) -> None:
        self.narrator = Narrator("ada", tells_own=tells_own, tells_earlier=tells_earlier)

    def hear(self, *events: Any) -> list[str]:
        return [line.text for event in events for line in self.narrator.apply(event)]

    def come_in(self, *events: Any) -> list[str]:
        return self.hear(welcome("ada", "ben"), snapshot(*events))


def test_coming_in_says_where_one_is_with_whom_and_what_was_said() -> None:
    assert Told().come_in(said(1, "ben", "hi\nthere"), done(2, "Hello.")) == [
        "You are in #main as ada. With you: ben. The agent is claude.",
        "Earlier in this room:",
        "ben: hi",
        "there",
        "claude: Hello.",
        "Now:",
    ]


def test_another_s_message_under_the_same_cid_is_told() -> None:
    told = Told(tells_own=False)
    told.come_in()
    told.narrator.sent("c1")
    assert told.hear(wire.UserMessage(1, "", "ben", "c1", "mine now", "r1")) == ["ben: mine now"]
    assert told.hear(wire.UserMessage(2, "", "ada", "c1", "mine", "r2")) == []


def test_a_pipe_is_told_nothing_from_before() -> None:
    assert len(Told(tells_earlier=False).come_in(said(1, "ben", "hi"))) == 1


def test_an_answer_is_told_line_by_line_once() -> None:
    told = Told()
    told.come_in()
    assert told.hear(said(1, "ada", "q"), wire.Status("r1", "thinking", [1], ["ada"])) == [
        "ada: q", "claude is thinking…",
    ]  # fmt: skip
    assert told.hear(wire.Token("r1", 0, "One")) == []
    assert told.hear(wire.Token("r1", 3, " two\n\nthr")) == ["claude: One two", ""]
    assert told.hear(wire.Token("r1", 3, " two\n\nthree\nfo")) == ["three"]
    assert told.hear(done(2, "One two\n\nthree\nfour")) == ["four"]


def test_an_answer_goes_on_by_name_when_somebody_spoke_between() -> None:
    told = Told()
    told.come_in()
    told.hear(said(1, "ada", "q"), wire.Token("r1", 0, "one\n"))
    assert told.hear(said(2, "ben", "wait"), wire.Token("r1", 4, "two\n")) == [
        "ben: wait", "claude, going on: two",
    ]  # fmt: skip


def test_how_an_answer_ended_is_said_in_words() -> None:
    told = Told()
    told.come_in()
    part = wire.Interrupted(1, TIME, "r1", [], ["ada"], "ben", "user", "half")
    assert told.hear(part) == ["claude: half", "The answer was interrupted by ben."]
    cut = wire.Interrupted(2, TIME, "r2", [], ["ada"], None, "server_restart", "")
    assert told.hear(cut) == ["The answer was cut off by a restart of the server. Ask again."]
    failed = wire.Error("model_error", "The model failed.", id=3, time=TIME, run="r3", content="x\n")
    assert told.hear(failed) == ["claude: x", "The answer failed: The model failed."]
    assert told.hear(done(4, "long", "r4", "max_tokens"))[1:] == [
        "The answer was cut at the model's length limit; ask it to go on."
    ]


def test_what_was_told_is_not_told_again_after_a_new_snapshot() -> None:
    told = Told()
    told.come_in(said(1, "ben", "hi"))
    assert told.hear(welcome("ada"), snapshot(said(1, "ben", "hi"), said(2, "ben", "more"))) == [
        "Connected again.", "ben: more",
    ]  # fmt: skip
    assert told.hear(snapshot(said(9, "ben", "late")))[0].startswith("More was said in between")
    assert told.hear(snapshot(said(1, "ben", "new"), epoch="e2")) == [
        "The room's history was lost or reset on the server; this is what it has now:", "ben: new",
    ]  # fmt: skip


def test_an_open_answer_of_a_snapshot_is_told_from_where_it_was() -> None:
    told = Told()
    told.come_in()
    told.hear(wire.Token("r1", 0, "one\ntw"))
    open_run = wire.OpenRun("r1", "streaming", [1], ["ada"], "one\ntwo\n")
    assert told.hear(snapshot(open_run=open_run)) == ["two"]


def test_who_comes_and_goes_is_said_and_oneself_is_not() -> None:
    told = Told()
    told.come_in()
    assert told.hear(wire.UserJoined(["ada", "chen", "dora"], 4)) == ["chen and dora joined."]
    assert told.hear(wire.UserJoined([f"u{n}" for n in range(9)], 13))[0].endswith("u4 and 4 more joined.")
    assert told.hear(wire.UserLeft(["ben"], 1)) == ["ben left."]
    assert told.hear(wire.UserTyping("chen", True)) == []


def test_what_was_typed_here_is_not_told_twice_at_a_terminal() -> None:
    told = Told(tells_own=False)
    told.come_in()
    told.narrator.sent("c1")
    assert told.hear(said(1, "ada", "q")) == []
    assert told.hear(said(2, "ada", "from my other terminal")) == ["ada: from my other terminal"]


def test_a_place_in_the_queue_and_a_refusal_are_said_once() -> None:
    told = Told(tells_own=False)
    told.come_in()
    told.narrator.sent("c5")
    queued = wire.Status("r2", "queued", [3, 5], ["ben", "ada"])
    assert told.hear(said(5, "ada", "q"), queued, queued) == [
        "The agent is busy; your message is number 2 in the queue."
    ]
    told.narrator.sent("c6")
    assert told.hear(wire.Error("busy", "Eight wait.", ref="c6")) == ["Not sent: Eight wait."]
    assert told.hear(wire.Error("busy", "x", ref="another's")) == []


def test_tasks_are_told_from_their_start_to_their_result() -> None:
    told = Told()
    told.come_in()
    assert told.hear(wire.TaskSubmitted(1, TIME, "t1", "c", "ben", "Crawl", "crawl it")) == [
        "ben started the task “Crawl” (t1)."
    ]
    steps = [told.hear(wire.Progress("t1", percent, "page")) for percent in (1, 26, 30, 55, 100)]
    assert steps == [[], ["The task “Crawl”: 26 %, page."], [], ["The task “Crawl”: 55 %, page."], []]
    assert told.hear(wire.Complete(2, TIME, "t1", "completed", "a\nb\n")) == ["The task “Crawl” is done.", "a", "b"]
    assert told.hear(wire.Complete(3, TIME, "t2", "failed", "", message="no net")) == ["The task “t2” failed: no net"]
    assert told.hear(wire.Complete(4, TIME, "t3", "canceled", "", by="ada")) == ["The task “t3” was stopped by ada."]


def test_no_text_can_command_the_terminal() -> None:
    told = Told()
    lines = told.come_in(said(1, "ben\x1b[2J", "a\x1b]52;c;x\x07\n\x9b31m\u202eb"), done(2, "c\r\nd\x1b"))
    lines += told.hear(wire.Token("r2", 0, "\x1b"), wire.Token("r2", 1, "[2J\n"))
    lines += told.hear(wire.RoomList("x", [wire.RoomInfo("r", 1, 1, wire.LastLine(TIME, "\x1b", "\x07"))]))
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("lines", "messages"),
    [
        (["one", "two"], ["one", "two"]),
        (["one\\", "two\\", "three"], ["one\ntwo\nthree"]),
        (["ends in two \\\\"], ["ends in two \\\\"]),
        (['"""one', "", "two", '"""', "next"], ["one\n\ntwo", "next"]),
        (['"""one"""'], ["one"]),
        (['"""', 'say "hi"', 'end"""'], ['say "hi"\nend']),
    ],
)
def test_lines_become_messages(lines: list[str], messages: list[str]) -> None:
    gatherer = Gatherer()
    assert [text for text in map(gatherer.take, lines) if text is not None] == messages
    assert not gatherer.is_open


def test_what_was_begun_is_a_message_when_the_input_ends() -> None:
    gatherer = Gatherer()
    gatherer.take('"""half')
    assert gatherer.is_open
    assert gatherer.end() == "half"
    assert Gatherer().end() is None
