"""Our server for a bench, everything on, with an agent of known pace. Prints its address; ends on SIGTERM.

python -m bench.serve FOLDER --agent paced --tokens 1000 --per-s 100 | burst --pieces 1500 --size 300 | instant
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from server import app, event_loop
from server.agents.base import Cost, Finished, Note, Question, Text
from server.agents.work import Assignment, Site
from server.config import ServerSettings
from server.core.task import Moved, Outcome
from server.protocol import Usage

USAGE = Usage(input_tokens=10, output_tokens=10)


class BenchAgent:
    """Answers with pieces of a known size at a known pace; `stamped` ones carry the time they were made."""

    name = model = "bench"

    def __init__(self, pieces: int, per_s: float, size: int, *, stamped: bool) -> None:
        self.pieces, self.per_s, self.size, self.stamped = pieces, per_s, size, stamped

    async def answer(self, question: Question) -> AsyncGenerator[Text | Note | Finished, None]:
        loop = asyncio.get_running_loop()
        started = loop.time()
        for number in range(self.pieces):
            if self.per_s:
                await asyncio.sleep(max(0.0, started + number / self.per_s - loop.time()))
            elif self.pieces > 1:
                await asyncio.sleep(0)
            yield Text(f"{time.monotonic():.6f} " if self.stamped else "x" * self.size)
        yield Finished("end_turn", USAGE)

    def most(self, question: Question) -> Cost:
        return Cost(0, 0)

    def partial_cost(self, question: Question, answer: str) -> Cost:
        return Cost(0, 0)

    def cost(self, usage: Usage) -> Cost:
        return Cost(0, 0)

    async def prepare(self) -> None: ...

    async def close(self) -> None: ...


class BenchWorker:
    """`slow`: steps of a tenth of a second for a minute, `steady`: of 0.3 s, which all can be told (4 a second); each
    told with the time it was done. Else one step."""

    async def work(self, assignment: Assignment, site: Site) -> Outcome:
        count, length_s = {"slow": (600, 0.1), "steady": (200, 0.3)}.get(assignment.prompt, (1, 0.0))
        for number in range(count):

            async def step() -> float:
                await asyncio.sleep(length_s)
                return time.monotonic()

            done_s = await site.remember("step", step)
            site.report(Moved(number * 99 // count, f"at {done_s:.6f}", 0, ("step",), tokens=number), "")
        return Outcome("completed", "done")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pieces", type=int, default=1)
    parser.add_argument("--per-s", type=float, default=0)
    parser.add_argument("--size", type=int, default=5)
    parser.add_argument("--stamped", action="store_true")
    parser.add_argument("--worker", action="store_true", help="tasks by a worker of known pace")
    parser.add_argument("--claude", default="", help="base URL of a Messages API: the real SDK's agent")
    arguments = parser.parse_args()
    settings = ServerSettings(
        data_dir=str(arguments.folder / "data"), command_burst=0, insecure_no_auth=True, port=0, connections=5000,
        connections_per_user=5000,
    )  # fmt: skip
    agent = None
    if arguments.claude:
        from server.agents.claude import ClaudeAgent, ClaudeConfig

        agent = ClaudeAgent(ClaudeConfig(base_url=arguments.claude))
    else:
        agent = BenchAgent(arguments.pieces, arguments.per_s, arguments.size, stamped=arguments.stamped)
    commits = [0]

    def on_point(name: str) -> None:
        commits[0] += name == "append.committed"

    # The bench asks how many commits there were; each is one fsync at most (pieces alone make none).
    signal.signal(signal.SIGUSR1, lambda *_: print("commits", commits[0], flush=True))
    event_loop.run(
        app.run(
            settings,
            None,
            on_ready=lambda address: print(address, flush=True),
            agent=agent,
            worker=BenchWorker() if arguments.worker else None,
            on_point=on_point,
        )
    )


if __name__ == "__main__":
    main()
