"""The real server with an agent that says when it said each word: `answers` 300 pieces, 100 a second; "fat": 2 KB each.

Run by the crowd campaign as a script of its own: `python stamping_server.py --socket PATH --data-dir DIR`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from bench.serve import BenchAgent
from server import app, event_loop
from server.agents.base import Finished, Note, Question, Text
from server.config import ServerSettings

PER_S = 100


class StampingAgent(BenchAgent):
    """Every piece is the time (monotonic, in seconds) at which it was said."""

    name = model = "stamps"

    def __init__(self, pieces: int) -> None:
        super().__init__(pieces, PER_S, 0, stamped=True)

    async def answer(self, question: Question) -> AsyncGenerator[Text | Note | Finished, None]:
        padding = "x" * 2000 if question.asked[-1].content == "fat" else ""
        async for event in super().answer(question):
            yield Text(event.content + padding) if isinstance(event, Text) else event


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=Path)
    parser.add_argument("--data-dir")
    arguments = parser.parse_args()
    settings = ServerSettings(data_dir=arguments.data_dir, connections=5000, connections_per_user=5000)
    event_loop.run(
        app.run(
            settings,
            arguments.socket,
            on_ready=lambda address: print(f"tui-agent-server on {address}", file=sys.stderr, flush=True),
            agent=StampingAgent(int(os.environ["PIECES"])),
        )
    )


if __name__ == "__main__":
    main()
