"""From settings to a link: which server, which token, and whether this machine's own server may be started.

The link itself (websockets, TLS) is imported when the first one is made: the screen is painted before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.protocol import AGENT_VERSION
from tui_agent.config import Settings, read_token
from tui_agent.link.address import Address, BadAddress, local_address, parse_address
from tui_agent.paths import state_folder

if TYPE_CHECKING:
    from tui_agent.link.connection import RoomLink

CLIENT = f"tui-agent/{AGENT_VERSION}"


class CannotJoin(Exception):
    """The settings lead to no server. The text is a sentence for a person."""


def check_settings(settings: Settings) -> None:
    """What `make_link` would find wrong, before anything is started. Raises CannotJoin."""
    if settings.server_url:
        _elsewhere(settings)


def make_link(settings: Settings, room: str | None = None) -> RoomLink:
    """A link to `room` (else to the room of the settings), not running yet. Raises CannotJoin."""
    from tui_agent.link.connection import RoomLink

    room = room or settings.room
    if not settings.server_url:
        from tui_agent.local_server import LocalServer, socket_path

        path = socket_path()
        local = LocalServer(path, state_folder())
        return RoomLink(
            local_address(path), room, settings.user, client=CLIENT, state_folder=state_folder(), local=local
        )
    address, token = _elsewhere(settings)
    return RoomLink(address, room, settings.user, client=CLIENT, state_folder=state_folder(), token=token)


def _elsewhere(settings: Settings) -> tuple[Address, str | None]:
    try:
        return parse_address(settings.server_url), read_token(settings)
    except BadAddress as exc:
        raise CannotJoin(str(exc)) from None
    except ValueError as exc:
        raise CannotJoin(str(exc)) from None
