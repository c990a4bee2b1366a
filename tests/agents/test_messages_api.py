"""The fake keeps its own promises: it refuses what the real API refuses, and it runs as a process."""

import asyncio
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.agents.asking import ask
from tests.fakes.messages_api import FakeMessagesAPI
from tests.fakes.messages_replies import Send, event
from tests.fakes.messages_rules import violations_of

HEAD = {"anthropic-version": "x", "authorization": "Bearer x"}


def fetch(request: str | urllib.request.Request) -> bytes:
    """Without the environment's proxies."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as response:
        return response.read()


def said(role: str, *blocks: dict) -> dict:
    return {"role": role, "content": list(blocks)}


def words(text: str = "x", **more: object) -> dict:
    return {"type": "text", "text": text, **more}


USE = {"type": "server_tool_use", "id": "t1", "name": "web_search", "input": {}}
RESULT = {"type": "web_search_tool_result", "tool_use_id": "t1", "content": []}
MARK = {"cache_control": {"type": "ephemeral"}}


def body(*messages: dict, **more: object) -> dict:
    return {"model": "m", "max_tokens": 1, "stream": True, "messages": list(messages), **more}


@pytest.mark.parametrize(
    ("request_body", "part"),
    [
        (body(), "no messages"),
        (body(said("assistant", words())), "first message"),
        (body(said("user", words()), said("user", words())), "alternate"),
        (body(said("user", words(" \n"))), "empty text"),
        (body(said("user")), "without content"),
        (body(said("user", *[words(**MARK)] * 5)), "5 cache_control"),
        (body(said("user", words("\ud800"))), "surrogate"),
        (body(said("user", words()), said("assistant", USE, words("b")), said("user", words())), "without its result"),
        (body(said("user", words()), said("assistant", RESULT), said("user", words())), "without its use"),
        (body(said("user", words()), said("assistant", words("a "))), "white space"),
        (body(said("user", words()), model=""), "no model"),
        (body(said("user", words()), stream=False), "not streamed"),
        ("text", "no JSON object"),
    ],
)
def test_what_the_api_refuses_is_a_violation(request_body, part):
    assert any(part in violation for violation in violations_of(HEAD, request_body))


def test_what_the_api_takes_is_none():
    good = body(said("user", words()), said("assistant", USE, RESULT, words("It rains.")), said("user", words(**MARK)))
    assert violations_of(HEAD, good) == []
    assert violations_of(HEAD, body(said("user", words()), said("assistant", USE))) == []
    assert violations_of({}, good) == ["no anthropic-version header", "no key"]


async def test_a_violation_fails_the_test_that_caused_it():
    api = FakeMessagesAPI()
    await api.__aenter__()
    request = urllib.request.Request(f"{api.url}/v1/messages", data=b"{}", headers=HEAD)
    with pytest.raises(urllib.error.HTTPError):
        await asyncio.to_thread(fetch, request)
    with pytest.raises(AssertionError, match="no messages"):
        await api.__aexit__(None)


def test_an_event_is_framed_as_the_api_does():
    assert event("ping") == Send(b'event: ping\ndata: {"type": "ping"}\n\n')


async def test_it_runs_as_a_process(tmp_path: Path, claude_with):
    port_file = tmp_path / "port"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.messages_api",
        "--port-file", str(port_file), "--pieces", "5", "--delay-ms", "1",
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    try:
        async with asyncio.timeout(10):
            while not port_file.exists():
                await asyncio.sleep(0.02)
        url = f"http://127.0.0.1:{port_file.read_text()}"
        agent = claude_with(base_url=url)
        assert (await ask(agent)).text == "word0 word1 word2 word3 word4 "
        await asyncio.to_thread(fetch, urllib.request.Request(f"{url}/_will", data=b'{"reply": "bad_key"}'))
        assert (await ask(agent)).trouble.code == "model_auth"
        about = json.loads(await asyncio.to_thread(fetch, f"{url}/_requests"))
        assert about["violations"] == []
        assert [r["pieces_sent"] for r in about["requests"]] == [5, 0]
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
