"""The `anthropic` client: its connections, proxies, warm-up. Importing this takes 1.4 s: do it in a thread."""

from __future__ import annotations

import functools
import ipaddress
from typing import Final
from urllib.parse import urlsplit

import anthropic
import anyio
import httpx2


def open_client(url: str, api_key: str | None, silence_timeout_s: float) -> anthropic.AsyncAnthropic:
    """A client for the Messages API at `url`, warmed up; it makes no retries of its own."""
    limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=20)
    timeout = httpx2.Timeout(silence_timeout_s + 30, connect=10.0)  # our watchdog comes first
    # Proxies of the environment are for the world; one for http:// would break a model on this machine.
    # Without TLS there are no certificates to load (0.1 s).
    http = (
        httpx2.AsyncClient(trust_env=False, verify=url.startswith("https://"), limits=limits, timeout=timeout)
        if is_loopback(url)
        else anthropic.DefaultAsyncHttpxClient(limits=limits, timeout=timeout)
    )
    _warm_up()
    # Local servers want no key, the SDK does.
    key = api_key or "no-key"
    return anthropic.AsyncAnthropic(api_key=key, base_url=url, max_retries=0, timeout=timeout, http_client=http)


def is_loopback(url: str) -> bool:
    """Whether the URL names this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


_WARM_UP: Final = b"""event: message_start
data: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m","content":[],\
"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":1}}

"""


@functools.cache  # once a process
def _warm_up() -> None:
    """Read one answer that never leaves the process: what the SDK makes on first use, 80 ms, is then there."""
    anyio.run(anyio.sleep, 0)  # in this thread's own loop; it imports the part for asyncio

    def handler(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=_WARM_UP)

    with (
        httpx2.Client(transport=httpx2.MockTransport(handler)) as http,
        anthropic.Anthropic(api_key="none", base_url="http://localhost", max_retries=0, http_client=http) as client,
    ):
        events = client.messages.create(
            model="m", max_tokens=1, stream=True, messages=[{"role": "user", "content": "x"}]
        )
        for _event in events:
            pass
