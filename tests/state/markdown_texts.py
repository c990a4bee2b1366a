"""Markdown for the tests: rows as plain text, and strategies that make texts and cut them into pieces."""

from __future__ import annotations

from hypothesis import strategies as st

from tui_agent.state.markdown import Document
from tui_agent.state.markdown_block import Block
from tui_agent.state.markdown_layout import lay_out
from tui_agent.state.wrap import Row

LINES = (
    "a paragraph of some words",
    "with **bold** and `code` here",
    "",
    "",
    "# Heading",
    "### Third ##",
    "Setext",
    "---",
    "===",
    "- one",
    "* star",
    "+ plus",
    "  - nested",
    "    - deeper",
    "1. first",
    "2. second",
    "7) seventh",
    "   inside the item",
    "- [x] ticked",
    "- [ ] open",
    "-",
    "1.",
    "> quoted",
    "> > twice",
    ">",
    "lazy",
    "```python",
    "```",
    "~~~",
    "def f(x):",
    '    """a',
    "doc",
    '    """',
    "    return x",
    "| a | b |",
    "| --- | :-: |",
    "|:--|--:|",
    "| 1 | two words |",
    "| x \\| y |",
    "a | b",
    "***",
    "    indented",
    "[link](https://example.com) and <https://a.b>",
    "[no](javascript:x) <b>t</b>",
    "&amp; \\*",
    "*open emphasis",
    "`open code",
    "日本語 👩\u200d👩\u200d👧 שלום",
    "e\u0301 combining",
    "two spaces  ",
    "back\\",
    "\tx",
    "- \ttabbed",
    "```sh",
    "echo '#'",
    "42",
    "~~gone~~ ~x~",
    "_a_b_c_ __d__",
    "***both*** **a*b**",
    "![alt](https://x.org/i.png)",
    "see [text][Ref] and [ref][], [REF] or ![pic][ref]",
    "- a [one]",
    "| [one] | [ref] |",
    "[ref]: https://ref.example/long/target",
    "[one]: <https://one.example> 'title'",
    "> [quoted one]: https://q.example",
    "[Ref]: https://second.example",
    "[no]: javascript:x",
    "[^1]: a note with [ref]",
    "- [one]: https://item.example",
    "noted[^1] and [^1]",
    "# Heading with [one][]",
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    lines = draw(st.lists(st.sampled_from(LINES), min_size=1, max_size=24))
    return "\n".join(lines) + draw(st.sampled_from(("", "\n", "\n\n")))


@st.composite
def pieces(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> list[str]:
    """A text cut anywhere."""
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def parsed(text: str) -> list[Block]:
    document = Document()
    document.feed(text)
    return document.blocks + document.tail()


def rows_of(text: str, width: int = 40) -> list[Row]:
    return [row for block in parsed(text) for row in lay_out(block, width)]


def shown(text: str, width: int = 40) -> list[str]:
    """What stands on the screen."""
    return ["".join([span.text for span in row]).rstrip() for row in rows_of(text, width)]
