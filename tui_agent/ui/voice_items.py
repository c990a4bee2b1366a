"""What the status line shows of talking: recording with a level meter and a clock, transcribing, speaking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from textual.content import Content

from tui_agent.state.talk import Talk
from tui_agent.ui.bars import DIM
from tui_agent.ui.frame import Frame, Item

BARS: Final = " ▁▂▃▄▅▆▇█"
METER_CELLS: Final = 10
RED: Final = "$text-error"
KEY: Final = "bold $foreground 85%"
S = Content.styled


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be seen of the voice."""

    talk: Talk
    levels: Sequence[float]
    is_speaking: bool
    speaks_answers: bool
    is_answering: bool
    download: str = ""  # "base 42 %" while a model comes


def meter(levels: Sequence[float]) -> str:
    """The last levels (0 to 1) as bars, the newest on the right."""
    shown = list(levels)[-METER_CELLS:]
    bars = "".join(BARS[min(8, 1 + int(level * 8))] for level in shown)
    return bars.rjust(METER_CELLS, BARS[1])


def clock(seconds: float) -> str:
    """`0:04`"""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def fill(frame: Frame, look: Look) -> None:
    """Set what of the frame belongs to the voice."""
    talk = look.talk
    frame.is_recording = talk.is_mic_open
    frame.voice = tuple(_items(look, frame))
    frame.box_note = _note(look)


def _note(look: Look) -> str:
    match look.talk.phase:
        case "opening":
            return "opening the microphone"
        case "listening":
            return "listening"
        case "transcribing":
            return "transcribing"
        case _ if look.is_speaking:
            return "speaking"
        case "waiting":
            return "hands-free"
        case _:
            return ""


def _items(look: Look, frame: Frame) -> list[Item]:
    key_of = frame.key_of
    talk, talk_key, stop_key = look.talk, key_of.get("talk", ""), key_of.get("stop", "")
    items: list[Item] = []
    if look.download:
        items.append(Item(S(f"◌ {look.download}", DIM), "talk"))
    end = "end" if talk.is_hands_free else "send" if talk.is_auto else "done"
    match talk.phase:
        case "opening" | "listening":
            words = S("● ", RED) + S(meter(look.levels), RED) + S(f" {clock(talk.elapsed_s)}", "$foreground 85%")
            items += [Item(words), _key(talk_key, end, "talk"), _key(stop_key, "cancel", "stop")]
        case "transcribing":
            items += [Item(S("◌ transcribing", "$text-warning")), _key(stop_key, "cancel", "stop")]
        case _ if look.is_speaking:
            items.append(Item(S("✦ ", "$text-accent") + S("speaking", "$foreground 85%")))
            items += [_key(stop_key, "stop", "stop"), _key(talk_key, end if talk.is_hands_free else "talk", "talk")]
        case "waiting" | "resting":
            items += [Item(S("◐ hands-free", DIM)), _key(stop_key, "stop", "stop"), _key(talk_key, end, "talk")]
        case _:
            if look.speaks_answers and not frame.hint:
                items.append(Item(S("✦ aloud", DIM), "speak"))
            if items and look.is_answering:
                items.append(_key(stop_key, "stop", "stop"))
            if items:
                items.append(_key(talk_key, "talk", "talk"))
    return items


def _key(key: str, words: str, command: str) -> Item:
    return Item(S(f"{key} ", KEY) + S(words, DIM), command)
