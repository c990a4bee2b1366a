"""What a failure of the model's service means: a wire code, a sentence with the next step, whether to try again.

Nothing of the service's own words, of an exception's text or of the key gets into a sentence.
"""

from __future__ import annotations

import email.utils
import json
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from server.agents.stream import BadStream, clean_line
from server.agents.watchdog import Silence
from server.errors import AgentTrouble
from server.protocol import Code


class Failure(Struct, frozen=True):
    """One failed request. `is_passing` says that the same request may well succeed in a while, `is_refused` that the
    service did nothing for it (an error in place of an answer, or it was not reached): it costs nothing."""

    code: Code
    what: str  # begins a note: "The model is overloaded"
    next_step: str
    is_passing: bool = False
    retry_after_s: float | None = None
    prompt_too_long: bool = False
    for_log: str = ""
    is_refused: bool = False

    def trouble(self) -> AgentTrouble:
        """The error for the room."""
        wait = ""
        if self.retry_after_s is not None and self.retry_after_s > 1:
            wait = f" It asks for a pause of {duration(self.retry_after_s)}."
        return AgentTrouble(self.code, f"{self.what}.{wait} {self.next_step}", retry_after_s=self.retry_after_s)


class CutOff(Exception):
    """The stream came to a clean end without a stop reason."""

    def __init__(self, *, started: bool) -> None:
        super().__init__()
        self.started = started


def duration(seconds: float) -> str:
    """A pause as people say it: `4 s`, `2 min`, `1.5 h`."""
    if seconds < 10:
        return f"{max(0.1, round(seconds, 1)):g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{round(seconds / 3600, 1):g} h"


AGAIN: Final = "Send your message again."
KEY_STEP: Final = (
    "Check ANTHROPIC_API_KEY, stop the server (`tui-agent-server stop`) and start it again with the right one."
)
_OVERLOADED = Failure("model_overloaded", "The model is overloaded", "Send your message again in a minute.", True)
_LIMITED = Failure(
    "model_rate_limited", "The model's rate limit is reached", "Wait a minute and send your message again.", True
)
_BROKEN = Failure("model_error", "The model's service failed", AGAIN, True)
_KEY = Failure("model_auth", "The model's service refused the key", KEY_STEP)
_FORBIDDEN = Failure(
    "model_auth",
    "The key is not allowed to use this model",
    "Choose another model with --model, or another key, and restart the server.",
)
_BILLING = Failure(
    "model_auth", "The account of this key has no credit left", "Add credit at the provider, then send it again."
)
_TOO_LONG = Failure(
    "too_large",
    "The message is too long for the model",
    "Shorten it, or /clear the room to make space.",
    prompt_too_long=True,
)
_TOO_BIG = Failure(
    "too_large",
    "The request is too large for the model's service",
    "Shorten it, or /clear the room.",
    prompt_too_long=True,
)
_REJECTED = Failure(
    "model_error",
    "The model's service did not accept the request",
    "Check --model and the server's settings; the server's log has the request's id.",
)
_TIMED_OUT = Failure("model_error", "The model's service took too long to answer", AGAIN, True)
_LOST = Failure("model_error", "The connection to the model broke off", AGAIN, True)
_GARBLED = Failure(
    "model_error",
    "The model's service sent something that is not an answer of the Messages API",
    "Check ANTHROPIC_BASE_URL, or send your message again.",
)
_ENDED = Failure("model_error", "The model's answer broke off before its end", AGAIN)
_REFUSED = Failure("model_refused", "The model declined to answer", "Put it another way, or /clear the room.")
REFUSAL: Final = _REFUSED
NO_TOOL: Final = Failure(
    "model_error", "The model asked for a tool that this server does not have", "Ask again in other words."
)

_BY_TYPE: Final[Mapping[str, Failure]] = {
    "overloaded_error": _OVERLOADED,
    "rate_limit_error": _LIMITED,
    "authentication_error": _KEY,
    "permission_error": _FORBIDDEN,
    "billing_error": _BILLING,
    "request_too_large": _TOO_BIG,
    "timeout_error": _TIMED_OUT,
    "api_error": _BROKEN,
    "invalid_request_error": _REJECTED,
}
_BY_STATUS: Final[Mapping[int, Failure]] = {
    401: _KEY,
    402: _BILLING,
    403: _FORBIDDEN,
    408: _TIMED_OUT,
    409: _BROKEN,
    413: _TOO_BIG,
    429: _LIMITED,
    502: _BROKEN,
    503: _OVERLOADED,
    504: _TIMED_OUT,
    529: _OVERLOADED,
}


def failure_of(trouble: Exception, *, model: str, host: str, silence_s: float, now_unix_s: float) -> Failure | None:
    """What this exception of a request means; None for one that no service causes (then it is our own mistake)."""
    import anthropic
    import httpx2

    if isinstance(trouble, Silence | anthropic.APITimeoutError | httpx2.TimeoutException):
        if isinstance(trouble, httpx2.ConnectTimeout) or isinstance(trouble.__cause__, httpx2.ConnectTimeout):
            return _unreachable(host)
        return _said(_silent(silence_s), trouble)
    if isinstance(trouble, anthropic.APIStatusError):
        return _status(trouble, model, now_unix_s)
    if isinstance(trouble, anthropic.APIResponseValidationError | json.JSONDecodeError):
        return _said(_GARBLED, trouble)
    if isinstance(trouble, anthropic.APIConnectionError):
        cause = trouble.__cause__
        if isinstance(cause, httpx2.ConnectError | httpx2.UnsupportedProtocol | httpx2.InvalidURL):
            return _unreachable(host)
        return _said(_LOST, cause if isinstance(cause, Exception) else trouble)
    if isinstance(trouble, CutOff):
        return _said(_ENDED if trouble.started else _GARBLED, trouble)
    if isinstance(trouble, BadStream):
        return _said(_GARBLED, trouble, str(trouble))
    if isinstance(trouble, httpx2.DecodingError):
        return _said(_GARBLED, trouble)
    if isinstance(trouble, httpx2.ConnectError):
        return _unreachable(host)
    if isinstance(trouble, httpx2.HTTPError | httpx2.StreamError | OSError):
        return _said(_LOST, trouble)
    if isinstance(trouble, anthropic.AnthropicError):
        return _said(_GARBLED, trouble)
    return None


def _status(trouble: Any, model: str, now_unix_s: float) -> Failure:
    status = trouble.status_code
    kind = trouble.type if isinstance(trouble.type, str) else ""
    words = trouble.api_message.lower() if isinstance(trouble.api_message, str) else ""
    if status == 200:  # an error event in the middle of a stream: only its type tells
        failure = _BY_TYPE.get(kind, _BROKEN)
    elif status == 404 or kind == "not_found_error":
        failure = _missing(model)
    elif status in _BY_STATUS:
        failure = _BY_STATUS[status]
    elif status >= 500:
        failure = _BY_TYPE.get(kind, _BROKEN)
    else:
        failure = _BY_TYPE.get(kind, _REJECTED)
    if failure is _REJECTED and _says_too_long(words):
        failure = _TOO_LONG
    if kind == "billing_error" or (failure is _REJECTED and "credit balance" in words):
        failure = _BILLING
    headers = trouble.response.headers
    passing = failure.is_passing and headers.get("x-should-retry") != "false"
    request_id = clean_line(str(trouble.request_id), 60)
    return _change(
        failure,
        is_passing=passing,
        retry_after_s=retry_after_s(headers, now_unix_s) if failure.is_passing else None,
        for_log=f"HTTP {status} {clean_line(kind, 40) or '-'} request {request_id}",
        is_refused=status != 200,
    )


def _says_too_long(words: str) -> bool:
    # There is no code of its own for it; Ollama, vLLM and llama.cpp word it in their ways.
    return any(
        sign in words
        for sign in ("prompt is too long", "context length", "context window", "context size", "too many tokens")
    )


def retry_after_s(headers: Mapping[str, str], now_unix_s: float) -> float | None:
    """The pause that the service asks for, in seconds (`retry-after-ms`, or `retry-after` as seconds or a date)."""
    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        elif "retry-after" in headers:
            try:
                seconds = float(headers["retry-after"])
            except ValueError:
                seconds = email.utils.parsedate_to_datetime(headers["retry-after"]).timestamp() - now_unix_s
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), 86_400.0) if seconds == seconds else None  # NaN is no number


def _silent(silence_s: float) -> Failure:
    return Failure("model_error", f"The model was silent for {duration(silence_s)}, so it was stopped", AGAIN)


def _missing(model: str) -> Failure:
    return Failure(
        "model_error",
        f"The model's service knows no model {clean_line(model, 60)}",
        "Restart the server with --model NAME, or check ANTHROPIC_BASE_URL.",
    )


def _unreachable(host: str) -> Failure:
    return Failure(
        "model_error",
        f"The model's service at {clean_line(host, 80)} cannot be reached",
        "Check the network and ANTHROPIC_BASE_URL, then send your message again.",
        is_passing=True,
        for_log="no connection",
        is_refused=True,
    )


def _said(failure: Failure, trouble: Exception, for_log: str = "") -> Failure:
    return _change(failure, for_log=for_log or type(trouble).__name__)


def _change(failure: Failure, **changes: Any) -> Failure:
    fields = {name: getattr(failure, name) for name in failure.__struct_fields__}
    return Failure(**(fields | changes))
