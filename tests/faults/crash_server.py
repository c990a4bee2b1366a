"""The real server with named points at which it kills itself. Run by the crash campaign as a script of its own.

`CRASH=point:n` in the environment: SIGKILL when the point is reached for the n-th time. No point: it never does.
`ASKED=file`: one line a question the agent was asked, written with O_APPEND, so that it survives the kill.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path
from typing import Final

from server import app, event_loop
from server.agents.base import Cost, Finished, Note, Question, Text
from server.config import ServerSettings
from server.protocol import Usage
from server.runtime import audience
from server.runtime.outlet import Outlet

# Where in the way of one command the server dies: before anything is written, written and not committed, on disk and
# nobody knows, before and after the ack's write, and before, amid and after the writes to the others.
POINTS: Final = (
    "append.begin",
    "append.commit",
    "append.committed",
    "ack.before",
    "ack.after",
    "fanout.before",
    "fanout.amid",
    "fanout.after",
)


class Crasher:
    """Counts how often each point is reached."""

    def __init__(self, plan: str) -> None:
        point, _, number = plan.partition(":")
        self.point = point
        self.left = int(number or 0)

    def at(self, point: str) -> None:
        if point != self.point:
            return
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


class SlowWords:
    """Answers in eight pieces, 3 ms apart, that name the run and its place."""

    name = model = "words"

    def __init__(self, asked: str) -> None:
        self._asked = os.open(asked, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if asked else None

    async def prepare(self) -> None: ...

    async def answer(self, question: Question) -> AsyncGenerator[Text | Note | Finished, None]:
        if self._asked is not None:
            os.write(self._asked, f"{question.room} {question.run}\n".encode())
        for number in range(8):
            yield Text(f"{question.run}/{number} über ")
            await asyncio.sleep(0.003)
        yield Finished("end_turn", Usage(input_tokens=1, output_tokens=8))

    def most(self, question: Question) -> Cost:
        return Cost(10, 10)

    def partial_cost(self, question: Question, answer: str) -> Cost:
        return Cost(5, 5)

    def cost(self, usage: Usage) -> Cost:
        return Cost(usage.total_tokens, usage.total_tokens)

    async def close(self) -> None: ...


def arm(crasher: Crasher) -> None:
    """Put the points of the event loop's side in: the store has its own."""
    write, spread, spread_tokens = Outlet.send, audience.fan_out, audience.fan_out_token

    def send(outlet: Outlet, data: bytes) -> None:
        is_ack = b'{"type":"ack"' in data
        if is_ack:
            crasher.at("ack.before")
        write(outlet, data)
        if is_ack:
            crasher.at("ack.after")

    def fan_out(outlets: Iterable[Outlet], data: bytes) -> None:
        everybody = list(outlets)
        crasher.at("fanout.before")
        spread(everybody[: len(everybody) // 2], data)
        crasher.at("fanout.amid")
        spread(everybody[len(everybody) // 2 :], data)
        crasher.at("fanout.after")

    def fan_out_token(outlets: Iterable[Outlet], data: bytes, offset: int, catch_up: Callable[[int], bytes]) -> None:
        everybody = list(outlets)
        crasher.at("fanout.before")
        spread_tokens(everybody, data, offset, catch_up)
        crasher.at("fanout.after")

    Outlet.send = send
    audience.fan_out = fan_out
    audience.fan_out_token = fan_out_token


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=Path)
    parser.add_argument("--data-dir")
    arguments = parser.parse_args()
    crasher = Crasher(os.environ.get("CRASH", ""))
    arm(crasher)
    settings = ServerSettings(data_dir=arguments.data_dir, command_burst=1000)
    event_loop.run(
        app.run(
            settings,
            arguments.socket,
            on_ready=lambda address: print(f"tui-agent-server on {address}", file=sys.stderr, flush=True),
            agent=SlowWords(os.environ.get("ASKED", "")),
            on_point=crasher.at,
        )
    )


if __name__ == "__main__":
    main()
