"""The cursor: whatever is cut, repeated, lost or late, what is delivered is the room's log and the answer's text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server import protocol as wire
from tui_agent.link.resume import Cursor, Not

TIME = "2026-11-24T12:00:00Z"


def said(id: int, run: str = "r1") -> wire.UserMessage:
    return wire.UserMessage(id, TIME, "ada", f"c{id}", "hello", run)


def done(id: int, run: str = "r1", text: str = "") -> wire.Done:
    return wire.Done(id, TIME, run, [1], ["ada"], text, "end_turn", wire.Usage())


def welcome(head: int = 0, *, recovered: bool = True, epoch: str = "e", run: str | None = None) -> wire.Welcome:
    open_run = wire.OpenRun(run, "streaming", [1], ["ada"]) if run else None
    return wire.Welcome(
        "tui-agent/1.0.0", "r", "ada", "c1", epoch, head, recovered, [], 1, open_run, [], [],
        wire.AgentInfo("a", "m"), wire.Limits(),
    )  # fmt: skip


def cursor_at(after: int = 0, epoch: str = "e") -> Cursor:
    cursor = Cursor()
    cursor.take(welcome(after, recovered=False, epoch=epoch))
    cursor.take(wire.Snapshot(epoch, after, [], after > 0, None))
    return cursor


def test_a_first_visit_has_nothing_to_resume() -> None:
    assert Cursor().resume is None


def test_a_snapshot_sets_the_place_and_the_open_answer() -> None:
    cursor = Cursor()
    cursor.take(welcome(7, recovered=False, run="r9"))
    open_run = wire.OpenRun("r9", "streaming", [7], ["ada"], "abc")
    cursor.take(wire.Snapshot("e", 7, [done(6, "r8")], True, open_run))
    assert cursor.resume == wire.Resume("e", 7, "r9", 3)
    assert cursor.take(wire.Token("r8", 0, "late")) is Not.LATE
    assert cursor.take(wire.Token("r9", 3, "d")) == wire.Token("r9", 3, "d")


def test_between_welcome_and_snapshot_the_old_place_is_kept() -> None:
    cursor = cursor_at(5)
    cursor.take(welcome(2, recovered=False, epoch="new"))
    assert cursor.resume == wire.Resume("e", 5)
    assert cursor.take(said(6)) is Not.GAP


def test_a_welcome_that_continues_another_log_starts_afresh() -> None:
    for wrong in (welcome(9, epoch="other"), welcome(4)):
        cursor = cursor_at(5)
        assert cursor.take(wrong) is Not.GAP
        assert cursor.resume is None


def test_the_last_event_of_a_run_closes_it() -> None:
    for ending in (
        done(1),
        wire.Interrupted(1, TIME, "r1", [1], ["ada"], "ada", "user", "x"),
        wire.Error("model_error", "No.", id=1, time=TIME, run="r1", asked=[1], users=["ada"], content="x"),
    ):
        cursor = cursor_at()
        cursor.take(wire.Token("r1", 0, "x"))
        assert cursor.resume == wire.Resume("e", 0, "r1", 1)
        assert cursor.take(ending) is ending
        assert cursor.resume == wire.Resume("e", 1)
        assert cursor.take(wire.Token("r1", 1, "late")) is Not.LATE
        assert cursor.take(wire.Status("r1", "streaming", [1], ["ada"])) is Not.LATE
        assert cursor.has_ended("r1")


def test_a_refusal_is_no_log_event() -> None:
    refusal = wire.Error("busy", "Later.", ref="c1", retryable=True)
    assert cursor_at().take(refusal) is refusal


@given(st.integers(0, 50), st.integers(1, 200))
def test_an_id_is_next_known_or_a_gap(after: int, id: int) -> None:
    cursor = cursor_at(after)
    taken = cursor.take(said(id))
    if id == after + 1:
        assert isinstance(taken, wire.UserMessage)
        assert cursor.after == id
    else:
        assert taken is (Not.DUPLICATE if id <= after else Not.GAP)
        assert cursor.after == after


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(text, st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=40))
def test_any_pieces_in_any_order_never_double_or_skip_text(whole: str, pieces: list[tuple[int, int]]) -> None:
    """Pieces that overlap are cut to what is new, those after a gap are refused, also over combining characters."""
    cursor = cursor_at()
    cursor.take(wire.Status("r1", "streaming", [1], ["ada"]))
    shown = ""
    for offset, length in pieces:
        content = whole[offset : offset + length]
        taken = cursor.take(wire.Token("r1", offset, content))
        if isinstance(taken, wire.Token):
            assert taken.offset == len(shown)
            shown += taken.content
        elif taken is Not.GAP:
            assert offset > len(shown)
        else:
            assert offset + len(content) <= len(shown)
        assert shown == whole[: len(shown)]
        assert cursor.offset == len(shown)


@given(st.data())
def test_cuts_anywhere_and_replays_deliver_the_log_once(data: st.DataObject) -> None:
    """A room of messages and answers; the connection is cut after any event and replays as the protocol says."""
    log: list[wire.DurableEvent] = []
    live: list[tuple[int, wire.Event]] = []  # (how much of the log existed before, event)
    whole: dict[str, str] = {}
    for number in range(data.draw(st.integers(1, 4))):
        run = f"r{number}"
        log.append(said(len(log) + 1, run))
        live.append((len(log) - 1, log[-1]))
        whole[run] = data.draw(text)
        offset = 0
        while offset < len(whole[run]):
            step = data.draw(st.integers(1, 20))
            live.append((len(log), wire.Token(run, offset, whole[run][offset : offset + step])))
            offset += step
        log.append(done(len(log) + 1, run, whole[run]))
        live.append((len(log) - 1, log[-1]))

    cursor = cursor_at()
    ids: list[int] = []
    shown: dict[str, str] = {}

    def take(event: wire.Event) -> None:
        taken = cursor.take(event)
        assert taken is not Not.GAP
        if isinstance(taken, wire.Token):
            assert taken.offset == len(shown.get(taken.run, ""))
            shown[taken.run] = shown.get(taken.run, "") + taken.content
        elif isinstance(taken, wire.UserMessage | wire.Done):
            ids.append(taken.id)

    place = 0
    while place < len(live):
        head, event = live[place]
        take(event)
        place += 1
        if data.draw(st.booleans()) and place < len(live):
            missed = data.draw(st.integers(0, len(live) - place))
            place += missed
            seen = live[:place]
            head = sum(isinstance(old, wire.UserMessage | wire.Done) for _, old in seen)
            last_run = next((f"r{n}" for n in range(len(whole) - 1, -1, -1) if said_in(seen, f"r{n}")), None)
            is_open = last_run is not None and not done_in(seen, last_run)
            resume = cursor.resume
            assert resume is not None
            take(welcome(head, run=last_run if is_open else None))
            for old in log[resume.after : head]:
                take(old)
            if is_open and last_run is not None:
                produced = "".join(e.content for _, e in seen if isinstance(e, wire.Token) and e.run == last_run)
                offset = resume.offset if resume.run == last_run else 0
                take(wire.Token(last_run, offset, produced[offset:]))
    assert ids == list(range(1, len(log) + 1))
    for run, so_far in shown.items():
        assert whole[run].startswith(so_far)


def said_in(seen: list[tuple[int, wire.Event]], run: str) -> bool:
    return any(isinstance(event, wire.UserMessage) and event.run == run for _, event in seen)


def done_in(seen: list[tuple[int, wire.Event]], run: str) -> bool:
    return any(isinstance(event, wire.Done) and event.run == run for _, event in seen)
