"""The crash campaign: the server dies at a named point or at random, three people go on talking, an oracle judges."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from pathlib import Path

from tests.fakes.process import ServerProcess
from tests.faults import oracle
from tests.faults.crash_server import POINTS
from tests.faults.people import ForeignPerson, LinkPerson, talking

SCRIPT = str(Path(__file__).with_name("crash_server.py"))


async def crash_points(folder: Path, seed: int, kills: int) -> dict[str, int]:
    """`kills` SIGKILLs, each point in turn and at random; returns counts. AssertionError where P1-P3 fail."""
    chance = random.Random(seed)
    asked = folder / "asked"
    server = ServerProcess(folder, script=SCRIPT, env={"ASKED": str(asked)})
    people = [
        LinkPerson("ada", server.socket, folder / "ada"),
        LinkPerson("ben", server.socket, folder / "ben"),
        ForeignPerson("chen", server.socket),
    ]
    died: Counter[str] = Counter()
    async with talking(*people):
        for number in range(kills):
            point = ("random", *POINTS)[number % (len(POINTS) + 1)]
            how_often = chance.randint(1, 6)
            server.env["CRASH"] = "" if point == "random" else f"{point}:{how_often}"
            await server.start()
            died[point if await _die(server, people, chance, point) else "random"] += 1
        server.env["CRASH"] = ""
        await server.start()
        for person in people:
            await person.wait(lambda person=person: person.is_settled)
        log = await _calm_log(server)
    assert await server.stop() == 0
    counted = oracle.check(log, people, asked.read_text().splitlines())
    oracle.check_file(folder / "data" / "rooms.db")
    return {"kills": kills} | {f"at {name}": died[name] for name in ("random", *POINTS)} | counted


async def _die(server: ServerProcess, people: list, chance: random.Random, point: str) -> bool:
    """Talk until the server is dead; False when the point was not reached and it had to be killed from outside."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + (chance.uniform(0.0, 0.4) if point == "random" else 3.0)
    number = 0
    end = asyncio.ensure_future(server.process.wait())
    try:
        while not end.done() and loop.time() < until_s:
            for person in people:
                if len(person.sent) - len(person.acked) < 3:
                    number += 1
                    person.say(f"{number} {chance.random()} ñ")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(end), min(0.05, max(0.001, until_s - loop.time())))
        by_itself = end.done()
        if not by_itself:
            server.process.kill()
        await end
    finally:
        end.cancel()
    await server.process.communicate()
    return by_itself or point == "random"


async def _calm_log(server: ServerProcess) -> list:
    """The log once every run has ended."""
    async with asyncio.timeout(30):
        while True:
            log = await oracle.read_log(server.socket)
            runs = {event["run"] for event in log if event["type"] == "user_message"}
            if runs <= {event["run"] for event in log if event["type"] in oracle.ENDINGS}:
                return log
            await asyncio.sleep(0.05)
