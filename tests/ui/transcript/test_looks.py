"""What entries look like: heads, bars, states, folds, lines above."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.ui.transcript.conftest import answered, said
from tui_agent.state.changes import Stream, Upsert
from tui_agent.state.entry import Entry
from tui_agent.ui.transcript.widget import Transcript


async def test_glyph_and_bar_stand_in_column_two_and_text_in_column_four(hall) -> None:
    async with hall(entries=[said(1, "hello\nthere"), answered(2, "hi")]) as screen:
        rows = [row for row in screen.rows() if row]
        assert rows[0].startswith("  ● ben  ")
        assert rows[1:3] == ["  ▎ hello", "  ▎ there"]
        assert rows[3].startswith("  ✦ agent  ")
        assert rows[4] == "    hi"


async def test_in_a_narrow_window_text_stands_one_column_further_left(hall) -> None:
    async with hall(size=(50, 20), entries=[said(1, "hello")]) as screen:
        assert " ▎ hello" in screen.rows()


@pytest.mark.parametrize(
    ("state", "note", "words"),
    [
        ("sending", "", "◌ sending"),
        ("queued", "2nd in the queue", "◌ 2nd in the queue"),
        ("failed", "It is too long; shorten it.", "■ It is too long; shorten it."),
        ("thinking", "", "▍ thinking  esc to stop"),
        ("streaming", "", "▍ writing  esc to stop"),
        ("interrupted", "interrupted by ben", "■ interrupted by ben"),
        ("cut", "cut off by a restart of the server", "■ cut off by a restart of the server"),
    ],
)
async def test_each_state_is_said_under_the_text(hall, state, note, words) -> None:
    async with hall(entries=[replace(answered(1, "text"), state=state, note=note)]) as screen:
        rows = [row.strip() for row in screen.rows() if row.strip()]
        assert rows[-1] == words


async def test_a_day_line_stands_between_days_and_new_since_above_what_came_meanwhile(hall) -> None:
    day = 86_400.0
    entries = [
        replace(said(1), time_s=1e9),
        replace(said(2), time_s=1e9 + day),
        replace(said(3), time_s=1e9 + day + 60),
    ]
    async with hall(entries=entries) as screen:
        assert sum("──" in row for row in screen.rows()) == 1
        assert screen.row_with("September 2001") < screen.row_with("message 2")
        screen.view.mark_new_since(1e9 + day + 30)
        await screen.pilot.pause()
        assert screen.row_with("message 2") < screen.row_with("new since ") < screen.row_with("message 3")
        screen.view.mark_new_since(None)
        await screen.pilot.pause()
        assert not any("new since" in row for row in screen.rows())


async def test_a_result_is_folded_and_opens_by_key_and_by_click(hall) -> None:
    text = "\n\n".join(f"line {number}" for number in range(40))
    result = Entry("t1", "task", text, "Crawl", state="done", is_folded=True, has_markdown=True)
    async with hall(size=(80, 60), entries=[result]) as screen:
        assert not any("line 9" in row for row in screen.rows())
        assert "75 more lines · enter opens" in screen.rows()[screen.row_with("line 1") + 2]
        screen.view.jump(-1)
        await screen.pilot.press("enter")
        await screen.pilot.pause()
        assert any("line 9" in row for row in screen.rows())
        screen.view.toggle_fold()
        await screen.pilot.pause()
        await screen.pilot.click(Transcript, offset=(8, screen.row_with("more lines")))
        assert any("line 9" in row for row in screen.rows())


async def test_a_fold_stays_when_the_entry_changes_and_a_short_one_says_nothing(hall) -> None:
    long = answered(1, "\n\n".join(f"line {number}" for number in range(40)))
    async with hall(entries=[answered(2, "short", is_folded=True), long]) as screen:
        screen.view.jump(-1)
        screen.view.toggle_fold()
        screen.view.apply([Upsert(replace(long, note="ended early"))])
        await screen.pilot.pause()
        assert any("more lines" in row for row in screen.rows())
        assert any("ended early" in row for row in screen.rows())
        assert sum("more lines" in row for row in screen.rows()) == 1


LONG = "\n\n".join(f"line {number}" for number in range(40))


def folds(screen) -> int:
    return sum("enter opens" in row for row in screen.rows())


async def test_a_folded_answer_says_how_much_it_hides_also_while_it_streams(hall) -> None:
    async with hall(entries=[answered(1, "word " * 200), answered(2, LONG, state="streaming")]) as screen:
        screen.view.jump(-1)
        screen.view.toggle_fold()
        await screen.pilot.pause()
        assert "75 more lines" in screen.rows()[screen.row_with("line 1") + 2]
        await screen.more("a2", "\n\nline 40")
        assert "77 more lines" in screen.rows()[screen.row_with("line 1") + 2]
        screen.view.jump(-1)
        screen.view.toggle_fold()
        await screen.pilot.pause()
        assert any("more characters · enter opens" in row for row in screen.rows())


async def test_with_nothing_chosen_f9_folds_the_last_long_answer_and_opens_it_again(hall) -> None:
    short = Entry("t1", "task", "short", "Crawl", state="done", is_folded=True)
    async with hall(entries=[answered(1, LONG), answered(2, LONG), short]) as screen:
        screen.view.toggle_fold()
        await screen.pilot.pause()
        assert (screen.view.items.folds, folds(screen)) == ({"a2": True}, 1)
        screen.view.toggle_fold()
        await screen.pilot.pause()
        assert (screen.view.items.folds, folds(screen)) == ({"a2": False}, 0)


async def test_all_long_answers_fold_and_open_together_but_not_what_is_short_or_streams(hall) -> None:
    entries = [
        said(1, LONG), answered(2, LONG), answered(3, "short"), answered(4, LONG), answered(5, LONG, state="streaming"),
    ]  # fmt: skip
    async with hall(size=(80, 60), entries=entries) as screen:
        assert screen.view.fold_all() == "2 long answers folded."
        await screen.pilot.pause()
        assert screen.view.is_following
        assert [key for key, is_folded in screen.view.items.folds.items() if is_folded] == ["a2", "a4"]
        screen.view.items.fold("a2", False)
        assert screen.view.fold_all() == "1 long answer folded."
        assert screen.view.fold_all() == "2 long answers opened."
        await screen.pilot.pause()
        assert not any(screen.view.items.folds.values())
        await screen.show(answered(1, "short"))
        assert screen.view.fold_all() == "No answer here is long enough to fold."


async def test_the_screen_while_it_streams_ends_as_the_whole_text_would_look(hall) -> None:
    text = "# Title\n\nSome **bold** text\n\n- a\n- b\n\n| a | b |\n|--|--:|\n| 1 | 2 |\n\n```\ncode\n\nmore\n```\nend"
    async with hall(size=(80, 40), entries=[answered(1, text)]) as screen:
        wanted = screen.rows()
        await screen.show(answered(1, "", state="streaming"))
        for character in text:
            screen.view.apply([Stream("a1", character)])
        await screen.pilot.pause()
        assert "writing" in screen.rows()[screen.row_with("end") + 1]
        screen.view.apply([Upsert(answered(1, text))])
        await screen.pilot.pause()
        assert screen.rows() == wanted


async def test_another_theme_draws_everything_anew(hall) -> None:
    async with hall(entries=[answered(1, "**bold** `code`\n\n```python\nx = 1\n```")]) as screen:
        dark = screen.app.screen._compositor.render_strips()
        screen.app.theme = "dawn"
        await screen.pilot.pause()
        light = screen.app.screen._compositor.render_strips()
        assert [strip.text for strip in dark] == [strip.text for strip in light]
        assert all(a != b for a, b in zip(dark, light, strict=True))
