"""What the fake Messages API can be told to reply: good answers, and every misbehaviour, as steps of a body."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Send:
    """Bytes of the body as they are."""

    data: bytes


@dataclass(frozen=True)
class Sleep:
    seconds: float


@dataclass(frozen=True)
class Wait:
    """Until the test sets the event."""

    event: asyncio.Event


@dataclass(frozen=True)
class Pings:
    """Pings, and nothing else, for as long as the client stays."""

    every_s: float


@dataclass(frozen=True)
class Hang:
    """Nothing more, for as long as the client stays."""


@dataclass(frozen=True)
class Reset:
    """The connection is torn down with a RST."""


@dataclass(frozen=True)
class Cut:
    """The connection is closed in the middle of the body."""


@dataclass(frozen=True)
class Endless:
    """Text pieces without end."""

    piece: str
    delay_s: float


Step = Send | Sleep | Wait | Pings | Hang | Reset | Cut | Endless


@dataclass(frozen=True)
class Reply:
    """One response: its head, then the steps of its body. `silent_s` passes before the head."""

    steps: tuple[Step, ...]
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "text/event-stream; charset=utf-8"),)
    before: tuple[Step, ...] = ()


def event(name: str, **data: Any) -> Send:
    """One server-sent event."""
    payload = json.dumps({"type": name, **data})  # lone surrogates become \\u escapes, as from a real service
    return Send(f"event: {name}\ndata: {payload}\n\n".encode())


def start(model: str = "claude-fake", **usage: int) -> Send:
    """message_start."""
    counts = {"input_tokens": 25, "output_tokens": 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    message: dict[str, Any] = {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": counts | usage,
    }
    return event("message_start", message=message)


def block_start(index: int, block: dict[str, Any]) -> Send:
    return event("content_block_start", index=index, content_block=block)


def text_delta(text: str, index: int = 0) -> Send:
    return event("content_block_delta", index=index, delta={"type": "text_delta", "text": text})


def block_stop(index: int = 0) -> Send:
    return event("content_block_stop", index=index)


def text_block(pieces: Iterable[str], index: int = 0, delay_s: float = 0.0) -> list[Step]:
    """A whole text block in pieces."""
    steps: list[Step] = [block_start(index, {"type": "text", "text": ""})]
    for piece in pieces:
        if delay_s:
            steps.append(Sleep(delay_s))
        steps.append(text_delta(piece, index))
    return [*steps, block_stop(index)]


def end(stop_reason: str = "end_turn", output_tokens: int = 15, **usage: int) -> list[Step]:
    """message_delta and message_stop."""
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    return [
        event("message_delta", delta=delta, usage={"output_tokens": output_tokens, **usage}),
        event("message_stop"),
    ]


def text(
    *pieces: str, delay_s: float = 0.0, stop_reason: str = "end_turn", output_tokens: int = 15, **usage: int
) -> Reply:
    """A well-behaved answer."""
    ping = event("ping")
    return Reply(
        (start("claude-fake", **usage), ping, *text_block(pieces, delay_s=delay_s), *end(stop_reason, output_tokens))
    )


def stream(*steps: Step | Sequence[Step]) -> Reply:
    """A 200 whose body is these steps."""
    flat: list[Step] = []
    for step in steps:
        flat.extend(step) if isinstance(step, Sequence) else flat.append(step)
    return Reply(tuple(flat))


def opened(*pieces: str, **usage: int) -> list[Step]:
    """The beginning of an answer: what comes after it is the trouble."""
    return [start(**usage), block_start(0, {"type": "text", "text": ""}), *(text_delta(p) for p in pieces)]


def status(code: int, kind: str, message: str = "SECRET WORDS OF THE SERVICE", **headers: str) -> Reply:
    """An error as the API sends it."""
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"}
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Reply(
        (Send(json.dumps(body).encode()),),
        code,
        (("content-type", "application/json"), ("request-id", "req_fake"), *named),
    )


def raw(body: bytes, content_type: str = "text/html", code: int = 200) -> Reply:
    """Any body at all."""
    return Reply((Send(body),), code, (("content-type", content_type),))


def error_event(kind: str, message: str = "SECRET WORDS OF THE SERVICE") -> Send:
    return event("error", error={"type": kind, "message": message})


def search(query: str = "weather in Oslo", pages: int = 2, index: int = 0, use_id: str = "srvtoolu_1") -> list[Step]:
    """A web search as it comes in a stream: the use in pieces of JSON, then its result."""
    asked = json.dumps({"query": query})
    half = len(asked) // 2
    found = [
        {"type": "web_search_result", "url": f"https://e.org/{n}", "title": f"Page {n}", "encrypted_content": "x"}
        for n in range(pages)
    ]
    parts = [
        event("content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": part})
        for part in (asked[:half], asked[half:])
    ]
    use = {"type": "server_tool_use", "id": use_id, "name": "web_search", "input": {}}
    result = {"type": "web_search_tool_result", "tool_use_id": use_id, "content": found}
    return [
        block_start(index, use),
        *parts,
        block_stop(index),
        block_start(index + 1, result),
        block_stop(index + 1),
    ]


def tool(name: str, given: dict[str, Any], *, say: str = "", use_id: str = "toolu_1", **usage: int) -> Reply:
    """A turn that ends with the use of a client's tool."""
    asked = json.dumps(given)
    half = len(asked) // 2
    at = 1 if say else 0
    parts = [
        event("content_block_delta", index=at, delta={"type": "input_json_delta", "partial_json": part})
        for part in (asked[:half], asked[half:])
    ]
    use = block_start(at, {"type": "tool_use", "id": use_id, "name": name, "input": {}})
    return stream(start(**usage), text_block([say]) if say else [], use, parts, block_stop(at), end("tool_use"))


def plan(*steps: str, use_id: str = "toolu_plan") -> Reply:
    """The plan of a task."""
    return tool("plan", {"steps": list(steps)}, use_id=use_id)


NAMED: dict[str, Callable[[], Reply]] = {
    "overloaded": lambda: status(529, "overloaded_error"),
    "rate_limited": lambda: status(429, "rate_limit_error", retry_after="1"),
    "bad_key": lambda: status(401, "authentication_error"),
    "broken": lambda: status(500, "api_error"),
    "refusal": lambda: stream(start(), end("refusal")),
    "reset": lambda: stream(opened("Half an "), Reset()),
    "cut": lambda: stream(opened("Half an "), Cut()),
    "hang": lambda: stream(opened("Half an "), Hang()),
    "endless": lambda: stream(opened(), Endless("and so on ", 0.01)),
    "hostile": lambda: text("\x1b]52;c;ZXZpbA==\x07", "\ud800", "[@click=app.quit]x[/]"),
}
