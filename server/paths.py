"""Where the server keeps things: XDG's folders (macOS and Windows: platformdirs' places).

The socket's place is worked out by the standard library alone, since each start of a client asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

APP = "tui-agent"


def default_data_dir() -> Path:
    """The database and the secret."""
    import platformdirs

    return Path(platformdirs.user_data_dir(APP, appauthor=False))


def default_state_dir() -> Path:
    """The log."""
    import platformdirs

    return Path(platformdirs.user_state_dir(APP, appauthor=False))


def config_file(environ: Mapping[str, str]) -> Path:
    """config.toml, shared with the client; `TUI_AGENT_CONFIG` names another."""
    if environ.get("TUI_AGENT_CONFIG"):
        return Path(environ["TUI_AGENT_CONFIG"])
    import platformdirs

    return Path(platformdirs.user_config_dir(APP, appauthor=False)) / "config.toml"
