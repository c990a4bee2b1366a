"""Bytes of a terminal -> keys, in the cases where Textual's parser loses text, types replies or raises.

ESC, then a letter at once        Esc and the letter (Textual: alt+letter, or it waits for more)
ESC CR                            alt+enter (Textual: enter, which would send)
CSI 27 ; m ; code ~               as CSI code ; m u (xterm's modifyOtherKeys; Textual: `shift+\\r`)
CSI 32 u, CSI 97 u                the character itself (VS Code's terminal; Textual: a key without a character)
CSI … ; m : 3 u, huge numbers     a release or nonsense: ignored (Textual: ValueError, and the app ends)
CSI < 35 ; NaN ; NaN M            ignored (VS Code; Textual types it)
OSC, DCS and APC strings, CSI replies that nobody asked for here     ignored (Textual types them)
a bracketed paste                 one Paste, whatever it contains, at the cost of a search
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from time import monotonic
from typing import Final

from textual import constants, events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.keys import Keys
from textual.message import Message

MOST_PASTE: Final = 8 * 1024 * 1024  # characters; the composer says what is too long, this only bounds memory
MOST_REPLY: Final = 4096  # characters of a reply whose end does not come
STALE_S: Final = 1.0  # a paste or reply without its end is over after this silence

ESC: Final = "\x1b"
_IGNORE: Final = (events.Key(Keys.Ignore, ""),)
# A reply's beginning: OSC number ;  OSC l or L (title)  DCS as terminals answer  APC of graphics.
_STRING: Final = re.compile(r"\x1b(?:\](?:\d+;|[lL])|P[01>!][+$|~>]|_G)")
_STRING_MAYBE: Final = re.compile(r"\x1b(?:\](?:\d*)|P[01>!]?|_|\[(?:20?0?)?)?\Z")
_STRING_END: Final = re.compile(r"\x07|\x1b\\|\x9c")
_CSI: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_MOUSE_SO_FAR: Final = re.compile(r"\x1b\[<[-.\d;Na]*")
_MOUSE_OR_MODE: Final = re.compile(r"\x1b\[(?:<?[-\d;]+[mM]|\?\d+;\d\$y)")
_OTHER_KEY: Final = re.compile(r"\x1b\[27;(\d+);(\d+)~")
_EVENT_TYPE: Final = re.compile(r"(\x1b\[[\d:]*;\d*):(\d+)([;\d:]*[u~A-Z])")
_PLAIN_CODE: Final = re.compile(r"\x1b\[(\d+)(?::[\d:]*)?(?:;([12])?)?;?u")


class KeyParser(XTermParser):
    """Textual's parser with the cases above put right."""

    def __init__(self, debug: bool = False) -> None:
        self._held = ""  # the end of a chunk that may begin a reply or a paste
        self._paste: list[str] | None = None
        self._paste_length = 0
        self._reply_length: int | None = None  # inside a reply that is dropped
        self._came_s = 0.0
        super().__init__(debug)

    # ---- pastes and replies, before Textual sees them -------------------------------------------------

    def feed(self, data: str) -> Iterable[Message]:
        if not data:
            yield from super().feed(data)
            return
        self._came_s = monotonic()
        data, self._held = self._held + data, ""
        while data:
            if self._paste is not None:
                data = self._more_paste(data)
                if self._paste is None or not data:
                    yield from self._paste_done()
            elif self._reply_length is not None:
                data = self._more_reply(data)
            else:
                begin = data.find(BRACKETED_PASTE_START)
                reply = _STRING.search(data, 0, len(data) if begin < 0 else begin)
                end = reply.start() if reply is not None else begin if begin >= 0 else len(data)
                before, data = data[:end], data[end:]
                if not data:
                    maybe = _STRING_MAYBE.search(before)
                    if maybe is not None:
                        before, self._held = before[: maybe.start()], maybe[0]
                if before:
                    yield from super().feed(before)
                if reply is not None:
                    self._reply_length = 0
                elif begin >= 0:
                    data = data[len(BRACKETED_PASTE_START) :]
                    self._paste, self._paste_length = [], 0
                    self._is_paste_over = False

    def tick(self) -> Iterable[Message]:
        silent_s = monotonic() - self._came_s
        if self._held and silent_s >= escape_delay_s():
            held, self._held = self._held, ""
            if held == ESC:
                yield from super().tick()
                yield events.Key("escape", ESC)
            else:
                yield from super().feed(held)
        if silent_s >= STALE_S:
            self._reply_length = None
            if self._paste is not None:
                self._is_paste_over = True
                yield from self._paste_done()
        yield from super().tick()

    @property
    def is_waiting(self) -> bool:
        """Whether `tick` will have something to do without more input."""
        return bool(self._held) or self._timeout_time is not None or self._paste is not None

    _is_paste_over = False

    def _more_paste(self, data: str) -> str:
        assert self._paste is not None
        # The end may come in two chunks.
        tail = self._paste[-1][-(len(BRACKETED_PASTE_END) - 1) :] if self._paste else ""
        end = (tail + data).find(BRACKETED_PASTE_END)
        if end < 0:
            self._add_paste(data)
            return ""
        if end < len(tail):
            self._paste[-1] = self._paste[-1][: len(self._paste[-1]) - (len(tail) - end)]
        else:
            self._add_paste(data[: end - len(tail)])
        self._is_paste_over = True
        return data[end - len(tail) + len(BRACKETED_PASTE_END) :]

    def _add_paste(self, data: str) -> None:
        assert self._paste is not None
        data = data[: max(0, MOST_PASTE - self._paste_length)]
        self._paste_length += len(data)
        if len(data) < 8 and self._paste:
            self._paste[-1] += data
        else:
            self._paste.append(data)

    def _paste_done(self) -> Iterable[Message]:
        if self._paste is not None and self._is_paste_over:
            text = "".join(self._paste).replace("\x00", "")
            self._paste = None
            yield events.Paste(text)

    def _more_reply(self, data: str) -> str:
        assert self._reply_length is not None
        end = _STRING_END.search(data)
        if end is not None:
            self._reply_length = None
            return data[end.end() :]
        self._reply_length += len(data)
        if self._reply_length > MOST_REPLY:
            self._reply_length = None
        return ""

    # ---- keys ---------------------------------------------------------------------------------------------

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        if alt:  # what Textual takes for alt+letter was Esc and a letter
            return [events.Key("escape", ESC), *self._guarded(sequence)]
        if len(sequence) < 2 or sequence[0] != ESC:
            return self._guarded(sequence)
        if sequence == "\x1b\r":
            return [events.Key("alt+enter", None)]
        if len(sequence) == 2 and sequence[1].isprintable() and sequence[1] not in "[O]P_":
            return [events.Key("escape", ESC), *self._guarded(sequence[1])]
        if sequence.startswith("\x1b[<") and _MOUSE_SO_FAR.fullmatch(sequence):
            return []
        if len(sequence) == 3 and self._is_text(sequence):
            return [events.Key("escape", ESC), *self._guarded(sequence[1]), *self._guarded(sequence[2])]
        keys = list(self._guarded(self._rewritten(sequence)))
        if not keys and self._is_over(sequence):
            return list(_IGNORE)
        return keys

    @staticmethod
    def _is_text(sequence: str) -> bool:
        """`\\x1bO` and the like, typed: no key of the terminal begins so."""
        second = sequence[1]
        return second in "]P_" or (second == "O" and sequence not in ANSI_SEQUENCES_KEYS)

    def _guarded(self, sequence: str) -> Iterable[events.Key]:
        try:
            keys = list(super()._sequence_to_key_events(sequence))
        except (ValueError, OverflowError):
            return _IGNORE
        return [_with_character(key, sequence) for key in keys]

    @staticmethod
    def _rewritten(sequence: str) -> str:
        other = _OTHER_KEY.fullmatch(sequence)
        if other is not None:
            return f"\x1b[{other[2]};{other[1]}u"
        typed = _EVENT_TYPE.fullmatch(sequence)
        if typed is not None:
            return "\x1b[" if typed[2] == "3" else typed[1] + typed[3]
        return sequence

    @staticmethod
    def _is_over(sequence: str) -> bool:
        """A whole control sequence that Textual makes nothing of."""
        if sequence.startswith("\x1b[<"):
            return _MOUSE_OR_MODE.fullmatch(sequence) is None
        if sequence in ("\x1b[[", "\x1b[M") or _MOUSE_OR_MODE.fullmatch(sequence):
            return False
        return _CSI.fullmatch(sequence) is not None


def _with_character(key: events.Key, sequence: str) -> events.Key:
    """A key told by its code alone is the character of that code."""
    plain = _PLAIN_CODE.fullmatch(sequence)
    if key.character is None and plain is not None:
        character = chr(int(plain[1]))
        if character.isprintable():
            character = character.upper() if plain[2] == "2" else character
            return events.Key(key.key.removeprefix("shift+") if plain[2] == "2" else key.key, character)
    return key


def escape_delay_s() -> float:
    """How long a lone ESC may be the beginning of a sequence; `ESCDELAY` (ms) in the environment rules."""
    return constants.ESCAPE_DELAY if "ESCDELAY" in os.environ else 0.05
