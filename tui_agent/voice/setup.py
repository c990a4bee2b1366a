"""`tui-agent voice setup`: get the model that hears, with a progress bar; ctrl+c stops it, a second try goes on."""

from __future__ import annotations

import argparse
import asyncio
import sys

from tui_agent.voice.getting import Download, offer
from tui_agent.voice.models import DEFAULT_MODEL, HUB_MODELS, NoModel, find_model

BAR_CELLS = 32


def main(argv: list[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="tui-agent voice setup", description="Get the model that hears speech.")
    parser.add_argument("--model", choices=list(HUB_MODELS), default=DEFAULT_MODEL)
    parser.add_argument(
        "--whisper-model", metavar="DIR", help="without a network: a folder with a model to use instead"
    )
    arguments = parser.parse_args(argv)
    wanted = arguments.whisper_model or arguments.model
    try:
        folder = find_model(wanted)
    except NoModel as problem:
        name = problem.name
        if not name:
            _say(str(problem))
            return 1
    else:
        _say(f"The model is here: {folder}")
        if arguments.whisper_model:
            _say(
                f'Use it with: tui-agent --whisper-model {folder} (or model = "{folder}" under [voice] in config.toml)'
            )
        return 0
    _say(f"Getting {offer(name)}. Ctrl+C stops it.")
    try:
        sentence = asyncio.run(_get(name))
    except KeyboardInterrupt:
        _say("\nStopped. Another try goes on where it was.")
        return 130
    if sentence:
        _say(sentence)
        return 1
    _say("F2 in tui-agent now talks. Check everything with: tui-agent voice doctor")
    return 0


async def _get(name: str) -> str:
    is_terminal = sys.stdout.isatty()

    def show(download: Download) -> None:
        if is_terminal:
            sys.stdout.write("\r" + bar(download.share, download.done_bytes, download.total_bytes))
            sys.stdout.flush()

    download = Download(name, show)
    sentence = await download.run()
    if is_terminal:
        sys.stdout.write("\n")
    if not sentence:
        _say(f"The model is here: {download.folder}")
    return sentence


def bar(share: float, done_bytes: int, total_bytes: int) -> str:
    """`━━━━╸───  42 %  62 of 148 MB`"""
    cells = int(share * BAR_CELLS)
    line = "━" * cells + "╺" * (cells < BAR_CELLS) + "─" * (BAR_CELLS - cells - 1)
    return f"{line} {share:4.0%}  {done_bytes / 1e6:.0f} of {total_bytes / 1e6:.0f} MB"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
