"""Settings of the server: flags over environment (`TUI_AGENT_*`) over the `[server]` table of config.toml.

One struct names them all; a flag, a variable and a key of the file are the same name in three spellings
(`--budget-tokens-per-day` has none: what is seldom changed stands in the file or the environment only).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from server.agents.pricing import Price
from server.paths import config_file, default_data_dir, default_state_dir


class ConfigTrouble(Exception):
    """A setting cannot be used. The text names file, line or key, and the next step."""


class ServerSettings(Struct, forbid_unknown_fields=True, kw_only=True):
    """All settings; times in seconds, sizes in bytes."""

    agent: Literal["auto", "anthropic", "demo"] = "auto"
    model: str = "claude-sonnet-5-5"
    data_dir: str = ""
    log_dir: str = ""
    system_prompt: str = ""
    max_tokens: int = 16_000
    context_window: int = 0  # 0: as known for the model
    web_search: bool = False
    web_fetch: bool = False
    silence_timeout_s: float = 120.0
    prices: dict[str, Price] = field(default_factory=dict)
    budget_tokens_per_day: int | None = None
    budget_dollars_per_day: float | None = None
    tasks_at_once: int = 4
    tasks_per_person: int = 2
    task_tokens: int = 400_000  # all that a task's requests may use
    task_calls: int = 60  # requests and tool calls of one task
    task_minutes: float = 30.0
    connections_per_user: int = 64
    connections: int = 1000
    command_burst: int = 10
    commands_per_s: float = 2.0
    demo_tokens_per_s: float = 60.0
    host: str = ""
    port: int | None = None
    socket: str = ""
    idle_exit_s: float | None = None
    tls_cert: str = ""
    tls_key: str = ""
    allow_host: list[str] = field(default_factory=list)
    allow_origin: list[str] = field(default_factory=list)
    insecure_no_auth: bool = False

    @property
    def data_path(self) -> Path:
        return Path(self.data_dir).expanduser() if self.data_dir else default_data_dir()

    @property
    def log_path(self) -> Path:
        return Path(self.log_dir).expanduser() if self.log_dir else default_state_dir()


def load(flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> ServerSettings:
    """The settings in force. `flags` holds only what was given. Raises ConfigTrouble."""
    values: dict[str, Any] = {}
    path = config_file(environ)
    values |= _from_file(path)
    values |= _from_environment(environ)
    values |= flags
    try:
        return msgspec.convert(values, ServerSettings, strict=False)
    except msgspec.ValidationError as exc:
        raise ConfigTrouble(_sentence(exc, path, values)) from None


def _from_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError):
        raise ConfigTrouble(f"{path} cannot be read; check its permissions and that it is UTF-8 text.") from None
    try:
        table = tomllib.loads(text).get("server", {})
    except tomllib.TOMLDecodeError as exc:
        # tomllib's message ends in "(at line 3, column 5)" and holds no content of the file.
        raise ConfigTrouble(f"{path} is not valid TOML: {exc}. Mend that line and start again.") from None
    if not isinstance(table, dict):
        raise ConfigTrouble(f"{path}: `server` must be a table; write [server] on a line of its own.")
    for key, value in table.items():
        if key not in ServerSettings.__struct_fields__:
            line = _line_of(text, key)
            raise ConfigTrouble(f"{path}, line {line}: there is no setting `{key}`; see the table in README.md.")
        _check_value(path, text, key, value)
    return table


def _check_value(path: Path, text: str, key: str, value: Any) -> None:
    try:
        msgspec.convert({key: value}, ServerSettings)
    except msgspec.ValidationError:
        line = _line_of(text, key)
        raise ConfigTrouble(f"{path}, line {line}: `{key}` has a value of the wrong kind; see README.md.") from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key in ServerSettings.__struct_fields__:
        value = environ.get(f"TUI_AGENT_{key.upper()}")
        if value:
            values[key] = value.split(",") if key in ("allow_host", "allow_origin") else value
    return values


def _sentence(exc: msgspec.ValidationError, path: Path, values: Mapping[str, Any]) -> str:
    for key in values:
        try:
            msgspec.convert({key: values[key]}, ServerSettings, strict=False)
        except msgspec.ValidationError:
            return f"The setting `{key}` has a value of the wrong kind (a flag, TUI_AGENT_{key.upper()} or {path})."
    return "A setting has a value of the wrong kind; see the table in README.md."


def _line_of(text: str, key: str) -> int:
    for number, line in enumerate(text.splitlines(), 1):
        if line.split("=")[0].strip().strip("\"'") == key:
            return number
    return 0
