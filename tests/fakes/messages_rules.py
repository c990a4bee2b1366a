"""What the Messages API demands of a request; the fake refuses what breaks it. Written from the API's reference."""

from __future__ import annotations

from typing import Any

_TOOL_CHOICES = {"auto", "any", "tool", "none"}


def violations_of(headers: dict[str, str], body: Any) -> list[str]:
    """What is wrong with a request, in words; empty when nothing is."""
    if not isinstance(body, dict):
        return ["the body is no JSON object"]
    broken = _blocks_of(body)
    if "anthropic-version" not in headers:
        broken.append("no anthropic-version header")
    if not headers.get("authorization", "").startswith("Bearer ") and not headers.get("x-api-key"):
        broken.append("no key")
    if not isinstance(body.get("model"), str) or not body["model"]:
        broken.append("no model")
    if not isinstance(body.get("max_tokens"), int) or body["max_tokens"] < 1:
        broken.append("no max_tokens")
    if body.get("stream") is not True:
        broken.append("not streamed")
    return broken


def _blocks_of(body: dict[str, Any]) -> list[str]:
    broken: list[str] = []
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return ["no messages"]
    roles = [message.get("role") for message in messages]
    if roles[0] != "user":
        broken.append("the first message is not the user's")
    if any(a == b for a, b in zip(roles, roles[1:], strict=False)) or set(roles) - {"user", "assistant"}:
        broken.append(f"the roles do not alternate: {roles}")
    system = body.get("system", [])
    blocks = list(system) if isinstance(system, list) else []
    for message in messages:
        content = message.get("content")
        if not isinstance(content, list) or not content:
            broken.append("a message without content")
            continue
        blocks += content
        broken += _tools_of(message["role"], content)
    broken += _client_tools_of(body)
    if roles[-1] == "assistant":
        last = messages[-1]["content"][-1]
        if last.get("type") == "text" and last.get("text", "") != last.get("text", "").rstrip():
            broken.append("the last assistant text ends with white space")
    broken += ["an empty text block" for b in blocks if b.get("type") == "text" and not str(b.get("text", "")).strip()]
    marked = sum("cache_control" in block for block in [*blocks, *body.get("tools", [])])
    if marked > 4:
        broken.append(f"{marked} cache_control blocks")
    for block in blocks:
        for value in block.values():
            if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
                broken.append("a lone surrogate")
    return broken


def _tools_of(role: str, content: list[dict[str, Any]]) -> list[str]:
    """A provider's use without its result, or the other way. The last use of a paused turn may be open."""
    broken: list[str] = []
    uses = [block["id"] for block in content if block.get("type") == "server_tool_use"]
    results = [
        block["tool_use_id"]
        for block in content
        if str(block.get("type", "")).endswith("_tool_result") and block["type"] != "tool_result"
    ]
    broken += [f"a tool_result without its use: {result}" for result in results if result not in uses]
    open_uses = [use for use in uses if use not in results]
    is_paused = role == "assistant" and content[-1].get("type") == "server_tool_use"
    if open_uses and not (is_paused and open_uses == [content[-1]["id"]]):
        broken.append(f"a tool use without its result: {open_uses}")
    return broken


def _client_tools_of(body: dict[str, Any]) -> list[str]:
    """Each use of a tool of the client's has exactly one result, at the beginning of the user's next turn."""
    broken: list[str] = []
    names = {tool.get("name") for tool in body.get("tools", [])}
    choice = body.get("tool_choice")
    if choice is not None and (not names or choice.get("type") not in _TOOL_CHOICES):
        broken.append(f"a tool_choice that is none, or without tools: {choice}")
    if choice is not None and choice.get("type") == "tool" and choice.get("name") not in names:
        broken.append(f"a tool_choice for a tool that is not there: {choice}")
    uses: list[str] = []
    for message in body["messages"]:
        content = message.get("content") or []
        results = [block.get("tool_use_id") for block in content if block.get("type") == "tool_result"]
        if results != uses:
            broken.append(f"results {results} for the uses {uses}")
        if any(block.get("type") != "tool_result" for block in content[: len(results)]):
            broken.append("a tool_result behind other content")
        uses = [block["id"] for block in content if block.get("type") == "tool_use"]
        if uses and (message.get("role") != "assistant" or not names):
            broken.append("a tool_use that is the user's, or without tools")
    if uses:
        broken.append(f"uses without results: {uses}")
    return broken
