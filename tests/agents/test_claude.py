"""The real SDK against the fake Messages API: answers, requests, tools, cancelling."""

import asyncio
import json
import subprocess
import sys
from contextlib import aclosing

import pytest

from server.agents.base import Exchange, Question, Said
from server.agents.claude import ClaudeAgent, ClaudeConfig
from server.agents.sdk import is_loopback
from server.protocol import Usage
from tests.agents.asking import HELLO, ask
from tests.agents.conftest import KEY
from tests.fakes.messages_replies import (
    Endless,
    Hang,
    Send,
    block_start,
    block_stop,
    end,
    event,
    opened,
    search,
    start,
    status,
    stream,
    text,
    text_block,
)


async def test_the_answer_comes_piece_by_piece_with_its_usage(api, claude_with):
    counts = {"input_tokens": 7, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 50}
    api.will(text("Hello,", " ada.", output_tokens=9, **counts))
    heard = await ask(claude_with())
    assert heard.text == "Hello, ada."
    assert heard.finished.stop_reason == "end_turn"
    assert heard.finished.usage == Usage(7, 9, 1000, 50, 1_000_000, 7 + 9 + 1000 + 50)


@pytest.mark.parametrize("reason", ["end_turn", "max_tokens", "stop_sequence", "model_context_window_exceeded"])
async def test_known_stop_reasons_are_passed_on(api, claude_with, reason):
    api.will(text("x", stop_reason=reason))
    assert (await ask(claude_with())).finished.stop_reason == reason


async def test_an_unknown_stop_reason_is_not_let_through(api, claude_with):
    api.will(text("x", stop_reason="\x1b[2J"))
    assert (await ask(claude_with())).finished.stop_reason == "other"


async def test_the_request_has_speakers_system_prompt_and_cache_breakpoints(api, claude_with):
    history = (Exchange((Said("ada", "a < b"),), "Yes.", "interrupted"),)
    agent = claude_with(system_prompt="Answer in Norwegian.", max_tokens=77)
    await ask(agent, Question("standup", "r1", history, (Said("ada", "So?"), Said("ben", "Well?"))))
    body = api.requests[0].body
    assert body["model"] == "claude-sonnet-5-5"
    assert body["max_tokens"] == 256  # no less, or no answer would fit
    assert "Answer in Norwegian." in body["system"][0]["text"]
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][0]["content"][0]["text"] == '<message from="ada">a &lt; b</message>'
    assert [b["text"] for b in body["messages"][2]["content"][1:]] == [
        '<message from="ada">So?</message>',
        '<message from="ben">Well?</message>',
    ]
    assert json.dumps(body).count("cache_control") == 3
    assert "tools" not in body
    assert "temperature" not in body


async def test_what_no_longer_fits_is_dropped_oldest_first(api, claude_with):
    history = tuple(Exchange((Said("ada", f"question {n} " + "x" * 400),), "y" * 400, "done") for n in range(40))
    agent = claude_with(context_window=6000, max_tokens=1000)
    await ask(agent, Question("main", "r1", history, (Said("ada", "And now?"),)))
    sent = json.dumps(api.requests[0].messages)
    assert "question 39" in sent
    assert "question 0 " not in sent
    assert "left out" in sent
    assert len(sent) < 25_000


async def test_a_prompt_that_is_too_long_after_all_is_halved_and_the_room_told(api, claude_with):
    history = tuple(Exchange((Said("ada", f"question {n}"),), "y", "done") for n in range(4))
    too_long = status(400, "invalid_request_error", "prompt is too long: 300 tokens > 200 maximum")
    api.will(too_long, too_long)
    heard = await ask(claude_with(), Question("main", "r1", history, (Said("ada", "And now?"),)))
    assert heard.finished is not None
    assert heard.notes == ["The conversation is too long for the model; leaving out the oldest part"] * 2
    assert [sum("question" in json.dumps(m) for m in r.messages) for r in api.requests] == [4, 2, 1]
    assert "left out" in json.dumps(api.requests[-1].messages)


async def test_a_single_message_that_is_too_long_is_said_so(api, claude_with):
    api.will(status(400, "invalid_request_error", "prompt is too long: 300 tokens > 200 maximum"))
    heard = await ask(claude_with())
    assert heard.trouble.code == "too_large"
    assert "horten" in heard.trouble.message


async def test_a_web_search_is_shown_as_notes_and_kept_apart_from_the_text(api, claude_with):
    api.will(stream(start(), text_block(["Let me look."]), search(index=1), text_block(["It ", "rains."], 3), end()))
    heard = await ask(claude_with(web_search=True, web_fetch=True))
    assert heard.text == "Let me look.\n\nIt rains."
    assert heard.notes == ["searching the web: weather in Oslo", "found 2 web pages"]
    assert [tool["name"] for tool in api.requests[0].body["tools"]] == ["web_search", "web_fetch"]


async def test_a_failed_search_is_a_note_and_not_the_end(api, claude_with):
    error = {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}
    failed = block_start(1, {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": error})
    api.will(stream(start(), search()[:4], failed, block_stop(1), text_block(["No idea."], 2), end()))
    heard = await ask(claude_with(web_search=True))
    assert heard.notes[-1] == "the web search failed"
    assert heard.text == "No idea."


async def test_a_paused_turn_is_continued_with_its_blocks_as_they_came(api, claude_with):
    thinking = [
        block_start(0, {"type": "thinking", "thinking": "", "signature": ""}),
        event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "Hm."}),
        event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "sig=="}),
        block_stop(0),
    ]
    paused = stream(
        start(input_tokens=10), thinking, text_block(["Looking. "], 1), search(index=2)[:4], end("pause_turn", 5)
    )
    result = search()[4:]
    first = Send(result[0].data.replace(b'"index": 1', b'"index": 0'))
    api.will(
        paused,
        stream(start(input_tokens=100), first, block_stop(0), text_block(["It rains."], 1), end("end_turn", 7)),
    )
    heard = await ask(claude_with(web_search=True))
    assert heard.text == "Looking. \n\nIt rains."
    last = api.requests[1].messages[-1]
    assert last["role"] == "assistant"
    assert [block["type"] for block in last["content"]] == ["thinking", "text", "server_tool_use"]
    assert last["content"][0] == {"type": "thinking", "thinking": "Hm.", "signature": "sig=="}
    assert last["content"][2]["input"] == {"query": "weather in Oslo"}
    assert heard.finished.usage.input_tokens == 110
    assert heard.finished.usage.output_tokens == 12
    assert heard.finished.usage.context_tokens == 107


async def test_a_turn_that_pauses_for_ever_ends(api, claude_with):
    api.default = stream(start(), end("pause_turn"))
    heard = await ask(claude_with(web_search=True))
    assert heard.finished.stop_reason == "pause_turn"
    assert len(api.requests) == 9


async def test_citations_make_no_seams_in_the_text(api, claude_with):
    cited = event(
        "content_block_delta",
        index=1,
        delta={
            "type": "citations_delta",
            "citation": {
                "type": "web_search_result_location",
                "cited_text": "rain",
                "encrypted_index": "e",
                "title": "t",
                "url": "https://e.org/",
            },
        },
    )
    second = text_block(["rains"], 1)
    api.will(stream(start(), text_block(["It "]), second[:-1], cited, second[-1:], text_block([" today."], 2), end()))
    assert (await ask(claude_with())).text == "It rains today."


async def test_control_characters_pass_and_lone_surrogates_do_not(api, claude_with):
    api.will(text("a\x1b[2J", "\ud83d", "\ude00", "\udc00", "z\ud800"))
    assert (await ask(claude_with())).text == "a\x1b[2J😀\ufffdz\ufffd"


async def test_connections_are_used_again(api, claude_with):
    agent = claude_with()
    for _ in range(5):
        await ask(agent)
    assert api.connections == 1


async def test_a_connection_that_the_service_closed_meanwhile_is_made_anew(api, claude_with):
    agent = claude_with()
    await ask(agent)
    await api.drop_connections()
    heard = await ask(agent)
    assert heard.finished is not None
    assert heard.notes == []
    assert api.connections == 2


async def test_a_request_asked_for_is_closed_upstream_at_once_when_cancelled(api, claude_with):
    agent = claude_with(silence_timeout_s=30)
    await agent.prepare()
    clock = asyncio.get_running_loop().time
    replies = [
        stream(Hang()),
        stream(opened("One, "), Hang()),
        stream(opened("One, "), Endless("more ", 0.001)),
        stream(start(), search()[:1], Hang()),
    ]
    for number, reply in enumerate(replies, 1):
        api.will(reply)
        task = asyncio.create_task(ask(agent))
        await api.wait_requests(number)
        await asyncio.sleep(0.05)
        before_s = clock()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await asyncio.wait_for(api.requests[-1].closed.wait(), 1)
        assert api.requests[-1].closed_at - before_s < 0.05


async def test_a_stream_that_is_closed_by_its_reader_is_closed_upstream(api, claude_with):
    api.will(stream(opened("One, "), Hang()))
    agent = claude_with(silence_timeout_s=30)
    async with aclosing(agent.answer(HELLO)) as items:
        await anext(items)
    await asyncio.wait_for(api.requests[0].closed.wait(), 1)


async def test_cancelling_while_the_sdk_is_imported_leaves_it_usable(api, claude_with):
    agent = claude_with()
    task = asyncio.create_task(ask(agent))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert (await ask(agent)).finished is not None


async def test_a_body_that_stays_open_after_the_end_does_not_hold_the_answer(api, claude_with):
    api.will(stream(opened("Done."), block_stop(), end(), Hang()))
    assert (await asyncio.wait_for(ask(claude_with(silence_timeout_s=30)), 2)).finished is not None


async def test_a_local_model_needs_no_key_and_no_proxy(api, claude_with, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    heard = await ask(claude_with(base_url=f"{api.url}/v1/", api_key=None, model="qwen3:8b"))
    assert heard.text == "Hello from the fake."
    assert heard.finished.usage.context_window == 32_768
    assert KEY not in json.dumps(api.requests[0].headers)


async def test_the_key_goes_to_the_service_and_nowhere_else(api, claude_with, caplog):
    caplog.set_level("DEBUG")
    agent = claude_with()
    api.will(status(401, "authentication_error", f"the key {KEY} is wrong"))
    heard = await ask(agent)
    assert KEY in json.dumps(api.requests[0].headers)
    assert KEY not in heard.trouble.message
    assert KEY not in caplog.text
    assert KEY not in repr(agent._config)


async def test_words_of_the_room_are_not_logged(api, claude_with, caplog):
    caplog.set_level("INFO")
    api.will(status(500, "api_error"), status(400, "invalid_request_error"))
    await ask(claude_with(), Question("main", "r1", (), (Said("ada", "a private matter"),)))
    assert "room main run r1" in caplog.text
    assert "private" not in caplog.text
    assert "SECRET" not in caplog.text


def test_the_module_does_not_import_the_sdk():
    check = "import sys, server.agents.claude; sys.exit(any(m in sys.modules for m in ('anthropic', 'httpx2')))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:11434", True),
        ("http://localhost:1234/v1", True),
        ("http://[::1]:80", True),
        ("https://api.anthropic.com", False),
        ("http://127.0.0.1.example.org", False),
        ("http://10.0.0.7:8080", False),
    ],
)
def test_loopback_is_known_by_its_address(url, expected):
    assert is_loopback(url) is expected


def test_the_most_is_bounded_by_the_context(api, claude_with):
    history = tuple(Exchange((Said("ada", "x" * 4000),), "y" * 4000, "done") for _ in range(500))
    question = Question("main", "r1", history, (Said("ada", "And now?"),))
    agent = ClaudeAgent(ClaudeConfig(model="claude-haiku-4-5"))
    assert 100_000 < agent.most(question).tokens <= 200_000
    assert agent.partial_cost(question, "").tokens < agent.most(question).tokens
    assert agent.most(HELLO).tokens < 20_000
    assert ClaudeAgent(ClaudeConfig(model="qwen3:8b")).most(question).microdollars == 0
    assert ClaudeAgent(ClaudeConfig(web_search=True)).most(HELLO).tokens > 100_000
