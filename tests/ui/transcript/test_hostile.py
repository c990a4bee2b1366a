"""What a model, a member or a file can contain is shown as itself, without a stall."""

from __future__ import annotations

import time

import pytest

from tests.ui.transcript.conftest import answered, said
from tui_agent.state.changes import Stream
from tui_agent.state.chat import Chat
from tui_agent.state.clean import clean_text

STALL_S = 0.25
HOSTILE = {
    "one line of a megabyte": "word " * 200_000,
    "one word of a megabyte": "x" * 1_000_000,
    "wide characters without a space": "漢" * 100_000,
    "a list of 5,000 items": "".join(f"- item {number} with some words\n" for number in range(5000)),
    "a table of 2,000 rows": "| a | b | c |\n|---|---|--:|\n" + "| some words | **more** | 1 |\n" * 2000,
    "a fence of 5,000 lines": "```python\n" + "    x = [1, 2, 'three']  # four\n" * 5000,
    "nested quotes": "> " * 5000 + "deep\n",
    "nested lists": "".join("  " * depth + "- x\n" for depth in range(300)),
    "delimiters": "*a **b _c `d [e](" * 6000,
    "brackets": "[" * 50_000 + "]" * 50_000,
    "backticks": "`" * 3 + "` `` " * 20_000,
    "marks on one letter": "e" + "\u0301" * 50_000,
    "pipes": "|" * 20_000 + "\n" + "|-" * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_answer_is_laid_out_without_a_stall(hall, name) -> None:
    text = clean_text(HOSTILE[name])
    async with hall(size=(100, 30)) as screen:
        began = time.thread_time()
        await screen.show(answered(1, text))
        screen.view.scroll_to(y=0, animate=False)
        shown = time.thread_time() - began
        assert shown < 2 * STALL_S, f"{shown * 1000:.0f} ms"  # two of them; CPU time, the machine may be busy
        assert any(row.strip() for row in screen.rows())


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_answer_streams_at_an_even_cost(hall, name) -> None:
    text = clean_text(HOSTILE[name])[:60_000]
    async with hall(size=(100, 30)) as screen:
        await screen.show(answered(1, "", state="streaming"))
        costs = []
        for at in range(0, len(text), 2000):
            began = time.thread_time()
            screen.view.apply([Stream("a1", text[at : at + 2000])])
            costs.append(time.thread_time() - began)
        assert max(costs) < STALL_S, f"{max(costs) * 1000:.0f} ms"


async def test_markup_ansi_and_bidi_are_shown_as_themselves(hall) -> None:
    text = "[/] [bold]x[/bold] list[int] [@click=app.quit]y[/] \x1b]52;c;AAAA\x07 \x1b[31mred \u202eabc\u202c"
    chat = Chat("ada")
    chat.sending("c1", text, 1e9)
    (entry,) = chat.entries
    async with hall(size=(120, 24), entries=[entry, answered(2, entry.text)]) as screen:
        row = "[/] [bold]x[/bold] list[int] [@click=app.quit]y[/] ␛]52;c;AAAA␇ ␛[31mred abc"
        assert sum(row in each for each in screen.rows()) == 2
        assert not any("\x1b" in strip.text for strip in screen.app.screen._compositor.render_strips())


async def test_an_entity_cannot_bring_in_what_was_cleaned_out(hall) -> None:
    async with hall(entries=[answered(1, "&#27;]0;x &#x202e; &#10; &lt;b&gt; &amp;")]) as screen:
        assert any("&#27;]0;x &#x202e; &#10; <b> &" in row for row in screen.rows())


async def test_wide_emoji_combining_and_right_to_left_text_keep_the_columns(hall) -> None:
    text = "| a | b |\n|---|---|\n| 日本 | x |\n| 👩\u200d👩\u200d👧 | x |\n| e\u0301e\u0301 | x |\n| שלום | x |"
    async with hall(entries=[answered(1, text), said(2, "שלום עולם 日本")]) as screen:
        from rich.cells import cell_len

        rows = [row for row in screen.rows() if "│ x" in row]
        assert len({cell_len(row[: row.index("│")]) for row in rows}) == 1
        assert any("שלום עולם 日本" in row for row in screen.rows())
