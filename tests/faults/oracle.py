"""What must be true of a room when all is calm again, whatever was done to it: the promises P1 to P3 as assertions."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from tests.fakes.wire_client import Frame, WireClient
from tests.faults.people import Person

ENDINGS = {"done", "interrupted", "error"}


async def read_log(address: Path | str, room: str = "main") -> list[Frame]:
    """The whole log over the wire, oldest first."""
    async with WireClient(address, room, user="oracle") as client:
        head = (await client.wait("welcome"))["head"]
        events: list[Frame] = []
        while head and (not events or events[0]["id"] > 1):
            before = events[0]["id"] if events else head + 1
            page = await client.answer_to(await client.command("history", before=before, limit=200))
            assert page["events"], f"history ends at {before} of {head}"
            events = page["events"] + events
        return events


def check(log: list[Frame], people: Iterable[Person], asked: Iterable[str] = ()) -> dict[str, int]:
    """0 lost, 0 doubled, one order, partials labelled, nothing asked twice. Returns what was counted."""
    people = list(people)
    assert [event["id"] for event in log] == list(range(1, len(log) + 1)), "ids without a gap"
    by_id = {event["id"]: event for event in log}
    messages = [event for event in log if event["type"] == "user_message"]
    twice = [key for key, count in Counter((m["user"], m["cid"]) for m in messages).items() if count > 1]
    assert not twice, f"doubled: {twice}"
    where = {m["cid"]: m["id"] for m in messages}
    for person in people:
        assert not person.faults, f"{person.name}: {person.faults[:5]}"
        lost = [cid for cid in person.sent if cid not in where]
        assert not lost, f"{person.name} lost {len(lost)} of {len(person.sent)}"
        for cid, id in person.acked.items():
            assert where.get(cid) == id, f"{person.name}: {cid} was acknowledged as {id}"
        for cid, content in person.sent.items():
            assert by_id[where[cid]]["content"] == content, "the words that were sent"
        _check_deliveries(person, by_id)
    _check_runs(log, messages, people)
    questions = Counter(asked)
    assert all(count == 1 for count in questions.values()), f"asked twice: {questions.most_common(2)}"
    cut = sum(event["type"] == "interrupted" and event["reason"] == "server_restart" for event in log)
    return {"events": len(log), "messages": len(messages), "partials": cut}


def _check_deliveries(person: Person, by_id: dict[int, Frame]) -> None:
    for delivery in person.deliveries:
        ids = [event["id"] for event in delivery]
        assert ids == list(range(ids[0], ids[0] + len(ids))) if ids else True, f"{person.name} was shown {ids}"
        for event in delivery:
            assert by_id[event["id"]] == event, f"{person.name}: event {event['id']} is not what the log has"


def _check_runs(log: list[Frame], messages: list[Frame], people: list[Person]) -> None:
    ends = Counter(event["run"] for event in log if event["type"] in ENDINGS)
    assert all(count == 1 for count in ends.values()), f"ended twice: {ends.most_common(2)}"
    for run in {message["run"] for message in messages}:
        assert ends[run] == 1, f"{run} has no ending"
    for event in log:
        if event["type"] not in ENDINGS:
            continue
        assert event["type"] == "done" or event.get("reason") or event.get("code"), "a partial without a label"
        for person in people:
            shown = person.texts.get(event["run"], "")
            assert event["content"].startswith(shown), f"{person.name} saw more of {event['run']} than was kept"


def check_file(database: Path) -> None:
    """The database itself is sound."""
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
