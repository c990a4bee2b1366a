"""A client process that talks until it is killed: a line `sent CID` once the link has promised to keep a message.

`python talker.py SOCKET STATE_FOLDER MESSAGES`. It ends with `settled` when its outbox is empty.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import uuid
from pathlib import Path

from server.protocol import Message
from tests.faults.people import QUICK
from tui_agent.link.address import local_address
from tui_agent.link.base import OutboxFull
from tui_agent.link.connection import RoomLink


def tell(line: str) -> None:
    os.write(1, line.encode() + b"\n")


async def main() -> None:
    socket, folder, messages = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    link = RoomLink(local_address(socket), "main", "ada", client="tui-agent/1.0", state_folder=folder, times=QUICK)
    tell("ready")

    async def talk() -> None:
        for _ in range(messages):
            cid = str(uuid.uuid4())
            with contextlib.suppress(OutboxFull):  # what the dead have left may fill it: then nothing is promised
                link.send(Message(cid, f"word {cid}"))
                tell(f"sent {cid}")
            await asyncio.sleep(0.002)

    async def watch() -> None:
        async for _ in link.events():
            if not link.pending and talking.done():
                tell("settled")
                await link.close()

    async with asyncio.TaskGroup() as group:
        talking = group.create_task(talk())
        group.create_task(link.run())
        group.create_task(watch())


if __name__ == "__main__":
    asyncio.run(main())
