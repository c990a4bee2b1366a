"""The real server with an agent that says when it said each word: `answers` 300 pieces, 100 a second; "fat": 2 KB each.

Run by the crowd campaign as a script of its own: `python stamping_server.py --socket PATH --data-dir DIR`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from server import app
from server.agents.base import Cost, Finished, Note, Question, Text
from server.config import ServerSettings
from server.protocol import Usage

PER_S = 100


class StampingAgent:
    """Every piece is the time (monotonic, in seconds) at which it was said."""

    name = model = "stamps"

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces

    async def prepare(self) -> None: ...

    async def answer(self, question: Question) -> AsyncGenerator[Text | Note | Finished, None]:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        padding = "x" * 2000 if question.asked[-1].content == "fat" else ""
        for number in range(self._pieces):
            await asyncio.sleep(max(0.0, began_s + number / PER_S - loop.time()))
            yield Text(f"{time.monotonic():.6f} {padding}")
        yield Finished("end_turn", Usage(input_tokens=1, output_tokens=self._pieces))

    def most(self, question: Question) -> Cost:
        return Cost(0, 0)

    def partial_cost(self, question: Question, answer: str) -> Cost:
        return Cost(0, 0)

    def cost(self, usage: Usage) -> Cost:
        return Cost(0, 0)

    async def close(self) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=Path)
    parser.add_argument("--data-dir")
    arguments = parser.parse_args()
    settings = ServerSettings(data_dir=arguments.data_dir, connections=5000, connections_per_user=5000)
    asyncio.run(
        app.run(
            settings,
            arguments.socket,
            on_ready=lambda address: print(f"tui-agent-server on {address}", file=sys.stderr, flush=True),
            agent=StampingAgent(int(os.environ["PIECES"])),
        )
    )


if __name__ == "__main__":
    main()
