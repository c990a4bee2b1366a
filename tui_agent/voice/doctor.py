"""`tui-agent voice doctor`: whether every part of talking works, each with the command that mends it."""

from __future__ import annotations

import argparse
import importlib
import sys

from tui_agent.voice.models import NoModel, find_model

LIBRARIES = ("sounddevice", "faster_whisper", "pyttsx3")


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 only if nothing is missing."""
    parser = argparse.ArgumentParser(prog="tui-agent voice doctor", description="Check every part of talking.")
    parser.add_argument("--model", default="")
    arguments = parser.parse_args(argv)
    missing = 0
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except (ImportError, OSError):
            missing += 1
            sys.stdout.write(f"■ {name} does not load. Install it: pip install --force-reinstall tui-agent\n")
        else:
            sys.stdout.write(f"● {name}\n")
    try:
        sys.stdout.write(f"● the model in {find_model(arguments.model)}\n")
    except NoModel as problem:
        missing += 1
        sys.stdout.write(f"■ {problem}\n")
    return 1 if missing else 0
