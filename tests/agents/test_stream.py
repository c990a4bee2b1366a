"""Reading a response event by event: order, surrogates, notes."""

from types import SimpleNamespace as Ns

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.agents.base import Note, Text
from server.agents.stream import BadStream, Reading, clean_line, mend

USAGE = Ns(input_tokens=3, output_tokens=1, cache_read_input_tokens=None, cache_creation_input_tokens=None)
START = Ns(type="message_start", message=Ns(usage=USAGE))
STOP = Ns(type="content_block_stop", index=0)


def opened(**block):
    block = {"type": "text", "text": ""} | block
    content = Ns(model_dump=lambda **_: dict(block))
    return Ns(type="content_block_start", index=0, content_block=content)


def delta(text, index=0):
    return Ns(type="content_block_delta", index=index, delta=Ns(type="text_delta", text=text))


def read(*events):
    reading = Reading()
    return reading, [shown for event in events if (shown := reading.feed(event)) is not None]


@given(st.lists(st.text(st.characters(codec=None), max_size=6), max_size=8))
def test_every_piece_is_unicode_and_the_pieces_are_what_was_sent(pieces):
    reading, shown = read(START, opened(), *map(delta, pieces), STOP)
    got = "".join(item.content for item in shown)
    for item in shown:
        assert item.content
        item.content.encode()
    sent = "".join(pieces).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert got == "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in sent)
    assert reading.blocks[0]["text"] == got


def test_a_pair_cut_between_two_pieces_is_one_character():
    assert read(START, opened(), delta("a\ud83d"), delta("\ude00b"))[1] == [Text("a"), Text("😀b")]


def test_a_half_at_the_end_of_a_line_is_replaced_and_the_line_end_kept():
    assert mend("a\ud800\n") == ("a\ufffd\n", "")


@pytest.mark.parametrize(
    "events",
    [
        [delta("x")],
        [START, START],
        [START, delta("x")],
        [START, opened(), delta("x", 7)],
        [START, opened(), opened()],
        [START, STOP],
        [opened()],
        [START, opened(), delta(None)],
        [START, opened(), delta(5)],
        [START, opened(), Ns(type="content_block_delta", index=0)],
        [START, Ns(type="message_delta", delta=Ns())],
        [Ns(type="message_start")],
        [Ns()],
        [START, Ns(type="message_stop"), opened()],
    ],
)
def test_events_out_of_order_or_shape_are_refused(events):
    with pytest.raises(BadStream):
        read(*events)


def test_unknown_events_and_deltas_are_passed_over():
    strange = Ns(type="content_block_delta", index=0, delta=Ns(type="hologram_delta"))
    assert read(Ns(type="weather"), START, opened(), strange, delta("x"))[1] == [Text("x")]


@pytest.mark.parametrize(
    ("block", "note"),
    [
        ({"type": "server_tool_use", "name": "web_search", "input": {"query": "a\x1b[2J b\u202e\nc"}}, "a[2J b c"),
        ({"type": "server_tool_use", "name": "web_search", "input": {"query": "x" * 500}}, "x" * 119 + "…"),
        ({"type": "server_tool_use", "name": "web_fetch", "input": {"url": "https://e.org"}}, "https://e.org"),
    ],
)
def test_notes_of_tools_are_clean_and_short(block, note):
    [shown] = read(START, opened(**block), STOP)[1]
    assert isinstance(shown, Note)
    assert shown.content.endswith(": " + note)


def test_a_tool_with_a_broken_input_is_refused():
    use = opened(type="server_tool_use", name="web_search", input={})
    bad = Ns(type="content_block_delta", index=0, delta=Ns(type="input_json_delta", partial_json="{"))
    with pytest.raises(BadStream):
        read(START, use, bad, STOP)


@given(st.text(st.characters(codec=None)))
def test_a_cleaned_line_is_one_short_printable_line(text):
    line = clean_line(text, 20)
    assert len(line) <= 20
    assert "\n" not in line
    line.encode()
    assert all(c >= " " for c in line)
