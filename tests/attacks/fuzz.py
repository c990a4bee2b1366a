"""Fuzzed frames: JSON bent in every way, and frames that break RFC 6455, against a server that must not care."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from server.protocol import BadFrame, Typing, decode_command
from tests.attacks.frames import Batch, batches
from tests.attacks.raw import Raw, frame, join, rss_bytes
from tests.fakes.process import ServerProcess
from tests.fakes.wire_client import WireClient

ENDS = {1000, 1002, 1005, 1006, 1007, 1009, 4400}
BODIES, PROGRAMS = 20, 20  # of a batch: 400 frames
WAITING = 8  # batches that are drawn ahead
ATTACKERS = 4


class Volley(NamedTuple):
    """A batch as it goes out: `frames` of them, of which so many want an answer."""

    data: bytes
    frames: int
    wanted: int
    batch: Batch


def volley(batch: Batch) -> Volley:
    payloads = list(batch.payloads())
    return Volley(b"".join(map(frame, payloads)), len(payloads), sum(map(_wants_answer, payloads)), batch)


class Fuzzer:
    """One attacker that connects again and again and sends the batches it is given."""

    def __init__(self, address: Path, room: str) -> None:
        self.address, self.room = address, room
        self.sent = 0
        self.answers = 0
        self.ends: Counter[int] = Counter()
        self._raw: Raw | None = None
        self._here = [0, 0]  # commands that want an answer and answers, on this connection
        self._counting: asyncio.Future[None] | None = None

    async def send(self, volley: Volley) -> None:
        """Send it all, see every answer come, and break the connection where the batch says so."""
        if self._raw is None or self._counting is None:
            self._raw, self._here = await join(self.address, room=self.room), [0, 0]
            self._counting = asyncio.ensure_future(self._count(self._raw, self._here))
        raw, here, counting = self._raw, self._here, self._counting
        batch = volley.batch
        here[0] += volley.wanted
        raw.writer.write(volley.data)
        self.sent += volley.frames
        async with asyncio.timeout(60):
            await raw.writer.drain()
            while here[1] < here[0] and not counting.done():
                await asyncio.sleep(0.002)
        assert here[1] == here[0], f"{here[1]} answers to {here[0]} commands, closed {raw.closed_with}, in {batch}"
        if batch.end is not None:
            await self._break(batch.end, closes=batch.closes)

    async def _break(self, end: bytes, *, closes: bool) -> None:
        raw, counting = self._raw, self._counting
        assert raw is not None
        assert counting is not None
        raw.writer.write(end)
        self.sent += 1
        if closes:
            raw.writer.write_eof()
        async with asyncio.timeout(20):
            try:
                async with asyncio.timeout(0.5):
                    await asyncio.shield(counting)
            except TimeoutError:  # a length that lies: the server waits for the rest
                raw.abort()
                await counting
        code = raw.closed_with or 1006
        assert code in ENDS or code == _own_code(end), f"closed with {code} after {end!r}"
        self.ends[code] += 1
        self.leave()

    def leave(self) -> None:
        """Let the connection go."""
        self.answers += self._here[1]
        self._here = [0, 0]
        if self._raw is not None:
            self._raw.abort()
        if self._counting is not None:
            self._counting.cancel()
        self._raw = self._counting = None

    @staticmethod
    async def _count(raw: Raw, here: list[int]) -> None:
        async for payload in raw.frames():
            if b'"ref":' in payload and not payload.startswith(b'{"type":"snapshot"'):
                here[1] += 1


def _own_code(end: bytes) -> int | None:
    """The code of a close frame of the attacker's own, which comes back to it (RFC 6455, 5.5.1)."""
    return int.from_bytes(end[6:8], "big") if end[:1] == b"\x88" else None  # its mask is zeros: see raw.frame


def _wants_answer(payload: bytes) -> bool:
    try:
        return not isinstance(decode_command(payload), Typing)
    except BadFrame:
        return True


async def drawn_frames(fuzzers: list[Fuzzer], seed: int, frames: int) -> int:
    """Have hypothesis draw batches, in a thread, and the attackers send them; how many batches were drawn."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[Volley] = asyncio.Queue(WAITING)
    drawn = 0

    def draw() -> None:
        @hypothesis.seed(seed)
        @settings(
            max_examples=max(1, frames // (BODIES * PROGRAMS)), deadline=None, database=None,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(batches(BODIES, PROGRAMS))
        def one(batch: Batch) -> None:
            nonlocal drawn
            drawn += 1
            # Decoded here and not by the attackers: hypothesis moves the limit of recursion, which all threads share,
            # and a deep nest that is being decoded by another at that moment ends the process.
            asyncio.run_coroutine_threadsafe(waiting.put(volley(batch)), loop).result()

        one()

    async def attack(fuzzer: Fuzzer) -> None:
        while True:
            await fuzzer.send(await waiting.get())
            waiting.task_done()

    async with asyncio.TaskGroup() as group:
        attacking = [group.create_task(attack(fuzzer)) for fuzzer in fuzzers]
        await asyncio.to_thread(draw)
        await waiting.join()
        for task in attacking:
            task.cancel()
    return drawn


async def fuzzed_frames(folder: Path, seed: int, frames: int) -> dict[str, int]:
    """`frames` bad frames from some attackers; the server answers or closes each and a guest notices nothing."""
    env = {"TUI_AGENT_COMMAND_BURST": "0", "TUI_AGENT_DEMO_TOKENS_PER_S": "1000"}
    async with ServerProcess(folder, "--agent", "demo", env=env) as server:
        fuzzers = [Fuzzer(server.socket, f"fuzz{number}") for number in range(ATTACKERS)]
        async with WireClient(server.socket, "guests", "guest") as guest:
            await guest.wait("snapshot")
            await drawn_frames(fuzzers, seed + 1, min(8000, frames // 10))  # warm
            before_bytes = rss_bytes(server.process.pid)
            drawn = await drawn_frames(fuzzers, seed, frames)
            grown_bytes = rss_bytes(server.process.pid) - before_bytes
            assert (await guest.say("still here?"))["type"] == "ack"
        for fuzzer in fuzzers:
            fuzzer.leave()
        log = "".join(path.read_text() for path in (folder / "log").glob("*"))
    assert "Traceback" not in log, log[-2000:]
    ends: Counter[int] = sum((fuzzer.ends for fuzzer in fuzzers), Counter())
    assert grown_bytes < 50 * 2**20, f"grown by {grown_bytes >> 20} MiB"
    return {
        "frames": sum(fuzzer.sent for fuzzer in fuzzers),
        "bodies drawn": drawn * BODIES,
        "edits drawn": drawn * PROGRAMS,
        "answered": sum(fuzzer.answers for fuzzer in fuzzers),
        "closed": ends.total(),
        "server grew, MiB": max(0, grown_bytes >> 20),
    }
