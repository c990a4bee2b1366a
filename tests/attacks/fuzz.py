"""Fuzzed frames: JSON bent in every way, and frames that break RFC 6455, against a server that must not care."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from server.protocol import BadFrame, Typing, decode_command
from tests.attacks.raw import Raw, frame, join, rss_bytes
from tests.fakes.process import ServerProcess
from tests.fakes.wire_client import WireClient

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
    b"[" * 5000, b'{"a":' * 2000, b'{"type":"message","cid":"c","content":"\\ud800"}', b"1e999", b"-", b"NaN",
    b"{'a':1}", b'{"type":"message","type":"clear","cid":"c"}', b'{"cid":"c","cid":"d","type":"message","content":1}',
]  # fmt: skip


def bent(chance: random.Random) -> bytes:
    """A text payload that once was a command."""
    dice = chance.random()
    if dice < 0.15:
        return chance.choice(ODD_TEXT)
    command = dict(chance.choice(TEMPLATES))
    if dice < 0.60:
        for _ in range(chance.randint(1, 3)):
            match chance.randrange(4):
                case 0:
                    command[chance.choice(list(command))] = chance.choice(ODD)
                case 1 if len(command) > 1:
                    del command[chance.choice(list(command))]
                case 2:
                    command[chance.choice(["user", "id", "time", "epoch", "ref", "x" * 30])] = chance.choice(ODD)
                case _:
                    command["cid"] = chance.choice(["c", "c" * 65, "é", "\n", 7, None])
        return json.dumps(command, ensure_ascii=chance.random() < 0.5).encode(errors="replace")
    data = bytearray(json.dumps(command).encode())
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[place] = chance.randrange(32, 127)
            case 1:
                del data[place:]
                data += b'"' if not data else b""
            case 2:
                data[place:place] = data[: chance.randrange(20)]
            case _:
                data[place:place] = chance.choice([b"\\u0000", b'"', b"{", b"]", b",", "\u202e".encode(), b"1e5"])
    return bytes(data).decode(errors="ignore").encode()  # what is no UTF-8 ends a connection: see `broken`


def broken(chance: random.Random) -> bytes:
    """A frame that no peer may send; the connection ends with it."""
    return chance.choice(
        [
            frame(b"binary", opcode=2),
            frame(b"{}", rsv=4),
            frame(b"{}", rsv=1),
            frame(b"{}", masked=False),
            frame(b"\xff\xfe", opcode=1),
            frame(b"\xed\xa0\x80", opcode=1),
            frame(b"x" * 70_000),
            frame(b"x", size=2**40),
            frame(b"x", size=2**63),
            frame(b"x" * 126, opcode=9),
            frame(b"{}", opcode=9, fin=False),
            frame(b"{}", opcode=0),
            frame(b"{}", opcode=3),
            frame(b"{}", opcode=11),
            frame(b"{", fin=False) + frame(b"{}"),
            frame(b"\x03", opcode=8),
            frame((1005).to_bytes(2, "big"), opcode=8),
            frame((1000).to_bytes(2, "big") + b"\xff", opcode=8),
            bytes(chance.randrange(256) for _ in range(30)) + b"\xff" * 20,
        ]
    )


ENDS = {1000, 1002, 1005, 1006, 1007, 1009, 4400}


class Fuzzer:
    """One attacker that connects again and again."""

    def __init__(self, chance: random.Random, address: Path, room: str) -> None:
        self.chance, self.address, self.room = chance, address, room
        self.sent = 0
        self.due = 0  # commands that want an answer
        self.answers = 0
        self.ends: Counter[int] = Counter()

    async def run(self, frames: int, burst: int = 400) -> None:
        while self.sent < frames:
            raw = await join(self.address, room=self.room)
            due, answers = 0, [0]
            counting = asyncio.ensure_future(self._count(raw, answers))
            for _ in range(self.chance.randint(1, 5)):
                batch = [bent(self.chance) for _ in range(burst)]
                due += sum(_wants_answer(payload) for payload in batch)
                raw.writer.write(b"".join(map(frame, batch)))
                self.sent += len(batch)
                async with asyncio.timeout(60):
                    await raw.writer.drain()
                    while answers[0] < due and not counting.done():
                        await asyncio.sleep(0.002)
                assert answers[0] == due, f"{answers[0]} answers to {due} commands, closed {raw.closed_with}"
            raw.writer.write(broken(self.chance))
            self.sent += 1
            if self.chance.random() < 0.3:
                raw.writer.write_eof()  # in the middle of what it said
            async with asyncio.timeout(20):
                try:
                    async with asyncio.timeout(1):
                        await asyncio.shield(counting)
                except TimeoutError:  # a length that lies: the server waits for the rest
                    raw.abort()
                    await counting
            self.ends[raw.closed_with or 1006] += 1
            raw.abort()
            self.due += due
            self.answers += answers[0]

    @staticmethod
    async def _count(raw: Raw, answers: list[int]) -> None:
        async for payload in raw.frames():
            if b'"ref":' in payload and not payload.startswith(b'{"type":"snapshot"'):
                answers[0] += 1


def _wants_answer(payload: bytes) -> bool:
    try:
        return not isinstance(decode_command(payload), Typing)
    except BadFrame:
        return True


async def fuzzed_frames(folder: Path, seed: int, frames: int, attackers: int = 4) -> dict[str, int]:
    """`frames` bad frames from some attackers; the server answers or closes each and a guest notices nothing."""
    env = {"TUI_AGENT_COMMAND_BURST": "0", "TUI_AGENT_DEMO_TOKENS_PER_S": "1000"}
    async with ServerProcess(folder, "--agent", "demo", env=env) as server:
        fuzzers = [Fuzzer(random.Random(f"{seed}/{n}"), server.socket, f"fuzz{n}") for n in range(attackers)]
        async with WireClient(server.socket, "guests", "guest") as guest:
            await guest.wait("snapshot")
            await asyncio.gather(*(fuzzer.run(min(2000, frames // attackers)) for fuzzer in fuzzers))
            before_bytes = rss_bytes(server.process.pid)
            await asyncio.gather(*(fuzzer.run(frames // attackers) for fuzzer in fuzzers))
            grown_bytes = rss_bytes(server.process.pid) - before_bytes
            assert (await guest.say("still here?"))["type"] == "ack"
        log = "".join(path.read_text() for path in (folder / "log").glob("*"))
    assert "Traceback" not in log, log[-2000:]
    ends: Counter[int] = sum((fuzzer.ends for fuzzer in fuzzers), Counter())
    assert ends.keys() <= ENDS, ends
    assert grown_bytes < 50 * 2**20, f"grown by {grown_bytes >> 20} MiB"
    return {
        "frames": sum(fuzzer.sent for fuzzer in fuzzers),
        "answered": sum(fuzzer.answers for fuzzer in fuzzers),
        "closed": ends.total(),
        "server grew, MiB": max(0, grown_bytes >> 20),
    }
