"""Why there is no connection, in one sentence for a person with the next step, and whether to try again by itself."""

from __future__ import annotations

import asyncio
import socket
import ssl
from email.utils import parsedate_to_datetime
from typing import Literal

from msgspec import Struct
from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus, NegotiationError

from server.protocol import SUBPROTOCOL, Close
from tui_agent.link.address import Address

LONGEST_RETRY_AFTER_S = 300.0

What = Literal["retry", "stop", "final"]


class Trouble(Struct, frozen=True):
    """`retry`: try again by itself. `stop`: the person may say when. `final`: only a new start helps."""

    sentence: str
    what: What = "retry"
    retry_after_s: float = 0.0
    at_once: bool = False  # the first new try needs no wait (the machine has slept)


class Unreachable(Exception):
    """The local server could not be started; the text is for a person."""

    def __init__(self, sentence: str, *, is_final: bool = False) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.is_final = is_final


def of_version(address: Address) -> Trouble:
    """The handshake agreed on no protocol that this client speaks."""
    return Trouble(
        f"The server at {address} speaks another version of the protocol than this client ({SUBPROTOCOL}). "
        "Update the older of the two.",
        "final",
    )


def not_ours(address: Address) -> Trouble:
    """Something else listens there."""
    return Trouble(f"What answers at {address} is not a tui-agent server. Check --server.", "stop")


def of_failed_connect(exc: Exception, address: Address, now_s: float) -> Trouble:
    """What an exception of connecting means. No text of the exception or of the peer gets through."""
    match exc:
        case Unreachable():
            return Trouble(exc.sentence, "stop" if exc.is_final else "retry")
        case InvalidStatus():
            return _of_status(exc, address, now_s)
        case NegotiationError():
            return of_version(address)
        case InvalidMessage() if isinstance(exc.__cause__, EOFError) and not address.base.startswith("wss:"):
            return Trouble(f"The server at {address} closed the connection at once. Check --server.")
        case InvalidHandshake():
            return not_ours(address)
        case TimeoutError():
            return Trouble(f"The server at {address} does not answer. Check the address and your network.")
        case socket.gaierror():
            return Trouble(f"The name {address.host} does not resolve. Check its spelling and your network.")
        case ssl.SSLCertVerificationError():
            return Trouble(
                f"The certificate of {address.host} is not trusted by this machine. Ask its owner for a valid one, "
                "or point SSL_CERT_FILE to the authority that signed it.",
                "stop",
            )
        case ssl.SSLError():
            return Trouble(f"{address} does not answer in TLS. Try ws:// in place of wss://, if that is safe.", "stop")
        case ConnectionRefusedError() | FileNotFoundError():
            return Trouble(f"No server answers at {address}. Start one there with tui-agent-server, or check --server.")
        case PermissionError():
            return Trouble(f"You may not use {address}: it belongs to somebody else.", "stop")
        case EOFError() | ConnectionError() if address.base.startswith("wss:"):
            return Trouble(f"{address} closed the connection in the TLS handshake. Is it a wss server, or ws://?")
        case EOFError() | ConnectionError() | asyncio.IncompleteReadError():
            return Trouble(f"The server at {address} closed the connection at once. Check --server.")
        case OSError():
            return Trouble(f"There is no way to {address.host or address}. Check your network.")
        case _:
            return not_ours(address)


def _of_status(exc: InvalidStatus, address: Address, now_s: float) -> Trouble:
    match exc.response.status_code:
        case 400:
            return Trouble(f"The server at {address} does not take this room name. Choose another --room.", "final")
        case 401:
            return Trouble(
                f"The server at {address} does not accept the token (or there is none). "
                "Ask its owner for one (tui-agent-server token NAME) and give it with --token-file.",
                "final",
            )
        case 403:
            return Trouble(f"The server at {address} does not let you into this room.", "final")
        case 429:
            return Trouble(
                "You have too many connections to this server; close one.", retry_after_s=_retry_after(exc, now_s)
            )
        case 503:
            return Trouble("The server is full or not ready yet.", retry_after_s=_retry_after(exc, now_s))
        case 502 | 504:
            return Trouble(f"The gateway in front of {address} does not reach the server.")
        case _:
            return not_ours(address)


def _retry_after(exc: InvalidStatus, now_s: float) -> float:
    """Seconds from a Retry-After header, which may be a number or a date."""
    text = exc.response.headers.get("Retry-After", "")
    try:
        wait_s = float(text) if text.isascii() and text.isdigit() else parsedate_to_datetime(text).timestamp() - now_s
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(wait_s, 0.0), LONGEST_RETRY_AFTER_S)


_OF_CODE: dict[int, Trouble] = {
    Close.GOING_AWAY: Trouble("The server is stopping."),
    Close.SERVICE_RESTART: Trouble("The server is restarting."),
    Close.TRY_AGAIN_LATER: Trouble("The server asked to come back later."),
    Close.SLOW_CONSUMER: Trouble("The connection could not keep up with the room."),
    Close.BAD_FRAME: Trouble("The server could not read what this client sent. Update the older of the two.", "final"),
    Close.UNAUTHORIZED: Trouble(
        "Your token is no longer accepted. Ask the server's owner for a new one (tui-agent-server token NAME), "
        "then start again.",
        "final",
    ),
    Close.FORBIDDEN: Trouble("You may no longer be in this room.", "final"),
    Close.REPLACED: Trouble("This window was replaced by a newer connection of the same client.", "final"),
    Close.UNSUPPORTED_VERSION: Trouble(
        "The server speaks another version of the protocol. Update the older of the two.", "final"
    ),
    Close.FLOODING: Trouble("The server closed the connection: too many commands. Start again in a moment.", "final"),
}


def of_close(code: int | None) -> Trouble:
    """What a close code means."""
    return _OF_CODE.get(code or 1006, Trouble("The connection was cut."))
