"""A server that dies where it is told to: `CRASH=point:n`, SIGKILL when the point is reached for the n-th time after a
SIGUSR1.

Its worker does STEPS steps of PAUSE_S each, or what the prompt says (`steps=16 pause=0.04`). Every step that is really
run, and every one that is recorded, is a line in the file LEDGER, on disk before anything else happens: so a step that
was lost, or run again, is found out.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from server import app, event_loop
from server.agents.base import Cost
from server.agents.work import Assignment, Site
from server.config import ServerSettings
from server.core.task import Moved, Outcome, percent_of
from tests.fakes.agents import InstantAgent

STEPS = 4
PAUSE_S = float(os.environ.get("PAUSE_S", "0.01"))
TOKENS_A_STEP = 10
MOST_A_STEP = 1000


class Ledger:
    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        with self._lock:
            os.write(self._file, line.encode() + b"\n")


class LedgerWorker:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def work(self, assignment: Assignment, site: Site) -> Outcome:
        given = dict(word.split("=") for word in assignment.prompt.split() if "=" in word)
        steps, pause_s = int(given.get("steps", STEPS)), float(given.get("pause", PAUSE_S))
        names = tuple(f"part {number}" for number in range(steps))
        done: list[str] = []

        def tell(number: int) -> None:
            tokens = TOKENS_A_STEP * len(done)
            percent = percent_of(number, steps)
            site.report(Moved(percent, names[number], number, names, tokens, calls=len(done)), ",".join(done))

        for number, name in enumerate(names):
            tell(number)

            async def step(number: int = number) -> str:
                assert await site.reserve(Cost(MOST_A_STEP, 0), lambda: Cost(TOKENS_A_STEP, 0))
                self._ledger.write(f"run {assignment.task} {number}")
                await asyncio.sleep(pause_s)
                return str(number)

            done.append(await site.remember(name, step))
            self._ledger.write(f"recorded {assignment.task} {number}")
        tell(steps - 1)
        return Outcome("completed", ",".join(done))


class Crasher:
    """Counts points once it is armed; dies at the one it is told."""

    def __init__(self, plan: str) -> None:
        self._point, _, count = plan.partition(":")
        self._left = int(count or 1)
        self._lock = threading.Lock()
        self._is_armed = False
        signal.signal(signal.SIGUSR1, self._arm)

    def _arm(self, *_: object) -> None:
        self._is_armed = True

    def at(self, point: str) -> None:
        with self._lock:
            if self._is_armed and point == self._point:
                self._left -= 1
                if self._left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", required=True)
    parser.add_argument("--data-dir", required=True)
    given = parser.parse_args()
    logging.basicConfig(filename=os.environ["LEDGER"] + ".log", level=logging.INFO)
    crasher = Crasher(os.environ.get("CRASH", ""))
    event_loop.run(
        app.run(
            ServerSettings(data_dir=given.data_dir, command_burst=1000, tasks_at_once=8, tasks_per_person=8),
            Path(given.socket),
            on_ready=lambda address: print(f"tui-agent-server on {address}", file=sys.stderr, flush=True),
            agent=InstantAgent(),
            worker=LedgerWorker(Ledger(Path(os.environ["LEDGER"]))),
            on_point=crasher.at,
        )
    )


if __name__ == "__main__":
    main()
