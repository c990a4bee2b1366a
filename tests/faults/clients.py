"""Clients that die: a whole process by SIGKILL, or its link only. What was promised as sent arrives, once."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from pathlib import Path

from tests.fakes.agents import InstantAgent
from tests.fakes.process import ROOT
from tests.fakes.served import Served, served
from tests.faults import oracle
from tests.faults.people import LinkPerson

SCRIPT = str(Path(__file__).with_name("talker.py"))


async def killed_clients(folder: Path, seed: int, kills: int) -> dict[str, int]:
    """Half of the kills hit a client's process, half its link; each leaves its outbox to the next."""
    chance = random.Random(seed)
    promised: set[str] = set()
    async with served(folder, InstantAgent()) as server:
        for number in range((kills + 1) // 2):
            promised |= await _process(server, folder / "state", kill_after_s=chance.uniform(0.0, 0.03))
            if number % 20 == 19:  # one that lives sends what the dead have left
                promised |= await _process(server, folder / "state", kill_after_s=None)
        for _ in range(kills // 2):
            promised |= await _link(server, folder / "state", cut_after_s=chance.uniform(0.0, 0.01))
        promised |= await _process(server, folder / "state", kill_after_s=None)
        log = await oracle.read_log(server.address)
    said = Counter(event["cid"] for event in log if event["type"] == "user_message")
    lost = promised - said.keys()
    assert not lost, f"{len(lost)} of {len(promised)} promised messages are lost"
    assert set(said.values()) == {1}, f"doubled: {said.most_common(3)}"
    return {"kills": kills, "promised": len(promised), "lost": 0, "doubled": 0}


async def _process(server: Served, state: Path, *, kill_after_s: float | None) -> set[str]:
    """A client process until it is killed (None: until all is acknowledged); what it promised."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", SCRIPT, str(server.address), str(state), "8", stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"},
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(30):
        assert await process.stdout.readline() == b"ready\n"
        if kill_after_s is not None:
            await asyncio.sleep(kill_after_s)
            process.kill()
        out, _ = await process.communicate()
    lines = out.decode().split("\n")[:-1]
    if kill_after_s is None:
        assert lines[-1] == "settled", lines[-3:]
    return {line.removeprefix("sent ") for line in lines if line.startswith("sent ")}


async def _link(server: Served, state: Path, *, cut_after_s: float) -> set[str]:
    """A link that is cancelled in mid-air, with the outbox as it is; what it promised."""
    ada = LinkPerson("ada", server.address, state)
    running = asyncio.ensure_future(ada.run())
    for number in range(4):
        ada.say(f"link {number}")
    await asyncio.sleep(cut_after_s)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return set(ada.sent)
