"""What a person wrote -> blocks that show it as it is: line by line, links marked, nothing taken as Markdown. Pure."""

from __future__ import annotations

import re
from typing import Final

from tui_agent.state.markdown import LINE_CHARS
from tui_agent.state.markdown_block import Block
from tui_agent.state.markdown_links import is_web
from tui_agent.state.wrap import Row, Span, wrap

BLOCK_LINES: Final = 24
_URL: Final = re.compile(r"https?://[^\s<>\"'`|]{1,2000}")


def plain_blocks(text: str) -> list[Block]:
    """Blocks of some lines each."""
    blocks: list[Block] = []
    at, length = 0, len(text)
    while at < length:
        end, lines = at, 0
        while lines < BLOCK_LINES and end < length:
            newline = text.find("\n", end)
            stop = length if newline < 0 else newline
            if stop - at > LINE_CHARS:
                if lines == 0:
                    end = text.rfind(" ", at + LINE_CHARS - 200, at + LINE_CHARS) + 1 or at + LINE_CHARS
                break
            end = stop + 1
            lines += 1
        content = text[at : min(end, length)]
        blocks.append(Block("text", at, content=content.removesuffix("\n"), end=min(end, length)))
        at = end
    return blocks


def lay_out_plain(block: Block, width: int) -> list[Row]:
    """The rows of a block."""
    text, start = block.content, block.start
    spans: list[Span] = []
    at = 0
    for found in _URL.finditer(text):
        url = found[0].rstrip(".,:;!?*_~)]}")
        if is_web(url) and not text[found.start() - 1 : found.start()].isalnum():
            if found.start() > at:
                spans.append(Span(text[at : found.start()], "", start + at, start + found.start()))
            at = found.start() + len(url)
            spans.append(Span(url, "link", start + found.start(), start + at, url))
    if at < len(text) or not spans:
        spans.append(Span(text[at:], "", start + at, start + len(text)))
    return wrap(spans, width)
