"""Members of rooms in a process of their own: nobody who is timed waits for their reads.

python -m bench.crowd ADDRESS KIND ROOMS MEMBERS      KIND: ours | bare | sio

Members 1 to MEMBERS-1 of each room (member 0 is the probe of whoever asks). Prints "joined"; when its input ends,
how many connections were lost meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.load import Receiver, open_receiver
from bench.procs import ROOT


async def join(address: str, kind: str, room: int, member: int) -> Receiver:
    """One member of one room; member 0 keeps its frames."""
    if kind == "sio":
        receiver = await open_receiver(address, "/socket.io/?EIO=4&transport=websocket", probe=member == 0)
        receiver.send(b"40")
        receiver.send(b'42["join","room%d"]' % room)
        return receiver
    return await open_receiver(
        address, f"/rooms/room{room}", probe=member == 0, hello=f"u{room}-{member}", ours=kind == "ours"
    )


@asynccontextmanager
async def joined(address: str, kind: str, rooms: int, members: int) -> AsyncIterator[list[Receiver]]:
    """The rooms, full (`members` in each); yields the probes, one a room.

    Raises ConnectionError when somebody was lost meanwhile."""
    probes = [await join(address, kind, room, 0) for room in range(rooms)]
    command = [sys.executable, "-m", "bench.crowd", address, kind, str(rooms), str(members)]
    crowd = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert crowd.stdin is not None
    assert crowd.stdout is not None
    try:
        assert await crowd.stdout.readline() == b"joined\n", "the crowd did not come in"
        yield probes
        crowd.stdin.close()
        lost = int(await crowd.stdout.readline()) + sum(probe.lost.done() for probe in probes)
        if lost:
            raise ConnectionError(f"{lost} members were lost")
    finally:
        crowd.stdin.close()
        await crowd.wait()
        for probe in probes:
            probe.transport.abort()


async def main(address: str, kind: str, rooms: int, members: int) -> None:
    crowd = [await join(address, kind, room, member) for room in range(rooms) for member in range(1, members)]
    print("joined", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(sum(receiver.lost.done() for receiver in crowd), flush=True)
    for receiver in crowd:
        receiver.transport.abort()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
