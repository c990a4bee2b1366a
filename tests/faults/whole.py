"""Half-open links, restarts under a crowd, and a model's service that misbehaves: the whole way through."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

from server.agents.claude import ClaudeAgent, ClaudeConfig
from tests.agents.test_failures import FAILURES
from tests.fakes.messages_api import FakeMessagesAPI
from tests.fakes.messages_replies import Reply, text
from tests.fakes.process import ServerProcess
from tests.fakes.served import served
from tests.fakes.wire_client import WireClient
from tests.faults import oracle
from tests.faults.people import QUICK, LinkPerson, talking
from tests.faults.proxy import Proxy
from tui_agent.link.address import parse_address
from tui_agent.link.base import StatusChanged
from tui_agent.link.connection import RoomLink, Times

NOTICED_S = 30.0
LINGER_S = 10.0  # a person has left so long after the last connection
LATE = {
    "control characters": (text("\x1b[2J\x1b]0;x\x07\x00"), "done"),
    "lone surrogates": (text("a \ud800 b"), "done"),
    "an answer over the limit": (text(*["x" * 60_000] * 12), "done"),
    "no words": (text(""), "done"),
}


async def bad_services(folder: Path, seed: int, kinds: int) -> dict[str, int]:
    """Every misbehaviour of a model's service through the whole server; then the next turn, which must be whole."""
    cases: dict[str, tuple[Reply, str]] = {name: (reply, code) for name, (reply, code, _) in FAILURES.items()}
    cases |= LATE
    chosen = sorted(cases)[:: max(1, len(cases) // kinds)]
    codes: Counter[str] = Counter()
    async with FakeMessagesAPI() as api:
        agent = ClaudeAgent(
            ClaudeConfig(
                base_url=api.url, api_key="sk-ant-test", max_retries=1, first_pause_s=0.01, silence_timeout_s=2.0
            )
        )
        await agent.prepare()
        async with served(folder, agent) as server, WireClient(server.address) as ada:
            for name in chosen:
                reply, code = cases[name]
                api.default = reply
                ack = await ada.say(f"about {name}")
                end = await ada.wait(lambda frame, run=ack["run"]: _ends(frame, run), 20)
                assert end.get("code", "done") == code, (name, end)
                if end["type"] == "error":
                    assert end["message"].endswith("."), (name, end)
                    assert "SECRET" not in end["message"], (name, end)
                codes[code] += 1
                api.default = text("All is well.")
                ack = await ada.say("and now?")
                end = await ada.wait(lambda frame, run=ack["run"]: _ends(frame, run), 20)
                assert (end["type"], end["content"]) == ("done", "All is well."), (name, end)
            log = await oracle.read_log(server.address)
    ends = Counter(event["run"] for event in log if event["type"] in oracle.ENDINGS)
    assert set(ends.values()) == {1}
    # Leaving the fake raises when any request was one that the real API would refuse: the history stayed well-formed.
    return {"misbehaviours": len(chosen), "codes": len(codes), "next turns whole": len(chosen)}


def _ends(frame: dict, run: str) -> bool:
    return frame.get("run") == run and frame["type"] in oracle.ENDINGS


async def rolling_restart(folder: Path, seed: int, clients: int, most_percent: int = 15) -> dict[str, float]:
    """The server is replaced under a crowd on the real link: all come back, and not all at once.

    Both count: when each attempt was due, and when it arrived. So many clients in one process come later than that, and
    on a busy machine in heaps. Raises AssertionError where a tenth of a second has over `most_percent` of either.
    """
    chance = random.Random(seed)
    env = {"TUI_AGENT_CONNECTIONS": "2000", "TUI_AGENT_CONNECTIONS_PER_USER": "2000"}
    attempts: list[float] = []
    links: list[RoomLink] = []
    due_s: list[float] = []
    async with ServerProcess(folder, "--agent", "demo", env=env) as server:
        async with Proxy(server.socket) as proxy:

            async def stay(number: int) -> None:
                link = links[number]
                async for event in link.events():
                    if isinstance(event, StatusChanged) and event.status.phase == "waiting":
                        due_s.append(time.monotonic() + event.status.retry_in_s)

            for number in range(clients):
                links.append(
                    RoomLink(
                        parse_address(proxy.address), f"room{number % 20}", f"u{number}", client="tui-agent/1.0",
                        state_folder=folder / "state", random=chance.random,
                        times=Times(open_timeout_s=30, welcome_timeout_s=30, ping_every_s=60, ping_timeout_s=30),
                    )
                )  # fmt: skip
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(link.run()) for link in links]
                tasks += [group.create_task(stay(number)) for number in range(clients)]
                await _all_live(links)
                before = len(proxy.accepted_at_s)
                began_s = time.monotonic()
                assert await server.stop() == 0
                await server.start()
                await _all_live(links, since=before, proxy=proxy)
                back_s = time.monotonic() - began_s
                attempts = proxy.accepted_at_s[before:]
                for link in links:
                    await link.close()
                for task in tasks:
                    task.cancel()
    due, arrived = fullest_tenth(due_s), fullest_tenth(attempts)
    assert max(due, arrived) <= most_percent, f"{due:.0f} % due, {arrived:.0f} % arrived in one tenth of a second"
    return {
        "clients": clients,
        "back": sum(link.status.phase in ("live", "closed") for link in links),
        "all back after, s": round(back_s, 1),
        "attempts": len(attempts),
        "due in the fullest 100 ms, %": round(due, 1),
        "arrived in the fullest 100 ms, %": round(arrived, 1),
    }


def fullest_tenth(times_s: list[float]) -> float:
    """How many percent fall into the fullest tenth of a second, counted from the first."""
    first_s = min(times_s)
    tenths = Counter(int((at_s - first_s) / 0.1) for at_s in times_s)
    return 100 * max(tenths.values()) / len(times_s)


async def _all_live(links: list[RoomLink], *, since: int = 0, proxy: Proxy | None = None) -> None:
    async with asyncio.timeout(90):
        while not all(link.status.phase == "live" for link in links) or (
            proxy is not None and len(proxy.accepted_at_s) < since + len(links)
        ):
            await asyncio.sleep(0.05)


async def half_open(folder: Path, seed: int, rounds: int, *, is_quick: bool = False) -> dict[str, float]:
    """In turn the wire goes dead without a word, the server is stopped (SIGSTOP), the client's machine sleeps: noticed
    by both sides where it concerns both, and whole again after.

    With the waits of a real client and server; `is_quick` has those of the client short, and asks nothing of the
    server. Raises AssertionError over 30 s.
    """
    slowest_s = dict.fromkeys(("a dead wire", "a stopped server", "sleep"), 0.0)
    server_s = 0.0
    async with ServerProcess(folder, "--agent", "demo", env={"TUI_AGENT_DEMO_TOKENS_PER_S": "200"}) as server:
        async with Proxy(server.socket) as proxy, WireClient(server.socket, user="ben") as ben:
            ada = LinkPerson("ada", proxy.address, folder / "ada", times=QUICK if is_quick else Times())
            async with talking(ada):
                for number in range(rounds):
                    kind = list(slowest_s)[number % 3]
                    ada.say(f"before {number}")
                    await ada.wait(lambda: ada.is_settled and ada.link.status.phase == "live")
                    dead, seen = proxy.accepted, len(ben.frames)
                    began_s = time.monotonic()
                    match kind:
                        case "a dead wire":
                            proxy.stall()
                        case "a stopped server":
                            os.kill(server.process.pid, signal.SIGSTOP)
                        case _:
                            ada.asleep_s += 3600
                    ada.say(f"into the dead wire {number}")
                    async with asyncio.timeout(NOTICED_S + 5):
                        while ada.link.status.phase == "live" and proxy.accepted == dead:
                            await asyncio.sleep(0.01)
                    slowest_s[kind] = max(slowest_s[kind], time.monotonic() - began_s)
                    if kind == "a dead wire" and not is_quick:
                        await ben.wait(lambda f, seen=seen: _has_left(f, ben, seen), NOTICED_S + LINGER_S + 5)
                        server_s = max(server_s, time.monotonic() - began_s - LINGER_S)
                    os.kill(server.process.pid, signal.SIGCONT)
                    proxy.resume()
                    await ada.wait(lambda: ada.is_settled, 60)
                await _calm(server, ada)
                log = await oracle.read_log(server.socket)
    oracle.check(log, [ada])
    assert max(*slowest_s.values(), server_s) <= NOTICED_S, (slowest_s, server_s)
    figures: dict[str, float] = {"rounds": rounds, "messages": len(ada.sent)}
    figures |= {f"{kind} noticed after at most, s": round(took_s, 1) for kind, took_s in slowest_s.items()}
    if not is_quick:
        figures["a dead wire noticed by the server after at most, s"] = round(server_s, 1)
    return figures


def _has_left(frame: dict, ben: WireClient, seen: int) -> bool:
    return frame["type"] == "user_left" and "ada" in frame["users"] and frame in ben.frames[seen:]


async def _calm(server: ServerProcess, ada: LinkPerson) -> None:
    async with asyncio.timeout(60):
        while True:
            log = await oracle.read_log(server.socket)
            runs = {event["run"] for event in log if event["type"] == "user_message"}
            if runs <= {event["run"] for event in log if event["type"] in oracle.ENDINGS} and runs <= {
                event["run"] for delivery in ada.deliveries for event in delivery if event["type"] in oracle.ENDINGS
            }:
                return
            await asyncio.sleep(0.1)
