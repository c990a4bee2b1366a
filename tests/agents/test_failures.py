"""Every way a model's service can fail, as a code and a plain sentence; and when it is tried again."""

import asyncio
import email.utils
import re
import socket
import time

import pytest

from server.agents.failures import duration, retry_after_s
from tests.agents.asking import ask
from tests.agents.conftest import KEY
from tests.fakes.messages_replies import (
    Cut,
    Hang,
    Pings,
    Reply,
    Reset,
    Send,
    block_start,
    end,
    error_event,
    event,
    opened,
    raw,
    search,
    start,
    status,
    stream,
    text,
    text_block,
    text_delta,
)

BAD_JSON = Send(b"event: content_block_delta\ndata: {not json\n\n")
NOT_UTF8 = Send(b'event: content_block_delta\ndata: {"type": "\xff\xfe"}\n\n')
NESTED = Send(b"event: content_block_delta\ndata: " + b"[" * 100_000 + b"\n\n")
LIST = Send(b"event: content_block_delta\ndata: [1]\n\n")

FAILURES = {
    "401": (status(401, "authentication_error"), "model_auth", "ANTHROPIC_API_KEY"),
    "403": (status(403, "permission_error"), "model_auth", "another key"),
    "402": (status(402, "billing_error"), "model_auth", "Add credit"),
    "400 no credit": (
        status(400, "invalid_request_error", "Your credit balance is too low"),
        "model_auth",
        "Add credit",
    ),
    "404": (status(404, "not_found_error", "model: claude-sonnet-5-5"), "model_error", "--model"),
    "400": (status(400, "invalid_request_error"), "model_error", "--model"),
    "422": (status(422, "invalid_request_error"), "model_error", "--model"),
    "400 too long": (status(400, "invalid_request_error", "prompt is too long: 2 > 1"), "too_large", "Shorten"),
    "413": (status(413, "request_too_large"), "too_large", "Shorten"),
    "429": (status(429, "rate_limit_error"), "model_rate_limited", "Wait a minute"),
    "500": (status(500, "api_error"), "model_error", "again"),
    "503": (raw(b"<html>503</html>", code=503), "model_overloaded", "minute"),
    "504": (raw(b"", code=504), "model_error", "again"),
    "529": (status(529, "overloaded_error"), "model_overloaded", "minute"),
    "error event at once": (stream(error_event("overloaded_error")), "model_overloaded", "minute"),
    "error event in mid-stream": (stream(opened("x"), error_event("overloaded_error")), "model_overloaded", "minute"),
    "rate limit in mid-stream": (stream(opened("x"), error_event("rate_limit_error")), "model_rate_limited", "Wait"),
    "api error in mid-stream": (stream(opened("x"), error_event("api_error")), "model_error", "again"),
    "unknown error in mid-stream": (stream(opened("x"), error_event("\x1b[2J")), "model_error", "again"),
    "error event of text": (stream(opened("x"), Send(b"event: error\ndata: oops\n\n")), "model_error", "again"),
    "reset": (stream(opened("x"), Reset()), "model_error", "again"),
    "reset at once": (Reply((), before=(Reset(),)), "model_error", "again"),
    "cut": (stream(opened("x"), Cut()), "model_error", "again"),
    "cut at once": (Reply((), before=(Cut(),)), "model_error", "again"),
    "stall": (stream(opened("x"), Hang()), "model_error", "silent for 0.3 s"),
    "stall before the head": (Reply((), before=(Hang(),)), "model_error", "silent for 0.3 s"),
    "pings only": (stream(opened("x"), Pings(0.02)), "model_error", "silent for 0.3 s"),
    "pings from the start": (stream(start(), Pings(0.02)), "model_error", "silent for 0.3 s"),
    "clean end without a stop": (stream(opened("x")), "model_error", "broke off"),
    "stop without a reason": (stream(opened("x"), event("message_stop")), "model_error", "broke off"),
    "stop with a null reason": (
        stream(
            opened("x"),
            event("message_delta", delta={"stop_reason": None}, usage={"output_tokens": 1}),
            event("message_stop"),
        ),
        "model_error",
        "broke off",
    ),
    "bad JSON": (stream(opened("x"), BAD_JSON), "model_error", "ANTHROPIC_BASE_URL"),
    "bad UTF-8": (stream(opened("x"), NOT_UTF8), "model_error", "ANTHROPIC_BASE_URL"),
    "deep JSON": (stream(opened("x"), NESTED), "model_error", "ANTHROPIC_BASE_URL"),
    "no object": (stream(opened("x"), LIST), "model_error", "ANTHROPIC_BASE_URL"),
    "bad index": (stream(start(), text_delta("x", 7)), "model_error", "ANTHROPIC_BASE_URL"),
    "delta before start": (stream(text_delta("x")), "model_error", "ANTHROPIC_BASE_URL"),
    "block at a bad index": (stream(start(), block_start(3, {"type": "text"})), "model_error", "ANTHROPIC_BASE_URL"),
    "no usage": (stream(Send(b'event: message_start\ndata: {"type":"message_start"}\n\n')), "model_error", "URL"),
    "HTML": (raw(b"<html>It works!</html>"), "model_error", "ANTHROPIC_BASE_URL"),
    "JSON": (raw(b'{"ok": true}', "application/json"), "model_error", "ANTHROPIC_BASE_URL"),
    "empty": (raw(b"", "text/event-stream"), "model_error", "ANTHROPIC_BASE_URL"),
    "refusal": (stream(start(), end("refusal")), "model_refused", "another way"),
    "refusal in mid-stream": (stream(start(), text_block(["Well, "]), end("refusal")), "model_refused", "another way"),
    "a tool we do not have": (stream(start(), end("tool_use")), "model_error", "tool"),
}


def patience_s(kind: str) -> float:
    """Short only for a service that is to be found silent: a busy machine must not be taken for one."""
    return 0.3 if "silent" in FAILURES[kind][2] else 30.0


@pytest.mark.parametrize("kind", FAILURES)
async def test_each_failure_has_a_code_and_a_plain_sentence(api, claude_with, kind):
    reply, code, part = FAILURES[kind]
    api.default = reply
    heard = await ask(claude_with(max_retries=1, silence_timeout_s=patience_s(kind)))
    assert heard.trouble is not None, heard
    assert heard.finished is None
    message = heard.trouble.message
    assert heard.trouble.code == code
    assert part in message
    assert message.endswith(".")
    assert message[0].isupper()
    assert not re.search(r"SECRET|Error|Exception|httpx|Traceback|\x1b|None", message)
    assert KEY not in message
    assert len(message) < 200
    if "mid-stream" in kind and "refusal" not in kind:
        assert heard.text == "x"


@pytest.mark.parametrize("kind", ["429", "500", "503", "529", "error event at once", "reset at once", "cut at once"])
async def test_passing_failures_are_tried_again_and_the_room_is_told(api, claude_with, kind):
    api.will(FAILURES[kind][0], FAILURES[kind][0])
    heard = await ask(claude_with())
    assert heard.text == "Hello from the fake."
    assert len(api.requests) == 3
    assert [note.partition(";")[2] for note in heard.notes] == [
        " trying again in 0.1 s (1 of 4)",
        " trying again in 0.1 s (2 of 4)",
    ]


async def test_pauses_grow_and_the_tries_end(api, claude_with):
    api.default = status(529, "overloaded_error")
    clock = asyncio.get_running_loop().time
    before_s = clock()
    heard = await ask(claude_with(first_pause_s=0.02))
    assert clock() - before_s >= 0.02 * (1 + 2 + 4 + 8)
    assert len(heard.notes) == 4
    assert len(api.requests) == 5
    assert heard.notes[0] == "The model is overloaded; trying again in 0.1 s (1 of 4)"
    assert heard.trouble.code == "model_overloaded"
    assert heard.trouble.is_retryable


async def test_the_pause_that_the_service_asks_for_is_kept(api, claude_with):
    api.will(status(429, "rate_limit_error", retry_after="0.3"))
    clock = asyncio.get_running_loop().time
    before_s = clock()
    heard = await ask(claude_with())
    assert clock() - before_s >= 0.3
    assert heard.notes == ["The model's rate limit is reached; trying again in 0.3 s (1 of 4)"]


async def test_a_long_pause_is_said_and_not_slept(api, claude_with):
    api.will(status(429, "rate_limit_error", retry_after="1200"))
    heard = await ask(claude_with())
    assert heard.notes == []
    assert heard.trouble.retry_after_s == 1200
    assert "20 min" in heard.trouble.message


@pytest.mark.parametrize("kind", ["401", "400", "413", "stall", "HTML", "refusal", "bad JSON", "empty"])
async def test_lasting_failures_are_not_tried_again(api, claude_with, kind):
    api.default = FAILURES[kind][0]
    heard = await ask(claude_with(silence_timeout_s=patience_s(kind)))
    assert len(api.requests) == 1
    assert heard.notes == []


async def test_a_service_that_says_no_retry_is_obeyed(api, claude_with):
    api.default = status(529, "overloaded_error", x_should_retry="false")
    await ask(claude_with())
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    "shown", [[*opened("Half an ")], [start(), *search()[:4]]], ids=["text", "a search that was paid for"]
)
async def test_nothing_is_tried_again_once_something_was_shown(api, claude_with, shown):
    api.will(stream(shown, error_event("overloaded_error")))
    heard = await ask(claude_with(web_search=True))
    assert len(api.requests) == 1
    assert heard.trouble.code == "model_overloaded"
    assert heard.text in ("Half an ", "")


async def test_slow_is_not_silent(api, claude_with):
    api.will(text(*"abcdef", delay_s=0.1))
    assert (await ask(claude_with(silence_timeout_s=0.5))).text == "abcdef"


async def test_a_service_that_is_not_there_is_named(claude_with):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        heard = await ask(claude_with(base_url=f"http://user:pw@127.0.0.1:{taken.getsockname()[1]}", max_retries=1))
    assert heard.notes == ["The model's service at 127.0.0.1 cannot be reached; trying again in 0.1 s (1 of 1)"]
    assert heard.trouble.code == "model_error"
    assert "pw" not in heard.trouble.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "1e99"}, 86_400),
        ({"retry-after": email.utils.formatdate(1_800_000_060, usegmt=True)}, 60),
    ],
)
def test_the_pause_asked_for_is_read(headers, seconds):
    assert retry_after_s(headers, 1_800_000_000) == seconds


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.01, "0.1 s"), (4, "4 s"), (1.5, "1.5 s"), (30, "30 s"), (120, "2 min"), (7200, "2 h")],
)
def test_pauses_read_as_people_say_them(seconds, words):
    assert duration(seconds) == words


def test_the_clock_of_the_pause_is_the_wall():
    later = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 25 < retry_after_s({"retry-after": later}, time.time()) < 31
