"""One response of the Messages API, event by event: what to show, what it cost, why it ended.

Pure: it takes the SDK's raw events and knows no sockets. It keeps the content blocks too, since a paused turn
(`pause_turn`, a server tool that takes long) is continued by sending them back.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Any, Final

from server.agents.base import Note, Text
from server.agents.speakers import whole

NOTE_CHARACTERS: Final = 120


class BadStream(Exception):
    """The events are not in an order or of a shape that the Messages API has. The text is ours, for the log."""


class Reading:
    """Follows one response. `feed` each raw event in order; then look at `stop_reason`, `usage` and `blocks`."""

    def __init__(self, *, after_tool: bool = False, shown: str = "") -> None:
        self.started = False
        self.stopped = False
        self.stop_reason: str | None = None
        self.input_tokens = 0
        self.output_tokens = 0
        self.cache_read_tokens = 0
        self.cache_creation_tokens = 0
        self.streamed_bytes = 0  # of text, thinking and tool inputs: an estimate while the service has not told
        self.blocks: list[dict[str, Any]] = []  # finished ones, as they are sent back
        self.used_tool = after_tool
        self._last_shown = shown[-1:]  # to set text before and after a search apart
        self._block: dict[str, Any] | None = None
        self._index = -1
        self._parts: list[str] = []  # of the open block: text, thinking or partial JSON
        self._carried = ""  # a high surrogate whose other half may come with the next piece

    @property
    def last_shown(self) -> str:
        """The last character that was shown, "" when there was none."""
        return self._last_shown

    def feed(self, event: Any) -> Text | Note | None:
        """Take one event; what it gives to show, if anything. Raises BadStream."""
        try:
            return self._feed(event)
        except (AttributeError, KeyError, TypeError, ValueError) as trouble:
            # The SDK builds its events without validating them, so a field may be missing or of any type.
            raise BadStream(f"an event is not well-formed ({type(trouble).__name__})") from None

    def _feed(self, event: Any) -> Text | Note | None:
        kind = event.type
        if kind == "content_block_delta":
            return self._delta(event)
        if kind == "message_start":
            if self.started:
                raise BadStream("a second message_start")
            self.started = True
            self._count(event.message.usage)
            return None
        if kind not in _KINDS:
            return None  # the API may grow new events
        if not self.started or self.stopped:
            raise BadStream(f"{kind} outside of a message")
        if kind == "content_block_start":
            return self._open(event)
        if kind == "content_block_stop":
            return self._close(event)
        if kind == "message_delta":
            if event.delta.stop_reason is not None:
                self.stop_reason = str(event.delta.stop_reason)
            if event.usage is not None:
                self._count(event.usage)
        elif kind == "message_stop":
            self.stopped = True
        return None

    def _open(self, event: Any) -> Text | Note | None:
        if self._block is not None or event.index != len(self.blocks):
            raise BadStream("a content block starts at a wrong index")
        block: dict[str, Any] = event.content_block.model_dump(mode="json", exclude_none=True, warnings=False)
        self._block, self._index, self._parts = block, event.index, []
        if block["type"] == "text":
            first = block.get("text") or ""
            return self._show(first) if first else None
        if block["type"].endswith("_tool_result"):
            self.used_tool = True
            return _result_note(block)
        return None

    def _delta(self, event: Any) -> Text | None:
        block = self._block
        if block is None or event.index != self._index:
            raise BadStream("a delta for a content block that is not open")
        delta = event.delta
        kind = delta.type
        if kind == "text_delta":
            self.streamed_bytes += _size_bytes(delta.text)
            return self._show(delta.text)
        if kind == "input_json_delta":
            self._parts.append(delta.partial_json)
            self.streamed_bytes += _size_bytes(delta.partial_json)
        elif kind == "thinking_delta":
            self._parts.append(delta.thinking)
            self.streamed_bytes += _size_bytes(delta.thinking)
        elif kind == "signature_delta":
            block["signature"] = delta.signature
        elif kind == "citations_delta":
            block.setdefault("citations", []).append(
                delta.citation.model_dump(mode="json", exclude_none=True, warnings=False)
            )
        return None

    def _close(self, event: Any) -> Text | Note | None:
        block = self._block
        if block is None or event.index != self._index:
            raise BadStream("a content block ends that is not open")
        self._block = None
        joined = "".join(self._parts)
        shown: Text | Note | None = None
        if block["type"] == "text":
            if self._carried:
                self._carried = ""
                self._parts.append("\ufffd")
                shown = Text("\ufffd")
            block["text"] = "".join(self._parts)
        elif block["type"] == "thinking":
            block["thinking"] = block.get("thinking", "") + joined
        elif block["type"] in ("server_tool_use", "tool_use"):
            if joined:
                block["input"] = json.loads(joined)
            shown = _use_note(block)
        self.blocks.append(block)
        return shown

    def _show(self, text: str) -> Text | None:
        if self._carried or not text.isascii():
            text, self._carried = mend(self._carried + text)
        if not text:
            return None
        if self.used_tool:
            self.used_tool = False
            if self._last_shown not in ("", "\n"):
                self._parts.append(text)
                self._last_shown = text[-1]
                return Text("\n\n" + text)
        self._parts.append(text)
        self._last_shown = text[-1]
        return Text(text)

    def _count(self, usage: Any) -> None:
        # message_delta repeats the counts as totals so far; a field it lacks keeps its value.
        self.input_tokens = _number(usage.input_tokens, self.input_tokens)
        self.output_tokens = _number(usage.output_tokens, self.output_tokens)
        self.cache_read_tokens = _number(usage.cache_read_input_tokens, self.cache_read_tokens)
        self.cache_creation_tokens = _number(usage.cache_creation_input_tokens, self.cache_creation_tokens)


_KINDS: Final = frozenset({"content_block_start", "content_block_stop", "message_delta", "message_stop"})


def mend(text: str) -> tuple[str, str]:
    """(text to show, a high surrogate from its end to be carried over): JSON may cut a pair between two pieces.
    Surrogates that stay alone become U+FFFD."""
    carried = ""
    if "\ud800" <= text[-1:] <= "\udbff":
        text, carried = text[:-1], text[-1]
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        text = whole(text)
    return text, carried


def clean_line(text: str, characters: int = NOTE_CHARACTERS) -> str:
    """Foreign text as one short line without control, format or surrogate characters."""
    kept = "".join(" " if c.isspace() else c for c in text[:2000] if c.isspace() or unicodedata.category(c)[0] != "C")
    line = " ".join(kept.split())
    return line if len(line) <= characters else line[: characters - 1].rstrip() + "…"


def _size_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _number(value: Any, default: int) -> int:
    return value if isinstance(value, int) and value >= 0 else default


def _use_note(block: dict[str, Any]) -> Note | None:
    given = block.get("input")
    given = given if isinstance(given, dict) else {}
    if block.get("name") == "web_search":
        query = clean_line(str(given.get("query", "")))
        return Note(f"searching the web: {query}" if query else "searching the web")
    if block.get("name") == "web_fetch":
        url = clean_line(str(given.get("url", "")))
        return Note(f"reading a web page: {url}" if url else "reading a web page")
    if block["type"] == "tool_use":
        return Note("starting a task") if block.get("name") == "start_task" else None
    return Note("using a tool of the provider")


def _result_note(block: dict[str, Any]) -> Note | None:
    content = block.get("content")
    failed = isinstance(content, dict) and str(content.get("type", "")).endswith("_error")
    if block["type"] == "web_search_tool_result":
        if failed:
            return Note("the web search failed")
        count = len(content) if isinstance(content, list) else 0
        return Note(f"found {count} web page{'' if count == 1 else 's'}")
    if block["type"] == "web_fetch_tool_result" and failed:
        return Note("the web page could not be read")
    return None
