"""Markdown in pieces gives the same screen as the whole text, and its blocks are the ones that CommonMark names."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.state.markdown_texts import documents, parsed, pieces, rows_of, shown
from tui_agent.state import markdown_code
from tui_agent.state.markdown import LINE_CHARS, MOST_LINES, Document
from tui_agent.state.markdown_block import Block
from tui_agent.state.markdown_layout import lay_out
from tui_agent.state.wrap import Row, cells

markdown_code.load("python")
markdown_code.load("sh")


@settings(max_examples=250, deadline=None)
@given(pieces(documents()), st.integers(4, 90))
def test_however_the_text_was_cut_the_rows_are_those_of_the_whole(parts: list[str], width: int) -> None:
    document = Document()
    kept: list[tuple[Block, list[Row]]] = []
    for part in parts:
        document.feed(part)
        for block in document.tail(is_open=True):
            lay_out(block, width, is_open=True)
        for number in document.changed():
            if number < len(kept):
                kept[number] = (document.blocks[number], lay_out(document.blocks[number], width))
        kept += [(block, lay_out(block, width)) for block in document.blocks[len(kept) :]]
    document.tail()
    changed = document.changed()
    assert all(number in changed or lay_out(block, width) == rows for number, (block, rows) in enumerate(kept))
    rows = [row for block in document.blocks + document.tail() for row in lay_out(block, width)]
    assert rows == rows_of("".join(parts), width)


@settings(max_examples=150, deadline=None)
@given(documents(), st.integers(14, 90))
def test_no_row_is_wider_than_it_may_be(text: str, width: int) -> None:
    for row in rows_of(text, width):
        assert sum(cells(span.text) for span in row) <= width, row


@settings(max_examples=150, deadline=None)
@given(documents(), st.integers(14, 90))
def test_each_span_says_which_part_of_the_text_it_shows(text: str, width: int) -> None:
    last = 0
    for row in rows_of(text, width):
        for span in row:
            if span.start < 0:
                continue
            assert last <= span.start <= span.end <= len(text)
            last = span.start
            if span.end - span.start == len(span.text) and "\t" not in text[span.start : span.end]:
                assert span.text == text[span.start : span.end].replace("\n", " ")


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab *_`[]()<>|#-+1.\n\\&;~!:/htps", max_size=200), st.integers(2, 30))
def test_any_text_is_taken(text: str, width: int) -> None:
    document = Document()
    for character in text:
        document.feed(character)
        document.tail(is_open=True)
    rows = [row for block in document.blocks + document.tail() for row in lay_out(block, width)]
    assert rows == rows_of(text, width)


def test_a_heading_a_paragraph_and_a_list_have_empty_rows_between_and_a_tight_list_none_within() -> None:
    assert shown("# One\ntext\n- a\n- b\n  1. c\n\nend") == ["One", "", "text", "", "• a", "• b", "  1. c", "", "end"]


def test_a_list_counts_on_from_its_first_number() -> None:
    assert shown("3. a\n3. b\n1. c") == ["3. a", "4. b", "5. c"]


def test_what_goes_on_in_an_item_stands_under_its_text() -> None:
    assert shown("- a\n\n  more\n\n  > said\n- b") == ["• a", "", "  more", "", "  ▎ said", "• b"]


def test_tasks_show_whether_they_are_done() -> None:
    assert shown("- [x] yes\n- [ ] no\n- [y] neither") == ["☑ yes", "☐ no", "• [y] neither"]


def test_a_table_is_aligned_and_its_cells_wrap_when_it_is_narrow() -> None:
    text = "| name | n |\n|:--|--:|\n| a | 1 |\n| some words | 22 |"
    assert shown(text) == [" name       │  n", "────────────┼────", " a          │  1", " some words │ 22"]
    assert shown(text, 14) == [
        " name    │  n",
        "─────────┼────",
        " a       │  1",
        " some    │ 22",
        " words   │",
    ]


def test_a_line_with_another_count_of_cells_makes_no_table() -> None:
    assert shown("a | b\n--|--|--") == ["a | b --|--|--"]


def test_the_first_rows_of_a_table_fix_its_columns() -> None:
    text = "| a |\n|---|\n" + "| x |\n" * 60 + "| a long cell that comes late |\n"
    rows = shown(text, 60)
    assert rows[:3] == [" a", "───", " x"]
    assert rows[62] == " a"
    assert len(parsed(text)) == 2


def test_code_is_shown_as_it_is_with_its_language_and_a_way_to_copy_it() -> None:
    assert shown("```py\nx = [1]\n\n**no**\n```\nend", 40) == [
        "▌  x = [1]                     py  copy",
        "▌",
        "▌  **no**",
        "",
        "end",
    ]


def test_a_fence_that_did_not_end_is_code_to_the_end() -> None:
    assert [block.kind for block in parsed("```\na\n\n# b\n")] == ["code"]


def test_a_string_over_several_parts_of_a_fence_keeps_its_colour() -> None:
    lines = ['x = """', *["words"] * 8, "", *["words"] * 40, '"""', "y = 1"]
    blocks = parsed("```python\n" + "\n".join(lines) + "\n```")
    assert len(blocks) > 1
    for block in blocks[1:-1]:
        looks = {span.look for row in lay_out(block, 60) for span in row if span.text == "words"}
        assert looks == {"block code_string"}


def test_html_unknown_references_and_other_schemes_are_shown_as_they_are() -> None:
    text = "<b>x</b> [a][b] [c](file:///etc) [d](javascript:e) [/] list[int]"
    assert shown(text, 80) == [text]


DEFINED = "\n\n[ref]: https://ref.example"


@pytest.mark.parametrize(
    ("text", "rows", "links"),
    [
        ("[text][ref]" + DEFINED, ["text"], ["https://ref.example"]),
        ("[*a* `b`][ref]" + DEFINED, ["a b"], ["https://ref.example"] * 3),
        ("[Ref][] and [rEF]" + DEFINED, ["Ref and rEF"], ["https://ref.example"] * 2),
        ("[a  b\nc]\n\n[A B   C]: <https://x.y> 'title'", ["a  b c"], ["https://x.y"]),
        ("[\u1e9e]\n\n[SS]: https://x.y (title)", ["\u1e9e"], ["https://x.y"]),
        ("![pic][ref]" + DEFINED, ["pic"], ["https://ref.example"]),
        ("[text][none] [none]" + DEFINED, ["[text][none] [none]"], []),
        ("[text][ref]", ["[text][ref]"], []),
        ("[ref]" + DEFINED + "\n[ref]: https://second.example", ["ref"], ["https://ref.example"]),
        ("> [a]: https://x.y\n\n[a]", ["a"], ["https://x.y"]),
        ("- [a]: https://x.y\n\n[a]", ["•", "", "a"], ["https://x.y"]),
        ("words\n[a]: https://x.y", ["words [a]: https://x.y"], ["https://x.y"]),
        ("[a]: javascript:alert(1)\n\n[a]", ["[a]: javascript:alert(1)", "", "[a]"], []),
        ("[a]: https://x.y and more", ["[a]: https://x.y and more"], ["https://x.y"]),
        ("```\n[a]: https://x.y\n```\n[a]", None, []),
        ("`[ref]` \\[ref] [ref\\]" + DEFINED, ["[ref] [ref] [ref]"], []),
        ("[a [ref] b][ref]" + DEFINED, ["[a ref b]ref"], ["https://ref.example"] * 2),
        ("[ref](https://in.line)" + DEFINED, ["ref"], ["https://in.line"]),
        ("# [ref]" + DEFINED, ["ref"], ["https://ref.example"]),
        ("| [ref] | b |\n|---|---|\n| [x][ref] | y |" + DEFINED, None, ["https://ref.example"] * 2),
        ("x[^1]\n\n[^1]: first\n[^n]: second", ["x\u00b9", "", "\u00b9 first", "[n] second"], []),
        ("x[^n]\n\n[^n]: a [ref]\n    more" + DEFINED, ["x[n]", "", "[n] a ref more"], ["https://ref.example"]),
        ("x[^1] [^a-z]", ["x[^1] [^a-z]"], []),
        ("[t][^1]\n\n[^1]: [/] [b]", ["[t]\u00b9", "", "\u00b9 [/] [b]"], []),
    ],
)
def test_references_are_links_where_they_are_defined(text: str, rows: list[str] | None, links: list[str]) -> None:
    assert rows is None or shown(text, 60) == rows
    assert [span.link for row in rows_of(text, 60) for span in row if span.link] == links


def test_a_definition_that_comes_late_repaints_only_the_blocks_that_use_it() -> None:
    document = Document()
    document.feed("a [x]\n\nb\n\n| [t][X] |\n|---|\n\n- [y]\n\n")
    assert document.changed() == set()
    assert "".join(span.text for row in lay_out(document.blocks[0], 40) for span in row) == "a [x]"
    for begun in ("[", "x", "]:", " https://x.", 'y "tit', 'le"'):
        document.feed(begun)
        assert document.tail(is_open=True) == []
    assert document.changed() == set()
    document.tail()  # no more comes: the last line needs no end
    assert document.changed() == {0, 2}
    document.feed("\n")
    document.tail(is_open=True)
    document.changed()
    assert "".join(span.text for row in lay_out(document.blocks[0], 40) for span in row) == "a x"
    document.feed("[x]: https://again.example\n[z]: https://z.example\n")
    assert document.changed() == set()


def test_five_thousand_references_and_definitions_cost_what_they_are_long() -> None:
    def took(count: int) -> float:
        uses = " ".join(f"[r{number}]" for number in range(count))
        text = uses + "\n\n" + "".join(f"[r{number}]: https://x.y/{number}\n" for number in range(count))
        began = time.process_time()
        document = Document()
        for at in range(0, len(text), 4096):
            document.feed(text[at : at + 4096])
            document.tail(is_open=True)
        blocks = document.blocks + document.tail()
        found = [span.link for block in blocks for row in lay_out(block, 100) for span in row if span.link]
        spent = time.process_time() - began
        assert len(found) >= count
        return spent

    took(100)
    few, many = min(took(1000) for _ in range(3)), min(took(5000) for _ in range(3))
    assert many < 12 * few
    assert many < 1.0


def test_a_long_line_is_cut_but_nothing_of_it_is_lost() -> None:
    text = "word " * 3000
    assert "".join(shown(text, 50)).replace(" ", "") == text.replace(" ", "")
    assert max(len(block.content) for block in parsed("x" * 50_000)) <= LINE_CHARS


def test_what_cannot_be_told_yet_is_not_shown_while_the_text_comes() -> None:
    for begun in ("text\n-", "text\n--", "1", "1.", "- [", "#", "```", "|"):
        document = Document()
        document.feed(begun)
        rows = ["".join(s.text for s in row) for block in document.tail(is_open=True) for row in lay_out(block, 40)]
        assert rows in ([], ["text"]), begun


def test_an_emphasis_that_has_begun_is_shown_as_one_while_the_text_comes() -> None:
    for begun in ("**bol", "a **bold wor", "*it"):
        document = Document()
        document.feed(begun)
        (row,) = [row for block in document.tail(is_open=True) for row in lay_out(block, 40, is_open=True)]
        assert "*" not in "".join(s.text for s in row)
        assert row[-1].look in ("strong", "em")


def test_a_long_list_costs_each_piece_the_same() -> None:
    document = Document()
    for number in range(3000):
        document.feed(f"- item {number}\n")
        assert len(document.tail()) <= 1
    assert len(document.blocks) == 2999


def test_after_very_many_lines_a_text_flows_as_it_is_and_nothing_of_it_is_lost() -> None:
    text = "".join(f"- {number}\n" for number in range(MOST_LINES + 9000))
    blocks = parsed(text)
    assert [block.content for block in blocks[MOST_LINES - 1 : MOST_LINES]] == [str(MOST_LINES - 1)]
    flowing = "\n".join(block.content for block in blocks[MOST_LINES:])
    assert flowing == text.split(f"- {MOST_LINES - 1}\n")[1].removesuffix("\n")
    pieces = Document()
    for at in range(0, len(text), 777):
        pieces.feed(text[at : at + 777])
        pieces.tail(is_open=True)
    assert [block.content for block in pieces.blocks + pieces.tail()] == [block.content for block in blocks]
