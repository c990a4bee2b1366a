"""Tasks in the fold: what is shown of them, the time that is left, and what ended while one was away."""

from __future__ import annotations

from msgspec import UNSET

from server.protocol import (
    AgentInfo,
    Complete,
    Limits,
    Progress,
    Snapshot,
    TaskInfo,
    TaskSubmitted,
    Welcome,
)
from tui_agent.state.chat import Chat
from tui_agent.state.speaking import Speaking
from tui_agent.state.tasks import cleaned, end_words, left_s, left_words, moved, step_words

NOW = "2026-11-25T10:00:00.000Z"
RUNNING = TaskInfo("t1", "Read", "ada", "running", 50, "part 1", started=NOW, step=1, steps=["a", "b", "c"])


def welcome(head: int, *, recovered: bool = False, tasks: list[TaskInfo] | None = None) -> Welcome:
    return Welcome(
        "s",
        "main",
        "ada",
        "c1",
        "e",
        head,
        recovered,
        [],
        0,
        None,
        [],
        tasks or [],
        AgentInfo("demo", "demo"),
        Limits(),
    )


def submitted(id: int, task: str = "t1", **fields) -> TaskSubmitted:
    return TaskSubmitted(id, NOW, task, f"c{id}", "ada", f"Title of {task}", "prompt", **fields)


def complete(id: int, task: str = "t1", status: str = "completed", **fields) -> Complete:
    return Complete(id, NOW, task, status, "the result", **({"title": f"Title of {task}", "user": "ada"} | fields))


def snapshot(head: int, *events) -> Snapshot:
    return Snapshot("e", head, list(events), False, None)


def notices(chat: Chat) -> list[str]:
    return [entry.text for entry in chat.entries if entry.kind == "notice"]


def test_a_task_goes_from_its_submission_to_a_folded_result() -> None:
    chat = Chat("ben")
    chat.apply(welcome(0))
    chat.apply(snapshot(0))
    chat.apply(submitted(1))
    assert chat.tasks["t1"].status == "queued"
    chat.apply(Progress("t1", 40, "part 1", status="running", started=NOW, step=1, steps=["a", "b", "c"]))
    chat.apply(Progress("t1", 30, "older", step=0))
    task = chat.tasks["t1"]
    assert (task.percent, task.message, task.steps) == (40, "older", ["a", "b", "c"])
    chat.apply(complete(2))
    assert chat.tasks == {}
    entry = chat.entries[-1]
    assert (entry.kind, entry.user, entry.text, entry.is_folded) == ("task", "Title of t1", "the result", True)
    assert chat.ended_tasks["t1"].info == task
    assert notices(chat) == ["ada gave a task: Title of t1"]


def test_the_room_sees_who_caused_a_task_that_the_agent_started() -> None:
    chat = Chat("ben")
    chat.apply(submitted(1, run="r1"))
    assert notices(chat) == ["the agent took on a task for ada: Title of t1"]


def test_the_tasks_of_a_welcome_are_the_present_ones_whatever_the_replay_says() -> None:
    chat = Chat("ada")
    chat.apply(welcome(5, tasks=[RUNNING]))
    chat.apply(snapshot(5, submitted(1), submitted(2, "t0"), complete(4, "t0")))
    assert list(chat.tasks) == ["t1"]
    assert chat.tasks["t1"].percent == 50
    chat.apply(welcome(8, recovered=True, tasks=[RUNNING]))
    chat.apply(submitted(6, "t2"))
    chat.apply(complete(7, "t2"))
    assert list(chat.tasks) == ["t1"]


def test_what_ended_while_one_was_away_is_told_once() -> None:
    chat = Chat("ada", seen_id=3)
    chat.apply(welcome(9))
    assert not chat.is_caught_up
    chat.apply(snapshot(9, complete(2, "t1"), complete(5, "t2"), complete(9, "t3", "failed", message="No.")))
    assert notices(chat) == [
        "while you were away  ✓ Title of t2 · ada",
        "while you were away  ✗ Title of t3 · ada",
    ]
    assert chat.is_caught_up
    chat.apply(complete(10, "t4"))
    chat.apply(welcome(10, recovered=True))
    assert len(notices(chat)) == 2


def test_a_first_visit_and_one_that_missed_nothing_tell_nothing() -> None:
    for seen in (None, 9):
        chat = Chat("ada", seen_id=seen)
        chat.apply(welcome(9))
        chat.apply(snapshot(9, complete(5)))
        assert notices(chat) == []
        assert chat.is_caught_up


def test_many_that_ended_are_counted() -> None:
    chat = Chat("ada", seen_id=0)
    chat.apply(welcome(9))
    chat.apply(snapshot(9, *(complete(id, f"t{id}") for id in range(1, 10))))
    assert len(notices(chat)) == 6
    assert notices(chat)[-1] == "while you were away  and 4 more tasks ended"


def test_the_time_left_is_told_only_where_it_can_be_known() -> None:
    assert left_s(RUNNING, 100.0, 160.0) == 60.0
    for percent, elapsed_s in ((100, 60.0), (50, 2.0), (50, -30.0), (50, 90_000.0)):
        assert left_s(moved(RUNNING, Progress("t1", percent, "")), 100.0, 100.0 + elapsed_s) is None
    assert left_s(TaskInfo("t", "", "", "running", 5, ""), 100.0, 160.0) is None
    assert left_s(TaskInfo("t", "", "", "queued", 50, ""), 100.0, 160.0) is None
    assert left_s(RUNNING, None, 160.0) is None
    assert [left_words(s) for s in (1, 42, 54, 70, 900, 5400, 7000)] == [
        "5 s left", "40 s left", "55 s left", "1 m left", "15 m left", "1.5 h left", "2 h left"
    ]  # fmt: skip


def test_the_step_is_told_once_there_is_a_plan() -> None:
    assert step_words(RUNNING) == "2 of 3"
    assert step_words(TaskInfo("t", "", "", "running", 0, "")) == ""


def test_nothing_of_a_task_can_command_the_terminal() -> None:
    evil = "\x1b]52;c;ZXZpbA==\x07\nb\u202e"
    task = cleaned(TaskInfo("t1", evil, evil, "running", 900, evil, steps=[evil]))
    for text in (task.title, task.user, task.message, *([] if task.steps is UNSET else task.steps)):
        assert text == "␛]52;c;ZXZpbA==␇ b"
    assert task.percent == 100
    chat = Chat("ada")
    chat.apply(submitted(1))
    chat.apply(complete(2, title=evil, user=evil, message=evil))
    ended = chat.ended_tasks["t1"]
    assert "\x1b" not in ended.title + ended.user + ended.note + end_words(ended, "ada")


def test_the_end_is_spoken_behind_what_is_being_said() -> None:
    speaking = Speaking(40, iter(range(9)).__next__)
    first, second = speaking.announce("one"), speaking.announce("two")
    assert (first.number, second.number, first.gen == second.gen == speaking.gen) == (1, 2, True)
    assert not speaking.is_silent
    speaking.spoken(speaking.gen, 2)
    assert speaking.is_silent


def test_the_end_of_a_task_in_one_sentence() -> None:
    chat = Chat("ada")
    for id, status in enumerate(("completed", "failed", "canceled"), 1):
        chat.apply(complete(id, f"t{id}", status))
    assert [end_words(task, "ada") for task in chat.ended_tasks.values()] == [
        "Your task is done: Title of t1", "Your task failed: Title of t2", "Your task was stopped: Title of t3"
    ]  # fmt: skip
    assert end_words(chat.ended_tasks["t1"], "ben") == "ada's task is done: Title of t1"
