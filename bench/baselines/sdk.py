"""The `anthropic` SDK alone: COUNT questions one after the other; prints the ms to each first token as JSON.

python -m bench.baselines.sdk URL COUNT
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from server.agents.sdk import open_client


async def first_token_ms(client) -> float:
    began_s = time.perf_counter()
    taken_ms = 0.0
    async with await client.messages.create(
        model="m",
        max_tokens=1000,
        stream=True,
        messages=[{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    ) as stream:
        async for event in stream:
            if not taken_ms and event.type == "content_block_delta":
                taken_ms = (time.perf_counter() - began_s) * 1000
    return taken_ms


async def main(url: str, count: int) -> None:
    async with await asyncio.to_thread(open_client, url, None, 30) as client:
        await first_token_ms(client)  # opens the connection that the others use
        print(json.dumps([await first_token_ms(client) for _ in range(count)]))


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
