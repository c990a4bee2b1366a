"""Select by mouse and keys, over rows, messages and wraps; copy as it was written; links, code, jumps."""

from __future__ import annotations

from textual import events

from tests.ui.transcript.conftest import answered, said
from tui_agent.ui.transcript.selection import source_of, word_at, word_edge
from tui_agent.ui.transcript.widget import Transcript, code_blocks


async def drag(screen, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Press, move and let go, as a terminal reports it."""
    pilot = screen.pilot
    await pilot.mouse_down(Transcript, offset=start)
    for step in (0.5, 1.0):
        x, y = (round(a + (b - a) * step) for a, b in zip(start, end, strict=True))
        moved = events.MouseMove(screen.view, x, y, 1, 1, 1, False, False, False, screen_x=x, screen_y=y)
        screen.view.post_message(moved)
        await pilot.pause()
    await pilot.mouse_up(Transcript, offset=end)
    await pilot.pause()


async def test_a_drag_selects_what_it_goes_over_and_copies_it_as_it_was_written(hall) -> None:
    async with hall(entries=[answered(1, "Some **bold** and `code` words")]) as screen:
        row, column = screen.row_with("bold"), screen.column_of("bold")
        await drag(screen, (column, row), (column + 3, row))
        assert screen.view.selected_text == "**bold**"
        assert screen.view.copy_selection() == "**bold**"
        assert screen.app.clipboard == "**bold**"
        assert screen.view.copy_selection() is None


async def test_a_drag_over_messages_takes_the_whole_texts_between(hall) -> None:
    entries = [said(1, "first one"), answered(2, "- a\n- b\n\n| x |\n|---|\n| 1 |"), said(3, "the last one")]
    async with hall(size=(80, 40), entries=entries) as screen:
        start = (screen.column_of("one"), screen.row_with("first one"))
        end = (screen.column_of("the last") + 2, screen.row_with("the last"))
        await drag(screen, start, end)
        assert screen.view.selected_text == "one\n\n- a\n- b\n\n| x |\n|---|\n| 1 |\n\nthe"
        await drag(screen, end, start)  # the other way round it is the same
        assert screen.view.selected_text == "one\n\n- a\n- b\n\n| x |\n|---|\n| 1 |\n\nthe"


async def test_a_selection_stays_on_its_words_when_the_window_wraps_anew_or_more_comes(hall) -> None:
    async with hall(entries=[answered(1, "words " * 30 + "NEEDLE " + "words " * 30, state="streaming")]) as screen:
        row, column = screen.row_with("NEEDLE"), screen.column_of("NEEDLE")
        await drag(screen, (column, row), (column + 5, row))
        await screen.pilot.resize_terminal(50, 24)
        await screen.more("a1", "and more")
        assert screen.view.selected_text == "NEEDLE"
        strip = screen.app.screen._compositor.render_strips()[screen.row_with("NEEDLE")]
        lit = [s.text for s in strip if s.style and s.style.bgcolor == screen.view.style("selected").bgcolor]
        assert lit == ["NEEDLE"]


async def test_a_double_click_selects_a_word_and_a_triple_click_a_row(hall) -> None:
    async with hall(entries=[said(1, "one twofold three")]) as screen:
        row, column = screen.row_with("twofold"), screen.column_of("twofold") + 2
        await screen.pilot.click(Transcript, offset=(column, row), times=2)
        assert screen.view.selected_text == "twofold"
        await screen.pilot.click(Transcript, offset=(column, row), times=3)
        assert screen.view.selected_text == "one twofold three"
        await screen.pilot.click(Transcript, offset=(column, row))
        assert screen.view.selected_text == ""


async def test_keys_select_by_rows_and_words_over_messages(hall) -> None:
    async with hall(entries=[said(1, "alpha beta"), answered(2, "- gamma delta\n- eps")]) as screen:
        screen.view.jump(-1)
        screen.view.jump(-1)
        await screen.pilot.press("shift+right")
        assert screen.view.selected_text == "alpha"
        await screen.pilot.press("shift+right", "shift+left")
        assert screen.view.selected_text.strip() == "alpha"
        await screen.pilot.press("shift+down", "shift+down")
        assert screen.view.selected_text.startswith("alpha beta")
        for _ in range(4):
            await screen.pilot.press("shift+down")
        assert screen.view.selected_text == "alpha beta\n\n- gamma delta\n- eps"


async def test_jumps_go_from_message_to_message_and_bring_it_into_sight(hall) -> None:
    async with hall(entries=[said(number, "text\n" * 9) for number in range(20)]) as screen:
        screen.view.jump(-1)
        assert screen.view.cursor == "m19"
        assert screen.app.focused is screen.view
        for _ in range(5):
            await screen.pilot.press("up")
        assert screen.view.cursor == "m14"
        top = int(screen.view.scroll_y)
        assert top <= screen.view.row_of("m14", 0) < top + screen.view.rows_shown
        assert any(row.startswith(" ▐") for row in screen.rows())
        for _ in range(6):
            await screen.pilot.press("down")
        assert screen.view.cursor is None
        assert screen.view.is_following


async def test_text_typed_while_a_message_is_chosen_goes_to_the_composer(hall) -> None:
    async with hall(entries=[said(1)]) as screen:
        screen.view.jump(-1)
        await screen.pilot.press("h", "i")
        assert [message.text for message in screen.app.of(Transcript.Typed)] == ["h", "i"]


async def test_the_chosen_message_and_its_code_are_copied_as_they_were_written(hall) -> None:
    text = "**See**\n\n```python\nx = 1\n\n\ny = 2\n```\n\nand\n\n```\nz\n```"
    async with hall(size=(80, 40), entries=[answered(1, text), said(2, "plain")]) as screen:
        assert screen.view.copy_message() == text
        assert screen.view.copy_code() == "z"
        screen.view.jump(-1)
        assert screen.view.copy_message() == "plain"
        assert screen.view.copy_code() is None
        await screen.pilot.pause()
        assert [message.what for message in screen.app.of(Transcript.Copied)][0] == "message copied, 14 lines"


async def test_a_click_on_copy_takes_that_code(hall) -> None:
    text = "```python\nfirst = 1\n```\n\n```sh\nsecond\n```"
    async with hall(entries=[answered(1, text)]) as screen:
        row = screen.row_with("first = 1")
        await screen.pilot.click(Transcript, offset=(screen.rows()[row].index("copy") + 1, row))
        assert screen.app.clipboard == "first = 1"


async def test_a_click_on_a_link_tells_where_it_truly_goes_and_only_for_the_web(hall) -> None:
    text = "[good](https://evil.example/x) [bad](javascript:alert(1)) <vscode://x>"
    async with hall(entries=[answered(1, text)]) as screen:
        row = screen.row_with("good")
        for words in ("good", "bad", "vscode"):
            await screen.pilot.click(Transcript, offset=(screen.column_of(words) + 1, row))
        assert [message.url for message in screen.app.of(Transcript.LinkClicked)] == ["https://evil.example/x"]


async def test_a_reference_becomes_a_link_when_its_definition_comes_and_a_click_tells_its_true_target(hall) -> None:
    async with hall(entries=[answered(1, "see [good][Ref]\n\nwords\n\n", state="streaming")]) as screen:
        row = screen.row_with("[good][Ref]")
        await screen.more("a1", "[ref]: https://evil.example/x 'a title'\n")
        assert screen.rows()[row].strip() == "see good"
        await screen.pilot.click(Transcript, offset=(screen.column_of("good") + 1, row))
        assert [message.url for message in screen.app.of(Transcript.LinkClicked)] == ["https://evil.example/x"]
        await drag(screen, (screen.column_of("see"), row), (screen.column_of("words"), row + 2))
        assert screen.view.selected_text.startswith("see [good][Ref]\n\nw")


async def test_a_click_anywhere_while_it_streams_is_harmless(hall) -> None:
    async with hall(entries=[answered(1, "", state="streaming")]) as screen:
        for number in range(12):
            screen.view.apply([])
            await screen.more("a1", f"- item {number} [a](https://a.b)\n" if number % 3 else "```\ncode\n```\n\n")
            await screen.pilot.click(Transcript, offset=(5 + 3 * number, 2 * number % 23))
        assert screen.app.is_running


async def test_code_blocks_are_found_whole_also_when_they_are_long() -> None:
    code = "\n".join(f"line {number}" + ("\n" if number % 9 == 0 else "") for number in range(200))
    ((_, found),) = code_blocks(f"text\n\n```python\n{code}\n```\nend")
    assert found == code


def test_marks_are_copied_where_they_belong_to_what_is_selected() -> None:
    text = "- one **two** three\n- four"
    two = text.index("two")
    assert source_of(text, two, two + 3) == "**two**"
    assert source_of(text, two, text.index("three") + 5) == "**two** three"
    assert source_of(text, text.index("one"), len(text)) == text
    assert source_of(text, text.index("one"), text.index("one") + 3) == "one"
    assert source_of("a `b` c", 3, 4) == "`b`"


def test_words_and_their_edges() -> None:
    assert word_at("one, two", 5) == (5, 8)
    assert word_at("one, two", 3) == (3, 4)
    assert word_edge("one, two", 0, 1) == 3
    assert word_edge("one, two", 8, -1) == 5
    assert word_edge("one", 3, 1) == 3
