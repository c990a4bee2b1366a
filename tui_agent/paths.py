"""Where the client keeps things: XDG's folders on Linux, platformdirs' places elsewhere.

On Linux the rule is two lines, and each start would pay 20 ms for platformdirs; tests hold both equal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

APP: Final = "tui-agent"


def state_folder(environ: Mapping[str, str] | None = None) -> Path:
    """The outbox, drafts, and logs."""
    environ = os.environ if environ is None else environ
    if sys.platform == "linux":
        return _xdg(environ, "XDG_STATE_HOME", ".local/state")
    import platformdirs

    return Path(platformdirs.user_state_dir(APP, appauthor=False))


def data_folder(environ: Mapping[str, str] | None = None) -> Path:
    """What was downloaded: the models that hear speech."""
    environ = os.environ if environ is None else environ
    if sys.platform == "linux":
        return _xdg(environ, "XDG_DATA_HOME", ".local/share")
    import platformdirs

    return Path(platformdirs.user_data_dir(APP, appauthor=False))


def config_file(environ: Mapping[str, str] | None = None) -> Path:
    """config.toml; `TUI_AGENT_CONFIG` names another. The server reads its `[server]` table."""
    environ = os.environ if environ is None else environ
    if environ.get("TUI_AGENT_CONFIG"):
        return Path(environ["TUI_AGENT_CONFIG"])
    if sys.platform == "linux":
        return _xdg(environ, "XDG_CONFIG_HOME", ".config") / "config.toml"
    import platformdirs

    return Path(platformdirs.user_config_dir(APP, appauthor=False)) / "config.toml"


def room_key(server: str, room: str, user: str) -> str:
    """The name, in hexadecimal digits, of what is kept for a person in a room of a server."""
    import hashlib  # loads OpenSSL: after the first paint

    return hashlib.sha256("\0".join((server, room, user)).encode()).hexdigest()[:32]


def _xdg(environ: Mapping[str, str], variable: str, default: str) -> Path:
    folder = environ.get(variable, "").strip()
    return (Path(folder) if folder else Path(os.path.expanduser(f"~/{default}"))) / APP
