"""Bad frames, in their thousands (the short form; `make soak` sends a million)."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from server import protocol as wire
from tests.attacks.fuzz import fuzzed_frames

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)
TYPES = st.sampled_from(sorted({*wire.COMMAND_TYPES, *wire.EVENT_TYPES, "hello"})) | st.text(max_size=5)
FIELDS = st.sampled_from(["cid", "content", "run", "task", "before", "limit", "user", "offset", "id", "ref", "resume"])
FRAMES = st.builds(
    lambda type_, fields: json.dumps({"type": type_, **fields}), TYPES, st.dictionaries(FIELDS, VALUES, max_size=6)
) | st.builds(json.dumps, VALUES)


@given(frame=FRAMES | st.text() | st.binary().map(lambda data: data.decode("latin-1")))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_command_or_a_bad_frame(frame: str) -> None:
    for decode in (wire.decode_command, wire.decode_hello, wire.decode_event):
        with contextlib.suppress(wire.BadFrame):
            decode(frame)


async def test_fuzzed_frames_are_answered_or_close_and_a_guest_notices_nothing(tmp_path: Path) -> None:
    counted = await fuzzed_frames(tmp_path, seed=5, frames=10_000)
    assert counted["answered"] > 8_000
    assert counted["closed"] >= 8
