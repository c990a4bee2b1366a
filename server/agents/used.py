"""What a request has used that has no result (it failed, was cut, or is under way): as far as the service told, else an
estimate. Pure."""

from __future__ import annotations

from server.agents.estimate import tokens_of_bytes
from server.agents.failures import Failure
from server.agents.stream import Reading
from server.protocol import Usage


def used(reading: Reading, input_estimate: int, failure: Failure | None = None) -> Usage:
    """Tokens so far. The service tells the input with its first event and the output with its last; between, the output
    is estimated by what was streamed. Before the first event the whole input counts, at the price of the cache's
    writing, but for a request that the service refused, or that never reached it."""
    if not reading.started:
        is_free = failure is not None and failure.is_refused
        return Usage(cache_creation_input_tokens=0 if is_free else input_estimate)
    told = reading.input_tokens + reading.cache_read_tokens + reading.cache_creation_tokens
    output, is_whole = reading.output_tokens, reading.stop_reason is not None
    if not is_whole and reading.streamed_bytes:
        output = max(output, tokens_of_bytes(reading.streamed_bytes))
    return Usage(
        input_tokens=reading.input_tokens,
        output_tokens=output,
        cache_read_input_tokens=reading.cache_read_tokens,
        # A local server may tell nothing before the end.
        cache_creation_input_tokens=reading.cache_creation_tokens if told or is_whole else input_estimate,
    )
