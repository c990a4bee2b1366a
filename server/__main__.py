"""The command `tui-agent-server`: serve, token, status, stop, backup."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sqlite3
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, NoReturn

from server import config, protocol
from server.config import ConfigTrouble, ServerSettings
from server.datadir import DataDirTaken, running_server
from server.errors import StoreUnusable

USAGE = 2
FAILED = 1
LOG_BYTES = 5_000_000


class _Parser(argparse.ArgumentParser):
    """One plain sentence instead of a usage wall."""

    def error(self, message: str) -> NoReturn:
        say(f"{message[:1].upper()}{message[1:]}; see `{self.prog} --help`.")
        sys.exit(USAGE)


def say(sentence: str) -> None:
    """To the person at the terminal."""
    sys.stderr.write(sentence + "\n")


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns the exit status (0 fine, 1 failed, 2 usage or settings)."""
    arguments = _arguments(sys.argv[1:] if argv is None else argv)
    flags = {key: value for key, value in vars(arguments).items() if value is not None}
    command = flags.pop("command", "serve")
    own: dict[str, Any] = {key: flags.pop(key) for key in ("name", "room", "days", "file") if key in flags}
    try:
        settings = config.load(flags)
        match command:
            case "token":
                return _token(settings, own)
            case "status":
                return _status(settings)
            case "stop":
                return _stop(settings)
            case "backup":
                return _backup(settings, Path(own["file"]))
            case _:
                return _serve(settings)
    except (ConfigTrouble, StoreUnusable, DataDirTaken) as trouble:
        say(str(trouble))
        return USAGE if isinstance(trouble, ConfigTrouble) else FAILED
    except KeyboardInterrupt:
        return 130


def _arguments(argv: list[str]) -> argparse.Namespace:
    shared = _Parser(add_help=False)
    shared.add_argument("--data-dir", dest="data_dir", metavar="DIR", help="database and secret (default: XDG data)")
    parser = _Parser(prog="tui-agent-server", description="The server of tui-agent.", parents=[shared])
    parser.add_argument("--version", action="version", version=f"tui-agent-server {protocol.AGENT_VERSION}")
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="TCP port; without it a Unix socket is used")
    parser.add_argument(
        "--socket", metavar="PATH", help="Unix socket to listen on (the default, in the runtime folder)"
    )
    parser.add_argument("--model", help="the model's name")
    parser.add_argument("--agent", choices=["auto", "anthropic", "demo"], help="auto: demo without a key or base URL")
    parser.add_argument("--idle-exit", dest="idle_exit_s", type=float, metavar="SECONDS", help="leave when unused")
    parser.add_argument("--tls-cert", dest="tls_cert", metavar="FILE")
    parser.add_argument("--tls-key", dest="tls_key", metavar="FILE")
    parser.add_argument(
        "--allow-host", dest="allow_host", action="append", metavar="HOST", help="a Host header to serve"
    )
    parser.add_argument("--allow-origin", dest="allow_origin", action="append", metavar="ORIGIN", help="a web page")
    parser.add_argument("--insecure-no-auth", dest="insecure_no_auth", action="store_true", default=None)
    commands = parser.add_subparsers(dest="command", parser_class=_Parser, metavar="token|status|stop|backup")
    token = commands.add_parser("token", help="print a token for a person", parents=[shared])
    token.add_argument("name")
    token.add_argument("--room", action="append", help="only this room (may be given again)")
    token.add_argument("--days", type=float, help="valid for so many days (default: for ever)")
    commands.add_parser("status", help="what the running server does", parents=[shared])
    commands.add_parser("stop", help="end the running server gracefully", parents=[shared])
    commands.add_parser("backup", help="copy the database while it runs", parents=[shared]).add_argument("file")
    return parser.parse_args(argv)


def _serve(settings: ServerSettings) -> int:
    if settings.socket and settings.port is not None:
        raise ConfigTrouble("--socket and --port exclude each other; give one.")
    socket_path = None
    if settings.port is None:
        if settings.host:
            raise ConfigTrouble("--host needs --port; give both, or neither for the Unix socket.")
        socket_path = Path(settings.socket) if settings.socket else protocol.default_socket_path(os.environ)
    _start_log(settings)
    from server import app, event_loop  # after the arguments are right: not imported for a usage error

    try:
        event_loop.run(app.run(settings, socket_path, on_ready=lambda address: say(f"tui-agent-server on {address}")))
    except (ConfigTrouble, StoreUnusable, DataDirTaken):
        raise
    except Exception:
        logging.getLogger("server").exception("the server failed")
        say(f"The server failed; {settings.log_path / 'server.log'} says why.")
        return FAILED
    return 0


def _start_log(settings: ServerSettings) -> None:
    """A rotating file (0600) with ids and sizes, never what people said, never a header."""
    folder = settings.log_path
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = _PrivateLog(folder / "server.log", maxBytes=LOG_BYTES, backupCount=3, encoding="utf-8")
    except OSError:
        raise ConfigTrouble(f"The log folder {folder} cannot be written; set TUI_AGENT_LOG_DIR to another.") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    # DEBUG of websockets prints the Authorization header, INFO of httpx the URL: neither belongs into a log.
    for name in ("websockets", "server.websockets", "httpx2", "httpcore2", "anthropic"):
        logging.getLogger(name).setLevel(logging.WARNING)


class _PrivateLog(RotatingFileHandler):
    """Each of its files is for the owner only, whatever the umask."""

    def _open(self) -> Any:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.fchmod(descriptor, 0o600)
        return os.fdopen(descriptor, self.mode, encoding=self.encoding)

    def handleError(self, record: logging.LogRecord) -> None:
        """A log that cannot be written (a full disk) is no reason to print a traceback."""


def _token(settings: ServerSettings, own: dict[str, Any]) -> int:
    from server.auth import Tokens

    name, rooms, days = own["name"], own.get("room"), own.get("days")
    if not protocol.is_user_name(name):
        say("The name must be a-z 0-9 _ - (at most 32, beginning with a letter or digit); choose another.")
        return USAGE
    for room in rooms or ():
        if not protocol.is_room_name(room):
            say("A room is a-z 0-9 . _ - (at most 64, beginning with a letter or digit); choose another name.")
            return USAGE
    if days is not None and not 0 < days <= 36_500:
        say("--days must be more than 0 and at most 36500.")
        return USAGE
    folder = settings.data_path
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        token = Tokens(folder).issue(name, now_s=time.time(), rooms=rooms, days=days)
    except OSError:
        raise StoreUnusable(f"The data folder {folder} cannot be written; choose another with --data-dir.") from None
    sys.stdout.write(token + "\n")
    return 0


def _status(settings: ServerSettings) -> int:
    about = running_server(settings.data_path)
    if about is None:
        say(f"No server runs on {settings.data_path}; `tui-agent` starts one.")
        return FAILED
    if not about:
        say(f"The server on {settings.data_path} begins or ends just now; ask again in a moment.")
        return FAILED
    sys.stdout.write(f"tui-agent-server {about.get('version')}, pid {about.get('pid')}, {about.get('address')}\n")
    live = _live_status(settings, str(about.get("address")))
    if live is not None:
        agent = live["agent"] if live["agent"] == live["model"] else f"{live['agent']} ({live['model']})"
        sys.stdout.write(
            f"up {live['uptime_s']} s, agent {agent}, connections {live['connections']}, open answers "
            f"{live['open_runs']}, queued messages {live['queued']}, tasks {live['tasks']}\n"
        )
    return 0


def _live_status(settings: ServerSettings, address: str) -> dict[str, Any] | None:
    from server.status import ask_status

    return ask_status(address, settings.data_path)


def _stop(settings: ServerSettings) -> int:
    about = running_server(settings.data_path)
    if about is None:
        say(f"No server runs on {settings.data_path}.")
        return FAILED
    pid = about.get("pid")
    if isinstance(pid, int):  # else it begins or ends just now
        os.kill(pid, signal.SIGTERM)
    for _ in range(200):
        if running_server(settings.data_path) is None:
            return 0
        time.sleep(0.05)
    say(f"The server (pid {pid or 'not told'}) has not ended within 10 s; its log says what it waits for.")
    return FAILED


def _backup(settings: ServerSettings, target: Path) -> int:
    from server.store.sqlite import backup_file

    source = settings.data_path / "rooms.db"
    try:
        backup_file(source, target)
    except FileExistsError:
        say(f"{target} exists already; choose another name, nothing was overwritten.")
        return FAILED
    except FileNotFoundError:
        say(f"There is no database in {settings.data_path}; give its folder with --data-dir.")
        return FAILED
    except (OSError, sqlite3.Error):
        say(f"The backup could not be written to {target}; check its folder and the free space.")
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
