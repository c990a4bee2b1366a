"""A room's history as Markdown for people or as JSON for programs, and where a typed `/export` wants it. Pure.

The Markdown is cleaned, so that a file can be shown with `cat`; a person's words are quoted, and headings of an answer
are lowered, so that nobody's text can pass for another speaker's. The JSON holds the events as they came, with
what could command a terminal escaped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from server.protocol import (
    Cleared,
    Complete,
    Done,
    DurableEvent,
    Error,
    Interrupted,
    TaskSubmitted,
    UserMessage,
)
from tui_agent.state.clean import clean_line, clean_text

Format = Literal["md", "json"]
_STRANGE: Final = re.compile(
    "[\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING: Final = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_UNDERLINE: Final = re.compile(r" {0,3}(=+|-+)[ \t]*")


@dataclass(frozen=True, slots=True)
class Target:
    """What a person asked for; `path` is "" when they named none."""

    format: Format
    path: str


def read_target(words: str) -> Target:
    """`[md|json] [PATH]`; the ending of the path decides when no format is said."""
    first, _, rest = words.strip().partition(" ")
    if first.lower() in ("md", "markdown"):
        return Target("md", _unquoted(rest))
    if first.lower() == "json":
        return Target("json", _unquoted(rest))
    path = _unquoted(words)
    return Target("json" if path.lower().endswith(".json") else "md", path)


def _unquoted(path: str) -> str:
    path = path.strip()
    return path[1:-1] if len(path) > 1 and path[0] == path[-1] and path[0] in "'\"" else path


def default_name(room: str, now: str, format: Format, number: int = 1) -> str:
    """`tui-agent-main-2026-11-25.md`, then `…-2.md`; `now` is RFC 3339."""
    return f"tui-agent-{room}-{now[:10]}{'' if number == 1 else f'-{number}'}.{format}"


def to_json(room: str, events: Sequence[DurableEvent], now: str) -> str:
    """One object; its events one a line, oldest first."""
    head = msgspec.json.encode({"room": room, "exported": now}).decode()[:-1]
    lines = [_escaped(msgspec.json.encode(event).decode()) for event in events]
    return head + ',"events":[\n' + ",\n".join(lines) + "\n]}\n"


def _escaped(text: str) -> str:
    return _STRANGE.sub(lambda match: _escape(match[0]), text)


def _escape(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def to_markdown(room: str, events: Sequence[DurableEvent], now: str, agent: str = "agent") -> str:
    """The room as one reads it, oldest first."""
    titles = {event.task: event.title for event in events if isinstance(event, TaskSubmitted)}
    parts = [f"# #{room}\n\nExported {_when(now)}.\n"]
    for event in events:
        part = _part(event, agent, titles)
        if part:
            parts.append(part)
    return "\n".join(parts)


def _part(event: DurableEvent, agent: str, titles: dict[str, str]) -> str:
    match event:
        case UserMessage():
            return _heading(event.user, event.time) + _quoted(event.content)
        case Done():
            note = {
                "max_tokens": "cut at the model's length limit",
                "size_limit": "cut at the size limit",
                "refusal": "the model declined to answer",
            }.get(event.stop_reason, "")
            return _heading(agent, event.time) + _answer(event.content) + _note(note)
        case Interrupted():
            by = f"interrupted by {event.by}" if event.by else "interrupted"
            note = "cut off by a restart of the server" if event.reason == "server_restart" else by
            return _heading(agent, event.time) + _answer(event.content) + _note(note)
        case Error():
            content = event.content if isinstance(event.content, str) else ""
            time = event.time if isinstance(event.time, str) else ""
            return _heading(agent, time) + _answer(content) + _note(f"failed: {event.message}")
        case Cleared():
            return _note(f"{event.by} cleared the conversation · {_when(event.time)}").lstrip("\n")
        case TaskSubmitted():
            return _heading(f"{event.user} · task “{event.title}”", event.time) + _quoted(event.prompt)
        case Complete():
            title = titles.get(event.task, event.task)
            note = event.message if isinstance(event.message, str) else ""
            status = event.status if not note else f"{event.status}: {note}"
            return _heading(f"{agent} · result of “{title}”", event.time) + _answer(event.result) + _note(status)


def _heading(who: str, time: str) -> str:
    return f"## {clean_line(who)} · {_when(time)}\n\n"


def _when(time: str) -> str:
    return clean_line(time[:16].replace("T", " ")) + " UTC"


def _note(note: str) -> str:
    return f"\n*{clean_line(note)}*\n" if note else ""


def _quoted(text: str) -> str:
    return "".join(f"> {line}\n" if line else ">\n" for line in clean_text(text).split("\n"))


def _answer(text: str) -> str:
    """Markdown with its headings under ours and its last fence closed."""
    lines: list[str] = []
    fence = ""
    for line in clean_text(text).rstrip("\n").split("\n"):
        mark = _FENCE.match(line)
        if fence:
            if mark is not None and mark[1].startswith(fence) and not line[mark.end() :].strip():
                fence = ""
        elif mark is not None:
            fence = mark[1]
        elif (heading := _HEADING.match(line)) is not None:
            line = "#" * min(6, len(heading[1]) + 2) + line[heading.end() :]
        elif lines and lines[-1].strip() and _UNDERLINE.fullmatch(line):
            line = "\\" + line.lstrip()  # the line before would become a heading
        lines.append(line)
    if fence:
        lines.append(fence)
    return "\n".join(lines) + "\n" if text else ""
