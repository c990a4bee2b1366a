"""Cuts: a scripted talk through a proxy that resets the connection after each byte offset; acks that are swallowed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

from server.agents.base import Finished, Note, Question, Text
from server.protocol import Usage
from tests.fakes.agents import InstantAgent
from tests.fakes.served import Served, served
from tests.faults import oracle
from tests.faults.people import LinkPerson, talking
from tests.faults.proxy import Proxy


class FourWords(InstantAgent):
    """Answers in four pieces, each a frame of its own."""

    async def answer(self, question: Question) -> AsyncGenerator[Text | Note | Finished, None]:
        self.questions += 1
        for word in ("One ", "zwölf ", "三 ", "🙂."):
            yield Text(word)
            await asyncio.sleep(0.0205)  # over the time in which pieces are gathered
        yield Finished("end_turn", Usage(input_tokens=1, output_tokens=4))


@contextlib.asynccontextmanager
async def _proxied(folder: Path, agent: InstantAgent, **options: bool) -> AsyncIterator[tuple[Served, Proxy]]:
    settings = {"connections": 5000, "connections_per_user": 5000}
    async with served(folder, agent, **settings) as server, Proxy(server.address, **options) as proxy:
        yield server, proxy


async def _talk(server: Served, proxy: Proxy, folder: Path, room: str, *, up: int | None, down: int | None) -> None:
    """Two messages and their answers with the first connection cut at an offset; the oracle judges at the end."""
    proxy.faults.cut_up_after, proxy.faults.cut_down_after = up, down
    ada = LinkPerson("ada", proxy.address, folder, room=room)
    async with talking(ada):
        before = proxy.accepted
        ada.say("first: ça va?")
        ada.say("second")
        while proxy.accepted == before:
            await asyncio.sleep(0)
        is_cut = asyncio.ensure_future(_mend_when_cut(proxy, before))
        try:
            await ada.wait(lambda: ada.is_settled and _endings(ada) == len(_runs(ada)) > 0)
        finally:
            is_cut.cancel()
        log = await oracle.read_log(server.address, room)
        oracle.check(log, [ada])
        assert [e["content"] for e in log if e["type"] == "user_message"] == ["first: ça va?", "second"]
        assert all(e["type"] == "done" for e in log if e["type"] in oracle.ENDINGS)


async def _mend_when_cut(proxy: Proxy, before: int) -> None:
    """Only the first connection of a talk is cut."""
    while proxy.accepted < before + 2:
        await asyncio.sleep(0.001)
    proxy.faults.cut_up_after = proxy.faults.cut_down_after = None


def _shown(ada: LinkPerson) -> dict[int, dict]:
    return {event["id"]: event for delivery in ada.deliveries for event in delivery}


def _runs(ada: LinkPerson) -> set[str]:
    return {event["run"] for event in _shown(ada).values() if event["type"] == "user_message"}


def _endings(ada: LinkPerson) -> int:
    return sum(event["type"] in oracle.ENDINGS for event in _shown(ada).values())


async def cut_everywhere(folder: Path, seed: int, step: int, at_once: int = 8) -> dict[str, int]:
    """Cut after every `step`-th byte offset of both directions (1: all of them). Returns the counts."""
    async with _proxied(folder, FourWords()) as (server, proxy):
        await _talk(server, proxy, folder / "measure", "measure", up=None, down=None)
        await asyncio.sleep(0.1)
        sizes = {"up": proxy.last_up, "down": proxy.last_down}
    phase = random.Random(seed).randrange(step)
    offsets = [(way, offset) for way in ("up", "down") for offset in range(1 + phase, sizes[way] + 1, step)]
    async with served(folder, FourWords(), connections=5000, connections_per_user=5000) as server:
        gate = asyncio.Semaphore(at_once)

        async def one(number: int, way: str, offset: int) -> None:
            async with gate, Proxy(server.address) as proxy:
                up, down = (offset, None) if way == "up" else (None, offset)
                await _talk(server, proxy, folder / f"p{number}", f"r{number}", up=up, down=down)

        async with asyncio.TaskGroup() as group:
            for number, (way, offset) in enumerate(offsets):
                group.create_task(one(number, way, offset))
    return {"offsets": len(offsets), "bytes up": sizes["up"], "bytes down": sizes["down"]}


async def swallowed_acks(folder: Path, seed: int, acks: int) -> dict[str, int]:
    """The ack of each message is lost and the connection cut; it is sent again and counts once."""
    agent = InstantAgent()
    async with _proxied(folder, agent, sees_frames=True) as (server, proxy):
        ada = LinkPerson("ada", proxy.address, folder / "ada")
        chance = random.Random(seed)
        lost: set[str] = set()
        again = [0]
        dead_connection = [0]

        def swallow(payload: bytes) -> bool:
            """The first ack of a message is lost with all that follows it, so that only sending again tells."""
            if proxy.accepted == dead_connection[0]:
                return True
            if payload.startswith(b'{"type":"ack"'):
                ack = json.loads(payload.splitlines()[0])
                again[0] += ack["duplicate"]
                if ack["ref"] not in lost:
                    lost.add(ack["ref"])
                    dead_connection[0] = proxy.accepted
                    asyncio.get_running_loop().call_later(chance.uniform(0, 0.003), proxy.cut)
                    return True
            return False

        proxy.faults.swallow = swallow
        async with talking(ada):
            for number in range(acks):
                ada.say(f"{number}")
                await ada.wait(lambda: ada.is_settled)
            await ada.wait(lambda: _endings(ada) == len(_runs(ada)))
            log = await oracle.read_log(server.address)
    counted = oracle.check(log, [ada])
    assert counted["messages"] == acks
    assert again[0] == len(lost) == acks
    return {"acks lost": len(lost), "sent again": again[0], "messages": counted["messages"]}
