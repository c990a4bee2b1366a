"""What every RoomEngine promises, tried on each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.errors import StoreTrouble
from server.store.base import Append, Key, NewEvent, RoomEngine
from server.store.memory import MemoryEngine
from server.store.sqlite import open_sqlite

Opener = Callable[[], AbstractAsyncContextManager[RoomEngine]]


@pytest.fixture(params=["sqlite", "memory"])
def opened(request, tmp_path: Path) -> Opener:
    numbers = iter(range(10_000))

    @asynccontextmanager
    async def open_one() -> AsyncIterator[RoomEngine]:
        engine: RoomEngine
        if request.param == "sqlite":
            engine = await open_sqlite(tmp_path / f"{next(numbers)}.db")
        else:
            engine = MemoryEngine()
        try:
            yield engine
        finally:
            await engine.close()

    return open_one


def event(id: int, text: str = "") -> NewEvent:
    return NewEvent(id, b'{"id":%d,"text":"%s"}' % (id, text.encode()), "ada", text, f"2026-01-01T00:00:{id:02}Z")


def append(*events: NewEvent, state: bytes = b"{}", **fields) -> Append:
    return Append(tuple(events), state, **fields)


async def load(engine: RoomEngine, room: str = "main"):
    return await engine.load(room, tail_events=1000, tail_bytes=2**20)


async def test_a_new_room_is_empty(opened: Opener) -> None:
    async with opened() as engine:
        stored = await load(engine)
        assert (stored.head, stored.state, stored.tail, stored.pieces) == (0, None, (), "")
        assert await engine.read_before("main", 10, limit=5, max_bytes=100) == ([], False)
        assert await engine.spent("2026-01-01") == (0, 0)
        assert engine.epoch


async def test_events_and_state_are_kept_together(opened: Opener) -> None:
    async with opened() as engine:
        assert await engine.append("main", append(event(1), event(2), state=b'{"a":1}')) is None
        assert await engine.append("main", append(state=b'{"a":2}')) is None
        stored = await load(engine)
        assert (stored.head, stored.state) == (2, b'{"a":2}')
        assert [kept.id for kept in stored.tail] == [1, 2]
        assert stored.tail[0].payload == event(1).payload


async def test_a_known_key_writes_nothing_and_gives_the_first_ack(opened: Opener) -> None:
    async with opened() as engine:
        key = Key("ada", "c1", b'{"id":1}')
        assert await engine.append("main", append(event(1), key=key)) is None
        again = append(event(2), state=b"other", key=Key("ada", "c1", b'{"id":2}'), spent_tokens=5, day="d")
        assert await engine.append("main", again) == b'{"id":1}'
        stored = await load(engine)
        assert (stored.head, stored.state) == (1, b"{}")
        assert await engine.spent("d") == (0, 0)
        assert await engine.find_ack("main", "ada", "c1") == b'{"id":1}'
        assert await engine.find_ack("main", "ben", "c1") is None
        assert await engine.find_ack("other", "ada", "c1") is None
        for other in (("main", "ben"), ("other", "ada")):
            number = 2 if other[0] == "main" else 1
            assert await engine.append(other[0], append(event(number), key=Key(other[1], "c1", b"{}"))) is None


async def test_a_gap_is_refused_and_changes_nothing(opened: Opener) -> None:
    async with opened() as engine:
        await engine.append("main", append(event(1)))
        for wrong in (append(event(3)), append(event(1)), append(event(2), event(4))):
            with pytest.raises(StoreTrouble) as caught:
                await engine.append("main", wrong)
            assert caught.value.code == "internal"
        assert (await load(engine)).head == 1
        assert await engine.append("main", append(event(2))) is None


async def test_many_at_once_keep_their_order(opened: Opener) -> None:
    async with opened() as engine:
        futures = [
            engine.append(f"r{room}", append(event(id), key=Key("ada", f"c{id}", b"{}")))
            for id in range(1, 40)
            for room in range(5)
        ]
        assert await asyncio.gather(*futures) == [None] * len(futures)
        for room in range(5):
            stored = await load(engine, f"r{room}")
            assert [kept.id for kept in stored.tail] == list(range(1, 40))


async def test_pieces_are_joined_and_end_with_the_run(opened: Opener) -> None:
    async with opened() as engine:
        await engine.append("main", append(event(1)))
        for offset, text in ((0, "héllo "), (6, "wörld"), (99, "after a gap")):
            await engine.append_piece("main", "r1", offset, text)
        await engine.append_piece("other", "r1", 0, "theirs")
        assert (await load(engine)).pieces == "héllo wörld"
        await engine.append("main", append(event(2), ended_run="r1"))
        assert (await load(engine)).pieces == ""
        assert (await load(engine, "other")).pieces == "theirs"


async def test_reading_back_and_forth(opened: Opener) -> None:
    async with opened() as engine:
        await engine.append("main", append(*(event(id, "x" * 100) for id in range(1, 31))))
        page, more = await engine.read_before("main", 21, limit=5, max_bytes=10_000)
        assert ([kept.id for kept in page], more) == ([16, 17, 18, 19, 20], True)
        page, more = await engine.read_before("main", 6, limit=5, max_bytes=10_000)
        assert ([kept.id for kept in page], more) == ([1, 2, 3, 4, 5], False)
        page, more = await engine.read_before("main", 31, limit=50, max_bytes=300)
        assert ([kept.id for kept in page], more) == ([29, 30], True)
        page, more = await engine.read_before("main", 31, limit=50, max_bytes=1)
        assert ([kept.id for kept in page], more) == ([30], True), "one comes whatever its size"
        assert [kept.id for kept in await engine.read_after("main", 28, limit=9, max_bytes=9999)] == [29, 30]
        assert [kept.id for kept in await engine.read_after("main", 0, limit=3, max_bytes=9999)] == [1, 2, 3]
        stored = await engine.load("main", tail_events=4, tail_bytes=10_000)
        assert [kept.id for kept in stored.tail] == [27, 28, 29, 30]


async def test_search_finds_all_words_newest_first_and_takes_no_syntax(opened: Opener) -> None:
    async with opened() as engine:
        texts = ["the quick brown fox", "a quick reply", "nothing here", "quick brown bread", "say near me"]
        await engine.append("main", append(*(event(id, text) for id, text in enumerate(texts, 1))))
        await engine.append("other", append(event(1, "quick brown elsewhere")))

        async def found(query: str) -> list[int]:
            return [kept.id for kept in await engine.search("main", query, limit=10)]

        assert await found("quick") == [4, 2, 1]
        assert await found("QUICK bro") == [4, 1]
        assert await found("brown quick") == [4, 1]
        assert await found("absent quick") == []
        assert await found("") == []
        for nasty in (
            '"',
            "quick OR nothing",
            "quick*",
            "text:quick",
            "NEAR(quick brown)",
            "quick AND",
            "a\0b",
            "-fox",
        ):
            assert 3 not in await found(nasty)
        assert len(await engine.search("main", "quick", limit=2)) == 2


async def test_rooms_of_a_person(opened: Opener) -> None:
    async with opened() as engine:
        for room in ("main", "ops", "empty", "main"):
            await engine.visit("ada", room)
        await engine.visit("ben", "secret")
        await engine.append("main", append(event(1, "older")))
        await engine.append("ops", append(event(1, "x"), event(2, "y" * 300), event(3)))
        rooms = await engine.rooms_of("ada")
        assert [(info.room, info.head) for info in rooms] == [("ops", 3), ("main", 1), ("empty", 0)]
        assert (rooms[0].last_text, rooms[0].last_user) == ("y" * 200, "ada")
        assert await engine.rooms_of("nobody") == []


async def test_spending_adds_up_and_can_be_given_back(opened: Opener) -> None:
    async with opened() as engine:
        await engine.append("a", append(day="d1", spent_tokens=100, spent_microdollars=7))
        await engine.append("b", append(day="d1", spent_tokens=-40))
        await engine.append("b", append(day="d2", spent_tokens=1))
        assert await engine.spent("d1") == (60, 7)
        assert await engine.spent("d2") == (1, 0)


STEPS = st.lists(
    st.tuples(st.sampled_from(["r1", "r2"]), st.integers(0, 3), st.one_of(st.none(), st.sampled_from("abcd"))),
    max_size=40,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_any_order_of_appends_is_as_in_a_model(opened: Opener, steps) -> None:
    async def run() -> None:
        model: dict[str, list[bytes]] = {"r1": [], "r2": []}
        acks: dict[tuple[str, str], bytes] = {}
        async with opened() as engine:
            futures = []
            for number, (room, count, cid) in enumerate(steps):
                key = None if cid is None else Key("ada", cid, b'{"n":%d}' % number)
                events = [event(len(model[room]) + place) for place in range(1, count + 1)]
                futures.append((engine.append(room, append(*events, key=key)), acks.get((room, cid or ""))))
                if cid is None or (room, cid) not in acks:
                    model[room] += [kept.payload for kept in events]
                    if key is not None:
                        acks[room, key.cid] = key.ack
            for future, expected in futures:
                assert await future == expected
            for room, payloads in model.items():
                assert [kept.payload for kept in (await load(engine, room)).tail] == payloads

    asyncio.run(run())
