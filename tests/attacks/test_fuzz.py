"""Bad frames, in their thousands (the short form; `make soak` sends a million)."""

from __future__ import annotations

import contextlib
from pathlib import Path

import hypothesis
from hypothesis import given, settings

from server import protocol as wire
from tests.attacks.frames import BODIES, PROGRAMS, Batch, Edit, batches, edited
from tests.attacks.fuzz import Fuzzer, fuzzed_frames, volley
from tests.attacks.raw import frame
from tests.fakes.process import ServerProcess


@given(body=BODIES, program=PROGRAMS)
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_command_or_a_bad_frame(body: bytes, program: list[Edit]) -> None:
    text = edited(body, program).decode()
    for decode in (wire.decode_command, wire.decode_hello, wire.decode_event):
        with contextlib.suppress(wire.BadFrame):
            decode(text)


def test_what_is_drawn_is_both_near_to_a_command_and_far_from_one() -> None:
    seen: set[str] = set()

    @hypothesis.seed(1)
    @settings(max_examples=30, database=None)
    @given(batches(20, 20))
    def look(batch: Batch) -> None:
        for payload in batch.payloads():
            try:
                seen.add(type(wire.decode_command(payload)).__name__)
            except wire.BadFrame as bad:
                seen.add("with a cid" if bad.ref else "without")
        if batch.end is not None:
            seen.add("broken")

    look()
    assert seen >= {"Message", "Interrupt", "Clear", "Typing", "History", "Rooms", "CancelTask", "with a cid",
                    "without", "broken"}  # fmt: skip


async def test_fuzzed_frames_are_answered_or_close_and_a_guest_notices_nothing(tmp_path: Path) -> None:
    counted = await fuzzed_frames(tmp_path, seed=5, frames=10_000)
    assert counted["answered"] > 9_000
    assert counted["closed"] >= 4


async def test_a_close_frame_of_the_attackers_own_comes_back_and_no_other_code_does(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path, "--agent", "demo") as server:
        fuzzer = Fuzzer(server.socket, "fuzz")
        for own, back in ((4894, 4894), (999, 1002)):
            end = frame(own.to_bytes(2, "big"), opcode=8)
            await fuzzer.send(volley(Batch([b"{}"], [[]], end, closes=False)))
            assert fuzzer.ends[back] == 1
