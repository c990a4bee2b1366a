"""It follows the end, holds still when scrolled up, and costs by what is visible."""

from __future__ import annotations

import time

from msgspec.structs import replace

from tests.ui.transcript.conftest import answered, said
from tui_agent.state.changes import Prepend, Remove, Upsert
from tui_agent.ui.transcript.widget import Transcript

MANY = [said(number) for number in range(200)]


async def test_it_follows_the_end_while_an_answer_grows(hall) -> None:
    async with hall(entries=[*MANY, answered(1, "", state="streaming")]) as screen:
        for number in range(30):
            await screen.more("a1", f"line {number}\n\n")
        assert screen.view.is_following
        assert any("line 29" in row for row in screen.rows())
        assert "writing  esc to stop" in screen.rows()[-2]


async def test_scrolled_up_it_holds_still_and_counts_what_came(hall) -> None:
    async with hall(entries=MANY) as screen:
        screen.view.scroll_relative(y=-30, animate=False)
        await screen.pilot.pause()
        before = screen.rows()
        assert not screen.view.is_following
        await screen.add(said(900), answered(901, "x\n\n" * 50, state="streaming"))
        await screen.more("a901", "more\n\n" * 20)
        assert screen.rows() == before
        assert screen.view.unseen == 2
        screen.view.follow()
        await screen.pilot.pause()
        assert screen.view.unseen == 0
        assert any("more" in row for row in screen.rows())


async def test_scrolling_back_to_the_end_follows_again(hall) -> None:
    async with hall(entries=MANY) as screen:
        screen.view.scroll_relative(y=-5, animate=False)
        await screen.pilot.pause()
        assert not screen.view.is_following
        screen.view.scroll_relative(y=5, animate=False)
        await screen.pilot.pause()
        assert screen.view.is_following


async def test_older_entries_come_in_without_a_move_and_are_asked_for_near_the_beginning(hall) -> None:
    async with hall(entries=MANY) as screen:
        screen.view.scroll_to(y=3, animate=False)
        await screen.pilot.pause()
        assert screen.app.of(Transcript.NeedOlder)
        before = screen.rows()
        screen.view.apply([Prepend(tuple(said(1000 + number, "older\n" * 7) for number in range(100)))])
        await screen.pilot.pause()
        assert screen.rows() == before
        screen.view.scroll_relative(y=-1, animate=False)
        await screen.pilot.pause()
        assert screen.rows()[1:-1] == before[:-2]


async def test_each_page_up_shows_what_stood_above_and_nothing_twice(hall) -> None:
    entries = [
        answered(number, f"start {number}\n\n" + f"words of {number} " * (number * 7 % 60)) for number in range(60)
    ]
    async with hall(entries=entries) as screen:
        height = screen.view.rows_shown
        for _ in range(20):
            before = screen.rows()
            screen.view.scroll_relative(y=-(height - 3), animate=False)
            await screen.pilot.pause()
            assert screen.rows()[-3:] == before[:3]


async def test_a_narrower_window_keeps_the_place_in_the_text(hall) -> None:
    text = "\n\n".join(f"paragraph {number} " + "of some words " * 20 for number in range(80))
    async with hall(entries=[answered(1, text)]) as screen:
        screen.view.scroll_to(y=120, animate=False)
        await screen.pilot.pause()
        (number,) = {row.split()[1] for row in screen.rows()[:6] if "paragraph" in row}
        for width in (60, 100, 50, 80):
            await screen.pilot.resize_terminal(width, 24)
            await screen.pilot.pause()
            assert any(f"paragraph {number} " in row for row in screen.rows()[:8]), screen.rows()[:8]


async def test_an_entry_above_that_changes_moves_nothing(hall) -> None:
    async with hall(entries=MANY) as screen:
        screen.view.scroll_to(y=300, animate=False)
        await screen.pilot.pause()
        before = screen.rows()
        screen.view.apply([Upsert(replace(MANY[5], text="now\n" * 9)), Remove("m7")])
        await screen.pilot.pause()
        assert screen.rows() == before


async def test_another_room_comes_back_to_the_same_place(hall) -> None:
    async with hall(entries=MANY) as screen:
        screen.view.scroll_to(y=200, animate=False)
        await screen.pilot.pause()
        before, position = screen.rows(), screen.view.position()
        await screen.show(said(5000))
        screen.view.restore(position)
        await screen.show(*MANY)
        assert screen.rows() == before
        screen.view.follow()
        assert screen.view.position() is None


async def test_ten_thousand_messages_cost_no_more_than_what_is_visible(hall) -> None:
    entries = [
        answered(number, f"Number **{number}**\n\n- one\n- two\n\n```python\nx = {number}\n```")
        for number in range(10_000)
    ]
    async with hall(size=(100, 30)) as screen:
        await screen.show(*entries)
        assert sum(screen.view.items.item(at).view is not None for at in range(10_000)) < 100
        began = time.process_time()
        screen.view.scroll_to(y=0, animate=False)
        await screen.pilot.pause()
        screen.view.follow()
        await screen.pilot.resize_terminal(70, 30)
        await screen.pilot.pause()
        assert time.process_time() - began < 2.0  # laying all of them out takes ten times as long
        assert "x = 9999" in "\n".join(screen.rows())
        assert sum(screen.view.items.item(at).view is not None for at in range(10_000)) < 200


async def test_a_terminal_of_one_cell_and_back_is_survived(hall) -> None:
    async with hall(
        entries=[answered(1, "# A\n\n| a | b |\n|--|--|\n| 1 | 2 |\n\n```\ncode\n```\n\n> - 1. deep")]
    ) as screen:
        for size in ((1, 1), (3, 2), (80, 24)):
            await screen.pilot.resize_terminal(*size)
            await screen.pilot.pause()
        assert any("code" in row for row in screen.rows())
