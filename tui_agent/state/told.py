"""A durable event of the server as the entry that tells it. All foreign text is cleaned here."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from zlib import crc32

from msgspec import UNSET

from server.protocol import Cleared, Done, Error, Interrupted, TaskInfo, TaskSubmitted, UserMessage
from tui_agent.state.clean import clean_line, clean_text
from tui_agent.state.entry import Entry, EntryState
from tui_agent.state.tasks import EndedTask

HUES: Final = 5
_STOPPED_SHORT: Final = {
    "max_tokens": "the answer was cut at the model's length limit; ask it to go on",
    "size_limit": "the answer was cut at the size limit; ask it to go on",
    "model_context_window_exceeded": "the conversation fills the model's context; /clear makes room",
}


def hue_of(name: str) -> int:
    """A person's colour: the same on every screen."""
    return crc32(name.encode(), 1) % HUES


def key_of(user: str, cid: str) -> str:
    """The key of a person's message: the same before it is durable and after."""
    return f"m:{user}:{cid}"


def message_entry(event: UserMessage, me: str) -> Entry:
    """What a person said; `me` is who looks."""
    user = clean_line(event.user)
    return Entry(
        key_of(user, event.cid), "message", clean_text(event.content), user, is_own=user == me, hue=hue_of(user),
        time_s=seconds(event.time), state="sent", id=event.id, run=event.run,
    )  # fmt: skip


def answer_entry(event: Done | Interrupted | Error, agent: str) -> Entry:
    """An answer that ended, and how."""
    assert event.run is not UNSET
    content = "" if event.content is UNSET else event.content
    state, note = _end(event)
    return Entry(
        f"a:{event.run}", "answer", clean_text(content), agent, state=state, note=note,
        time_s=None if event.time is UNSET else seconds(event.time),
        id=None if event.id is UNSET else event.id, run=event.run, has_markdown=True,
    )  # fmt: skip


def _end(event: Done | Interrupted | Error) -> tuple[EntryState, str]:
    if isinstance(event, Done):
        return "done", _STOPPED_SHORT.get(event.stop_reason, "")
    if isinstance(event, Error):
        return "failed", clean_line(event.message)
    by = clean_line(event.by or "")
    match event.reason:
        case "server_restart":
            return "cut", "cut off by a restart of the server"
        case "clear":
            return "interrupted", f"stopped: {by} cleared the conversation"
        case _:
            return "interrupted", f"interrupted by {by}"


def cleared_entry(event: Cleared) -> Entry:
    """Who let the agent forget."""
    text = f"{clean_line(event.by)} cleared the conversation; the agent starts afresh"
    return Entry(f"n:{event.id}", "notice", text, time_s=seconds(event.time), id=event.id)


def submitted_entry(event: TaskSubmitted, info: TaskInfo) -> Entry:
    """A task that was given; `info` is cleaned."""
    who = f"the agent took on a task for {info.user}" if event.run is not UNSET else f"{info.user} gave a task"
    return Entry(f"n:{event.id}", "notice", f"{who}: {info.title}", time_s=seconds(event.time), id=event.id)


def task_entry(task: EndedTask) -> Entry:
    """The result of a task, as a message that is open."""
    states: dict[str, EntryState] = {"completed": "done", "canceled": "interrupted"}
    return Entry(
        f"t:{task.task}", "task", task.result, task.title, state=states.get(task.status, "failed"), note=task.note,
        time_s=seconds(task.time), has_markdown=True,
    )  # fmt: skip


def seconds(time: str) -> float | None:
    """Unix seconds of an RFC 3339 time; None when it is none."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return None
