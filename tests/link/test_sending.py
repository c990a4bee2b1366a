"""What settles a kept command, and what does not."""

from __future__ import annotations

from pathlib import Path

from server import protocol as wire
from tui_agent.link.outbox import Outbox
from tui_agent.link.resume import Cursor
from tui_agent.link.sending import Sending

TIME = "2026-11-25T00:00:00Z"


def welcome(user: str) -> wire.Welcome:
    return wire.Welcome(
        "s", "main", user, "c", "e", 0, False, [], 2, None, [], [], wire.AgentInfo("a", "m"), wire.Limits()
    )


async def test_another_member_s_event_under_the_same_cid_settles_nothing_of_mine(tmp_path: Path) -> None:
    outbox, frames = Outbox(tmp_path, now_s=0), list[bytes]()
    outbox.add(wire.Message("c1", "mine"), 1.0)
    outbox.add(wire.SubmitTask("c2", "my task"), 2.0)
    sending = Sending(outbox, Cursor(), lambda: None)

    def put(frame: bytes) -> bool:
        frames.append(frame)
        return True

    sending.opened(put, welcome("ada"))
    sending.interrupt(None)  # of my message's run, once that is known
    sending.settle(wire.UserMessage(1, TIME, "ben", "c1", "theirs", "r9"))
    sending.settle(wire.TaskSubmitted(2, TIME, "t9", "c2", "ben", "theirs", "theirs"))
    assert [pending.cid for pending in outbox.pending] == ["c1", "c2"]
    assert len(frames) == 1, "nothing was sent again, and nothing of theirs interrupted"
    sending.settle(wire.UserMessage(3, TIME, "ada", "c1", "mine", "r1"))
    assert [pending.cid for pending in outbox.pending] == ["c2"]
    sending.settle(wire.TaskSubmitted(4, TIME, "t1", "c2", "ada", "my task", "my task"))
    assert not outbox.pending
