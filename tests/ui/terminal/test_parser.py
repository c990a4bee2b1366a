"""Bytes as terminals send them, fed to the parser that the driver uses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events

from tui_agent.ui.terminal.parser import MOST_PASTE, KeyParser


def told(parser: KeyParser, *chunks: str) -> list[str]:
    """Keys as `name` or `name:character`, pastes as `paste:…`, after the waits are over."""
    out: list[str] = []
    messages = [message for chunk in chunks for message in parser.feed(chunk)]
    for _ in range(2):  # what was held back may begin a wait of its own
        parser._came_s -= 10
        if parser._timeout_time is not None:
            parser._timeout_time = 0.0
        messages += list(parser.tick())
    for message in messages:
        match message:
            case events.Key():
                same = message.character is None or message.character == message.key or not message.is_printable
                out.append(message.key if same else f"{message.key}:{message.character}")
            case events.Paste():
                out.append(f"paste:{message.text}")
            case _:
                out.append(type(message).__name__)
    return out


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("\x1b", ["escape"]),
        ("\x1bstop", ["escape", "s", "t", "o", "p"]),
        ("\x1bOK then", ["escape", "O", "K", "space: ", "t", "h", "e", "n"]),
        ("\x1bPlease", ["escape", "P", "l", "e", "a", "s", "e"]),
        ("\x1b1", ["escape", "1"]),
        ("\x1b\x1b", ["escape", "escape"]),
        ("\x1b\r", ["alt+enter"]),
        ("\r", ["enter"]),
        ("\n", ["ctrl+j"]),
        ("\x1b[27;2;13~", ["shift+enter"]),
        ("\x1b[13;2u", ["shift+enter"]),
        ("\x1b[13;3u", ["alt+enter"]),
        ("\x1b[27u", ["escape"]),
        ("\x1b[32u", ["space: "]),
        ("\x1b[97u", ["a"]),
        ("\x1b[97;;97u", ["a"]),
        ("\x1b[97;2;65u", ["A"]),
        ("\x1b[97;5u", ["ctrl+a"]),
        ("\x1b[97;1:1u", ["a"]),
        ("\x1b[97;1:3u", []),
        ("\x1b[1;1:3A", []),
        ("\x1b[99999999999u", []),
        ("\x1b[1:2:3;4:5:6u", []),
        ("\x1bOP", ["f1"]),
        ("\x1b[[A", ["f1"]),
        ("\x1b[12~", ["f2"]),
        ("\x1b[13;2~", ["shift+f3"]),
        ("\x1b[A", ["up"]),
        ("\x1b[1;5F", ["ctrl+end"]),
        ("\x1b[<35;NaN;NaNM", []),
        ("\x1b[<NaN;NaN;NaNm", []),
        ("\x1b[<0;10;5M", ["MouseDown"]),
        ("\x1b[?62;22c", []),
        ("\x1b[?1u", []),
        ("\x1b[0n", []),
        ("\x1b]11;rgb:1212/1515/1d1d\x1b\\", []),
        ("\x1b]11;rgb:1212/1515/1d1d\x07", []),
        ("\x1b]10;rgb:ff/ff/ff\x07\x1b[?62c", []),
        ("\x1bP>|XTerm(388)\x1b\\", []),
        ("\x1bP1$r0m\x1b\\", []),
        ("\x1b[200~two\rlines\x1b[201~", ["paste:two\rlines"]),
        ("\x1b[200~\x1b[31mred\x1b[0m\r\x1b]0;x\x07\x1b[201~", ["paste:\x1b[31mred\x1b[0m\r\x1b]0;x\x07"]),
        ("\x1b[200~\x1b[201~", ["paste:"]),
        ("ä漢👍", ["ä", "漢", "thumbs_up_sign:👍"]),
    ],
)  # fmt: skip
def test_what_terminals_send_becomes_the_keys_that_were_meant(sent: str, keys: list[str]) -> None:
    assert told(KeyParser(), sent) == keys


@pytest.mark.parametrize(
    "sent",
    [
        "\x1b]11;rgb:1212/1515/1d1d\x1b\\",
        "\x1b[200~a\rb\x1b[201~",
        "\x1b[?62;22c",
        "\x1b[<35;NaN;NaNM",
        "\x1bP>|x\x1b\\",
    ],
)
def test_a_sequence_that_comes_in_pieces_is_the_same_sequence(sent: str) -> None:
    whole = told(KeyParser(), sent)
    for cut in range(1, len(sent)):
        assert told(KeyParser(), sent[:cut], sent[cut:]) == whole, cut


def test_text_after_a_late_reply_is_kept() -> None:
    assert told(KeyParser(), "a\x1b]11;rgb:0/0/0\x1b\\b\x1b[?1;2cc") == ["a", "b", "c"]


def test_a_paste_of_4_mb_costs_a_search_and_not_a_step_a_character() -> None:
    import time

    text = "x" * (4 * 1024 * 1024)
    began_s = time.process_time()
    assert told(KeyParser(), "\x1b[200~", *(text[n : n + 4096] for n in range(0, len(text), 4096)), "\x1b[201~") == [
        f"paste:{text}"
    ]
    assert time.process_time() - began_s < 0.5


def test_a_paste_is_bounded_and_one_without_its_end_comes_after_a_second() -> None:
    parser = KeyParser()
    assert list(parser.feed("\x1b[200~" + "y" * (MOST_PASTE + 10))) == []
    parser._came_s = 0.0
    [paste] = list(parser.tick())
    assert isinstance(paste, events.Paste)
    assert len(paste.text) == MOST_PASTE
    assert told(parser, "z") == ["z"]


def test_a_reply_without_its_end_does_not_swallow_what_is_typed_later() -> None:
    parser = KeyParser()
    assert told(parser, "\x1b]11;rgb:") == []
    assert told(parser, "hello") == list("hello")


@given(st.text(alphabet=st.sampled_from("\x1b[]OP<;:0129?umMA~$yc\\\x07a \r\x9c"), max_size=60), st.integers(0, 60))
def test_no_bytes_make_it_raise(text: str, cut: int) -> None:
    parser = KeyParser()
    told(parser, text[:cut] or "a", text[cut:] or "a")
    told(parser, "q")
