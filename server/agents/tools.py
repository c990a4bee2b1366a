"""The tools of ours that a model may use, and the shape of their results. Pure."""

from __future__ import annotations

from typing import Any, Final

from server.agents.speakers import Block, whole

START_TASK: Final[dict[str, Any]] = {
    "name": "start_task",
    "description": (
        "Start long work in the background: research, analysis, a long piece of code, anything that takes minutes. The "
        "conversation goes on meanwhile; the result comes into it later. Use it when a person asks for such work, or "
        "offer it first when you are not sure. Say in one sentence that you have started it."
    ),
    "input_schema": {
        "type": "object",
        "properties": {
            "title": {"type": "string", "description": "A few words that name the work, for a list"},
            "prompt": {
                "type": "string",
                "description": "All that is to be done. Whoever does it sees this text and not the conversation.",
            },
        },
        "required": ["title", "prompt"],
    },
}
NO_SUCH_TOOL: Final = "There is no such tool."
NO_PROMPT: Final = "The tool start_task needs title and prompt, both texts that are not empty."


def start_task_of(use: Block) -> tuple[str, str] | str:
    """(title, prompt) of a start_task use; else what is wrong with it, for the model."""
    if use.get("name") != START_TASK["name"]:
        return NO_SUCH_TOOL
    given = use.get("input")
    if not isinstance(given, dict):
        return NO_PROMPT
    title, prompt = given.get("title"), given.get("prompt")
    if not isinstance(title, str) or not isinstance(prompt, str) or not prompt.strip():
        return NO_PROMPT
    return whole(title), whole(prompt)


def tool_result(use: Block, text: str, *, is_error: bool = False) -> Block:
    """The result of a use; the API wants exactly one for each, in the next turn."""
    result: Block = {"type": "tool_result", "tool_use_id": use["id"], "content": text or "(nothing)"}
    return result | {"is_error": True} if is_error else result
