"""From `[voice]` of the settings to what the voice process is told."""

from __future__ import annotations

import os

from tui_agent.config import Voice
from tui_agent.voice.wire import Configure


def configure_for(voice: Voice, model_folder: str) -> Configure:
    """`model_folder` "": none is here."""
    return Configure(
        model=model_folder, language=voice.language or system_language(), device=voice.device, output=voice.output,
        voice=voice.voice, rate=voice.rate, pitch=voice.pitch, volume=voice.volume,
    )  # fmt: skip


def system_language() -> str:
    """`de` of `de_DE.UTF-8`; "" when the system has none."""
    found = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    language = found.partition(".")[0].partition("_")[0].lower()
    return language if language.isalpha() and language not in ("c", "posix") else ""
