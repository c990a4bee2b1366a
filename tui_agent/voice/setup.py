"""`tui-agent voice setup`: get the model that hears."""

from __future__ import annotations

import argparse
import sys

from tui_agent.voice.models import DEFAULT_MODEL, HUB_MODELS, NoModel, find_model


def main(argv: list[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="tui-agent voice setup", description="Get the model that hears speech.")
    parser.add_argument("--model", choices=list(HUB_MODELS), default=DEFAULT_MODEL)
    arguments = parser.parse_args(argv)
    try:
        folder = find_model(arguments.model)
    except NoModel as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.stdout.write(f"The model {arguments.model} is here: {folder}\n")
    return 0
