"""Settings of the client: flags over environment (`TUI_AGENT_*`) over config.toml. To add a key, add a line below.

What is broken in the file or the environment is named in one sentence each (`Settings.problems`: file, line, key) and
the default is used; only a flag that cannot be used ends the start (cli.py).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

from server.protocol import ROOM_PATTERN, USER_PATTERN
from tui_agent.paths import config_file

RoomName = Annotated[str, Meta(pattern=f"^{ROOM_PATTERN}$")]
UserName = Annotated[str, Meta(pattern=f"^{USER_PATTERN}$")]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]


class Voice(Struct, frozen=True, kw_only=True):
    """`[voice]`"""

    send: Literal["auto", "review"] = "auto"
    language: str = ""  # "": the system's
    model: str = ""  # a size or a folder; "": base
    device: str = ""  # microphone
    output: str = ""  # loudspeaker
    voice: str = ""
    rate: Annotated[int, Meta(ge=50, le=500)] = 180  # words a minute
    pitch: Annotated[int, Meta(ge=0, le=100)] = 50
    volume: Share = 1.0
    speak: bool = False  # answers aloud from the start
    speak_for: Literal["own", "room"] = "own"  # what one asked oneself, or everybody's
    max_sentences: Annotated[int, Meta(ge=1, le=1000)] = 40
    silence_s: Annotated[float, Meta(ge=0.2, le=10)] = 0.8


class Notify(Struct, frozen=True, kw_only=True):
    """`[notify]`"""

    on: bool = True  # tell when a task has ended while the terminal is not looked at
    how: Literal["auto", "osc9", "osc777", "bell"] = "auto"  # as the terminal can
    command: str = ""  # instead: a program that gets title and text as its last two arguments


class Settings(Struct, frozen=True, kw_only=True):
    """All settings in force."""

    room: RoomName = "main"
    user: UserName = ""  # "": the OS user's name, made to fit
    server_url: str = ""  # "": the server on this machine
    token_file: str = ""
    theme: str = ""  # "": dusk or dawn, as the terminal is
    keys: dict[str, str] = field(default_factory=dict)  # name of an action -> key
    voice: Voice = field(default_factory=Voice)
    notify: Notify = field(default_factory=Notify)
    reduced_motion: bool = False
    plain: bool = False
    with_voice: bool = False  # --voice: hands-free from the start
    problems: tuple[str, ...] = ()


_NOT_IN_FILE: Final = frozenset({"problems", "with_voice"})
_ANOTHER_READS: Final = frozenset({"server"})  # the server's own table
_ALIASES: Final = {"TUI_AGENT_SERVER": "server_url"}


def load(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force. `flags` holds what was given and is checked already."""
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    values = _from_file(config_file(environ), problems)
    values |= _from_environment(environ, problems)
    values |= flags or {}
    if not values.get("user"):
        values["user"] = default_user(environ)
    return msgspec.structs.replace(Settings(), **values, problems=tuple(problems))


def default_user(environ: Mapping[str, str]) -> str:
    """The OS user's name, made to fit the pattern."""
    name = environ.get("LOGNAME") or environ.get("USER") or ""
    if not name:
        import pwd

        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            name = ""
    name = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:32]
    return name or "me"


def read_token(settings: Settings, environ: Mapping[str, str] | None = None) -> str | None:
    """The token of --token-file, else of TUI_AGENT_TOKEN. Raises ValueError with a sentence."""
    environ = os.environ if environ is None else environ
    if settings.token_file:
        path = Path(settings.token_file).expanduser()
        try:
            token = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise ValueError(f"The token file {path} cannot be read. Check the path and its rights.") from None
        where = f"The token file {path}"
    else:
        token, where = environ.get("TUI_AGENT_TOKEN", "").strip(), "TUI_AGENT_TOKEN"
        if not token:
            return None
    if not re.fullmatch(r"[!-~]{1,8192}", token):
        raise ValueError(f"{where} holds no token: one line without spaces, as tui-agent-server token prints it.")
    return token


# ---- the file ------------------------------------------------------------------------------------


def _from_file(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError):
        problems.append(f"{path} cannot be read (rights, or not UTF-8); the defaults are used.")
        return {}
    import tomllib  # only where there is a file

    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        where = re.search(r"line (\d+)", str(exc))
        line = where.group(1) if where else str(text.count("\n") + 1)
        problems.append(f"{path}, line {line}: this is not TOML; the defaults are used until it is mended.")
        return {}
    except RecursionError:
        problems.append(f"{path} is nested too deeply; the defaults are used.")
        return {}

    def problem(dotted: str, sentence: str) -> None:
        problems.append(f"{path}, line {line_of(text, dotted)}: {sentence}")

    return _checked(table, Settings, "", problem)


def _checked(table: Mapping[str, Any], kind: type[Struct], prefix: str, problem: Any) -> dict[str, Any]:
    """The values of a table that can be used; what cannot is told to `problem`."""
    fields = {f.name: f.type for f in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        dotted = f"{prefix}{key}"
        if not prefix and key in _ANOTHER_READS:
            if not isinstance(value, dict):
                problem(dotted, f"`[{key}]` is the server's own table; write the address as server_url = …")
        elif key not in fields or (not prefix and key in _NOT_IN_FILE):
            problem(dotted, f"there is no setting `{shown(dotted)}`; it is ignored.")
        elif isinstance(fields[key], type) and issubclass(fields[key], Struct) and isinstance(value, dict):
            values[key] = msgspec.structs.replace(fields[key](), **_checked(value, fields[key], f"{dotted}.", problem))
        elif fields[key] == dict[str, str] and isinstance(value, dict):
            for name in value:
                if not isinstance(value[name], str):
                    problem(f"{dotted}.{name}", f"`{shown(f'{dotted}.{name}')}` must be a text; the default is used.")
            values[key] = {name: text for name, text in value.items() if isinstance(text, str)}
        else:
            try:
                values[key] = msgspec.convert(value, fields[key])
            except msgspec.ValidationError:
                problem(dotted, f"`{shown(dotted)}` must be {_wanted(fields[key])}; the default is used.")
    return values


def line_of(text: str, dotted: str) -> int:
    """The line on which a key of a TOML text stands (1 when it cannot be told)."""
    table, best = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if line.startswith("["):
            table = re.sub(r"[\[\]\s\"']", "", line.partition("#")[0])
            name = table
        elif "=" in line and not line.startswith("#"):
            key = re.sub(r"[\s\"']", "", line.partition("=")[0])
            name = f"{table}.{key}" if table else key
        else:
            continue
        if name == dotted:
            return number
        if dotted.startswith(f"{name}."):
            best = number
    return best


def place_in_file(dotted: str, environ: Mapping[str, str] | None = None) -> str:
    """`PATH, line 12: `key`` for a setting; only its name when it came from elsewhere."""
    path = config_file(environ)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return f"`{shown(dotted)}`"
    return f"{path}, line {line_of(text, dotted)}: `{shown(dotted)}`"


def shown(text: str) -> str:
    """A name out of a file, cut and without what could command a terminal."""
    text = "".join(char if char.isprintable() else "\ufffd" for char in text)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _wanted(kind: Any) -> str:
    """A type in words."""
    meta = next((m for m in getattr(kind, "__metadata__", ()) if isinstance(m, Meta)), None)
    base = getattr(kind, "__origin__", kind)
    if base is Literal:
        return " or ".join(f'"{value}"' for value in kind.__args__)
    if kind is RoomName:
        return "a room name (a-z 0-9 . _ -, at most 64, beginning with a letter or digit)"
    if kind is UserName:
        return "a name (a-z 0-9 _ -, at most 32, beginning with a letter or digit)"
    words = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}.get(base, "a table")
    return words if meta is None or meta.ge is None else f"{words} from {meta.ge:g} to {meta.le:g}"


# ---- the environment -----------------------------------------------------------------------------


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    """TUI_AGENT_ROOM and so on; `[voice]` and `[notify]` as TUI_AGENT_VOICE_RATE. Empty means not set."""
    values: dict[str, Any] = {}
    for f in msgspec.structs.fields(Settings):
        if f.name in _NOT_IN_FILE or f.type == dict[str, str]:
            continue
        if isinstance(f.type, type) and issubclass(f.type, Struct):
            parts: dict[str, Any] = {}
            for part in msgspec.structs.fields(f.type):
                _take_variable(
                    environ, f"TUI_AGENT_{f.name}_{part.name}".upper(), part.name, part.type, parts, problems
                )
            if parts:
                values[f.name] = msgspec.structs.replace(f.type(), **parts)
        else:
            _take_variable(environ, f"TUI_AGENT_{f.name}".upper(), f.name, f.type, values, problems)
    for variable, name in _ALIASES.items():
        _take_variable(environ, variable, name, str, values, problems)
    return values


def _take_variable(
    environ: Mapping[str, str], variable: str, name: str, kind: Any, values: dict[str, Any], problems: list[str]
) -> None:
    text = environ.get(variable)
    if not text:
        return
    try:
        values[name] = msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError:
        problems.append(f"The variable {variable} must be {_wanted(kind)}; it is ignored.")
