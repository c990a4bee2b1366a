"""What hypothesis draws for the fuzz campaign: commands near and far from valid, edits of their bytes, broken frames.

A batch is some drawn bodies and some drawn edits, and every body is sent under every edit: so a million frames are
tens of thousands of drawn bodies and edits, crossed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from hypothesis import strategies as st

from server import protocol as wire
from tests.attacks.raw import frame

TEMPLATES: list[dict[str, Any]] = [
    {"type": "message", "cid": "c", "content": "hello"},
    {"type": "interrupt", "cid": "c", "run": "r1"},
    {"type": "clear", "cid": "c", "padding": 1},
    {"type": "submit_task", "cid": "c", "title": "never whole: no prompt"},
    {"type": "cancel_task", "cid": "c", "task": "t1"},
    {"type": "history", "cid": "c", "before": 10, "limit": 5},
    {"type": "rooms", "cid": "c"},
    {"type": "typing", "active": True},
    {"type": "hello", "client": "x", "device": "d", "user": "root"},
    {"type": "token", "run": "r1", "offset": 0, "content": "forged"},
]
ODD: list[Any] = [
    None, True, -1, 2**63, 2**64, -(2**63), 1e308, 0.1, "", " ", "x" * 200, "\u202e", "\x1b[2J", "\x00", "😀", [], {},
    [[]], {"a": {"b": []}}, "root", "r1", ["message"], {"type": "message"},
]  # fmt: skip
ODD_TEXT = [
    b"", b" ", b"{", b"}", b"[]", b"null", b"0", b'"x"', b"{}{}", b'{"type":}', b'{"type":"message"', b"\xef\xbb\xbf{}",
    b'{"type":"message","cid":"c","content":"\\ud800"}', b"1e999", b"-", b"NaN", b"{'a':1}",
    b'{"type":"message","type":"clear","cid":"c"}', b'{"cid":"c","cid":"d","type":"message","content":1}',
]  # fmt: skip

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
TYPES = st.sampled_from(sorted({*wire.COMMAND_TYPES, *wire.EVENT_TYPES, "hello"})) | st.text(max_size=5)
FIELDS = st.sampled_from(["cid", "content", "run", "task", "before", "limit", "user", "offset", "id", "ref", "resume"])
KEYS = FIELDS | st.sampled_from(["type", "time", "epoch", "x" * 30])
CIDS = st.sampled_from(["c", "c" * 64, "c" * 65, "é", "\n", 7, None])


def _object(pairs: list[tuple[str, Any]], *, is_ascii: bool) -> bytes:
    """An object as it stands in JSON, with keys as often as they are given."""
    inside = ",".join(f"{json.dumps(key)}:{json.dumps(value, ensure_ascii=is_ascii)}" for key, value in pairs)
    return b"{" + inside.encode(errors="replace") + b"}"


@st.composite
def commands(draw: st.DrawFn) -> bytes:
    """A command with some fields changed, left out, added, given twice or out of order."""
    pairs = list(draw(st.sampled_from(TEMPLATES)).items())
    for how in draw(st.lists(st.sampled_from(["change", "drop", "add", "cid", "shuffle"]), max_size=3)):
        place = draw(st.integers(0, len(pairs))) if how in ("change", "drop") else 0
        match how:
            case "change" if place < len(pairs):
                pairs[place] = pairs[place][0], draw(st.sampled_from(ODD) | VALUES)
            case "drop":
                del pairs[place : place + 1]
            case "add":
                pairs.append((draw(KEYS), draw(st.sampled_from(ODD) | VALUES)))
            case "cid":
                pairs.append(("cid", draw(CIDS)))
            case _:
                pairs = draw(st.permutations(pairs))
    return _object(pairs, is_ascii=draw(st.booleans()))


@st.composite
def nests(draw: st.DrawFn) -> bytes:
    """Something so deep in something else that a parser may fall."""
    opening, closing = draw(st.sampled_from([(b"[", b"]"), (b'{"a":', b"}"), (b'{"content":[', b"]}")]))
    depth = draw(st.integers(2, 3000))
    return opening * depth + b"0" + (closing * depth if draw(st.booleans()) else b"")


BODIES = st.one_of(
    commands(),
    commands(),
    st.builds(lambda type_, fields: _object([("type", type_), *fields.items()], is_ascii=True), TYPES,
              st.dictionaries(FIELDS, VALUES, max_size=4)),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.text(max_size=40).map(lambda text: text.encode(errors="replace")),
    st.sampled_from(ODD_TEXT),
    nests(),
)  # fmt: skip


class Edit(NamedTuple):
    """A change of some bytes at a place (in 256ths of the whole)."""

    how: str
    place: int
    what: bytes

    def of(self, data: bytes) -> bytes:
        at = len(data) * self.place // 256
        match self.how:
            case "cut":
                return data[:at]
            case "insert":
                return data[:at] + self.what + data[at:]
            case "replace":
                return data[:at] + self.what + data[at + len(self.what) :]
            case "repeat":
                return data[:at] + data[max(0, at - 20) :]
            case "drop":
                return data[:at] + data[at + 1 :]
            case _:
                return data


BITS = st.sampled_from([b"\\u0000", b'"', b"{", b"]", b",", "\u202e".encode(), b"1e5", b'"type":1,', b'"cid":"c",'])
EDITS = st.builds(
    Edit,
    st.sampled_from(["cut", "insert", "replace", "repeat", "drop"]),
    st.integers(0, 255),
    BITS | st.binary(min_size=1, max_size=3),
)
PROGRAMS = st.lists(EDITS, max_size=3)


def edited(body: bytes, program: list[Edit]) -> bytes:
    """The body under some edits, as UTF-8 (what is none ends a connection: see BROKEN)."""
    for edit in program:
        body = edit.of(body)
    return body.decode(errors="ignore").encode()


BROKEN = st.one_of(
    st.builds(frame, st.binary(max_size=40), opcode=st.sampled_from([2, 0, 3, 4, 11, 15])),
    st.builds(frame, st.binary(max_size=40), rsv=st.integers(1, 7)),
    st.builds(frame, st.just(b"{}"), masked=st.just(False)),
    st.builds(frame, st.binary(max_size=20).map(lambda data: data + b"\xff")),
    st.builds(frame, st.just(b"\xed\xa0\x80")),
    st.builds(frame, st.just(b"x"), size=st.sampled_from([2**17, 2**40, 2**63])),
    st.just(frame(b"x" * 70_000)),
    st.builds(frame, st.just(b"x" * 126), opcode=st.sampled_from([9, 10])),
    st.builds(frame, st.just(b"{}"), opcode=st.just(9), fin=st.just(False)),
    st.just(frame(b"{", fin=False) + frame(b"{}")),
    st.builds(
        lambda code, why: frame(code.to_bytes(2, "big") + why, opcode=8), st.integers(0, 65535), st.binary(max_size=8)
    ),
    st.just(frame(b"\x03", opcode=8)),
    st.binary(min_size=30, max_size=60).map(lambda data: data + b"\xff" * 20),
)


class Batch(NamedTuple):
    """What one attacker sends in one go; `end` (a broken frame, or more) ends its connection."""

    bodies: list[bytes]
    programs: list[list[Edit]]
    end: bytes | None
    closes: bool  # half of the connection, in the middle of what it said

    def payloads(self) -> Iterator[bytes]:
        for program in self.programs:
            for body in self.bodies:
                yield edited(body, program)


def batches(bodies: int, programs: int) -> st.SearchStrategy[Batch]:
    """So many bodies under so many edits; the first program is none."""
    return st.builds(
        Batch,
        st.lists(BODIES, min_size=bodies, max_size=bodies),
        st.lists(PROGRAMS, min_size=programs, max_size=programs),
        st.none() | st.none() | BROKEN,
        st.booleans(),
    )
