"""The command `tui-agent`: the chat, `ask`, and `voice setup|doctor`. Each imports its own part when it is used."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from server.protocol import AGENT_VERSION, is_room_name, is_user_name

if TYPE_CHECKING:
    from tui_agent.config import Settings

FAILED, USAGE = 1, 2


class _Parser(argparse.ArgumentParser):
    """One plain sentence instead of a usage wall."""

    def error(self, message: str) -> NoReturn:
        from tui_agent.config import shown

        say(f"{shown(message[:1].upper() + message[1:]).rstrip('.')}. See `{self.prog} --help`.")
        sys.exit(USAGE)


def say(sentence: str) -> None:
    """To the person, on stderr."""
    try:
        sys.stderr.write(sentence + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # nobody reads it


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    _hold_descriptors()
    _speak_utf8()
    try:
        return _main(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return 130
    except Exception as exc:
        from tui_agent.crash import note_crash

        say(f"Something went wrong inside tui-agent; nothing that was sent is lost. {note_crash(exc)}")
        return FAILED


def _main(argv: list[str]) -> int:
    # By hand, because argparse would take the words of a question for a command.
    if argv[:1] == ["voice"]:
        return _voice(argv[1:])
    is_ask = argv[:1] == ["ask"]
    arguments = (_ask_parser() if is_ask else _chat_parser()).parse_args(argv[1:] if is_ask else argv)
    flags: dict[str, Any] = {key: value for key, value in vars(arguments).items() if value not in (None, False)}
    question, as_json = " ".join(flags.pop("question", [])), flags.pop("as_json", False)
    sentence = _check_names(flags)
    if sentence is not None:
        say(sentence)
        return USAGE
    from tui_agent import config

    whisper_model = flags.pop("whisper_model", "")
    settings = config.load(flags)
    if whisper_model:
        import msgspec

        voice = msgspec.structs.replace(settings.voice, model=os.path.abspath(whisper_model))
        settings = msgspec.structs.replace(settings, voice=voice)
    if is_ask:
        for problem in settings.problems:
            say(problem)
        from tui_agent.ask import main as ask

        return ask(settings, question, as_json=as_json)
    if not settings.plain:
        sentence = _why_no_screen()
        if sentence is not None:
            say(sentence)
            return USAGE
    is_dumb = os.environ.get("TERM") == "dumb"
    if is_dumb and not settings.plain:
        say("This terminal (TERM=dumb) can show no screen, so the chat comes in lines, as with --plain.")
    if settings.plain or is_dumb:
        from tui_agent.plain.entering import main as plain

        return plain(settings)
    return _chat(settings)


def _why_no_screen() -> str | None:
    """A sentence when keys or picture have no terminal. Errors may go anywhere: `2>file` takes none of the screen."""
    has_keys, has_picture = os.isatty(0), os.isatty(1)
    if has_keys and has_picture:
        return None
    if has_keys:
        where = "The output goes into a file or a pipe, and the chat needs a terminal there."
    elif has_picture:
        where = "The input comes from a file or a pipe, and the chat needs a keyboard there."
    else:
        where = "There is no terminal here."
    return f'{where} Ask one question with `tui-agent ask "…"`, or start with --plain.'


def _chat(settings: Settings) -> int:
    """The screen. The terminal is asked for its colours while the imports run."""
    import gc
    import os

    from tui_agent.ui.terminal.ask import ask

    gc.disable()  # until the start is over (running.collect_again): a tenth of it
    question = None if settings.theme else ask(os.environ)
    try:
        from tui_agent.running import run_app

        return run_app(settings, question)
    finally:
        if question is not None:
            question.end()


def _chat_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tui-agent",
        description="A chat with an agent in a terminal.",
        epilog='Also: tui-agent ask "…" [--json]   one question, the answer goes to stdout;   '
        "tui-agent voice setup|doctor   prepare and check talking.",
    )
    parser.add_argument("--version", action="version", version=f"tui-agent {AGENT_VERSION}")
    _add_shared(parser)
    parser.add_argument("--voice", dest="with_voice", action="store_true", help="talk hands-free from the start")
    parser.add_argument("--whisper-model", metavar="DIR", help="hear with the model in this folder")
    parser.add_argument("--plain", action="store_true", help="lines instead of a screen")
    return parser


def _ask_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tui-agent ask",
        description="Ask one question; the answer streams to stdout. What is piped in is added to the question.",
        epilog="Exit status: 0 done, 1 failed, 2 usage, 3 no server, 130 interrupted.",
    )
    parser.add_argument("question", nargs="*", help="the question; quote it")
    parser.add_argument("--json", dest="as_json", action="store_true", help="print the events, one a line")
    _add_shared(parser)
    return parser


def _add_shared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--room", help="the room to join (default: main)")
    parser.add_argument("--user", metavar="NAME", help="your name there (default: the system's)")
    parser.add_argument(
        "--server", dest="server_url", metavar="URL", help="ws://HOST:PORT or wss://HOST (default: this machine's own)"
    )
    parser.add_argument("--token-file", dest="token_file", metavar="FILE", help="the token for that server")


def _check_names(flags: dict[str, Any]) -> str | None:
    """A sentence about a flag that cannot be used."""
    if "room" in flags and not is_room_name(flags["room"]):
        return "This is no room name: --room takes a-z 0-9 . _ - (at most 64, beginning with a letter or digit)."
    if "user" in flags and not is_user_name(flags["user"]):
        return "This is no user name: --user takes a-z 0-9 _ - (at most 32, beginning with a letter or digit)."
    if "server_url" in flags:
        from tui_agent.link.address import BadAddress, parse_address

        try:
            parse_address(flags["server_url"])
        except BadAddress as exc:
            return str(exc)
    return None


def _voice(argv: list[str]) -> int:
    match argv[:1]:
        case ["setup"]:
            from tui_agent.voice.setup import main as setup

            return int(setup(argv[1:]))
        case ["doctor"]:
            from tui_agent.voice.doctor import main as doctor

            return int(doctor(argv[1:]))
        case _:
            say("Use `tui-agent voice setup` to get the model, or `tui-agent voice doctor` to check every part.")
            return 0 if argv[:1] in (["-h"], ["--help"]) else USAGE


def _hold_descriptors() -> None:
    """Started with `2>&-` or the like: or the next socket gets that number, and our words go into it."""
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            got = os.open(os.devnull, os.O_RDWR)
            if got != fd:
                os.dup2(got, fd)
                os.close(got)
            stream = open(fd, mode, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115 - to the end
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def _speak_utf8() -> None:
    """Under a POSIX locale a name or an answer must not end in an encoding error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
