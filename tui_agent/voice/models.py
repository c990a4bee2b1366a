"""Which Whisper model hears: the sizes by name, where each lies on this machine, and whether a folder is whole.

Only folders are ever loaded: whatever else faster-whisper is given it looks up on the hub, and hangs without a network.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tui_agent.paths import data_folder

DEFAULT_MODEL: Final = "base"


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model that can be downloaded; the size is what one is told before asking, the hub tells the exact one."""

    name: str
    repo: str
    about_mb: int


HUB_MODELS: Final = {
    model.name: model
    for model in (
        HubModel("tiny", "Systran/faster-whisper-tiny", 78),
        HubModel("tiny.en", "Systran/faster-whisper-tiny.en", 78),
        HubModel("base", "Systran/faster-whisper-base", 148),
        HubModel("base.en", "Systran/faster-whisper-base.en", 148),
        HubModel("small", "Systran/faster-whisper-small", 486),
        HubModel("small.en", "Systran/faster-whisper-small.en", 486),
        HubModel("medium", "Systran/faster-whisper-medium", 1530),
        HubModel("large-v3", "Systran/faster-whisper-large-v3", 3090),
        HubModel("turbo", "mobiuslabsgmbh/faster-whisper-large-v3-turbo", 1620),
    )
}


class NoModel(Exception):
    """There is no usable model. The text is a sentence for a person; `name` can be downloaded, if it is not empty."""

    def __init__(self, sentence: str, name: str = "") -> None:
        super().__init__(sentence)
        self.name = name


def hub_endpoint(environ: Mapping[str, str] | None = None) -> str:
    """Where models come from; `HF_ENDPOINT` names a mirror."""
    environ = os.environ if environ is None else environ
    return (environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def models_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Where downloaded models lie, each in a folder of its name."""
    return data_folder(environ) / "models"


def find_model(wanted: str, environ: Mapping[str, str] | None = None) -> Path:
    """The folder of a model, by size ("": the default one) or by path. Raises NoModel."""
    environ = os.environ if environ is None else environ
    name = wanted or DEFAULT_MODEL
    if name not in HUB_MODELS:
        folder = Path(name).expanduser()
        if not folder.is_dir():
            sizes = ", ".join(HUB_MODELS)
            raise NoModel(f"There is no Whisper model “{name}”. Name a folder, or one of {sizes}.")
        problem = find_fault(folder)
        if problem:
            raise NoModel(problem)
        return folder
    own = models_folder(environ) / name
    if own.is_dir():
        problem = find_fault(own)
        if problem:
            raise NoModel(f"{problem} Get it anew: tui-agent voice setup --model {name}", name)
        return own
    cached = _in_hub_cache(HUB_MODELS[name].repo, environ)
    if cached is not None and not find_fault(cached):
        return cached
    raise NoModel(f"The model {name} is not on this machine. Get it: tui-agent voice setup --model {name}", name)


def find_fault(folder: Path) -> str:
    """A sentence about what a model folder lacks; "" when it looks whole. Whether it loads, only loading tells."""
    wanted = ("model.bin", "config.json", "tokenizer.json")
    missing = [name for name in wanted if not _has_content(folder / name)]
    if not any(_has_content(folder / name) for name in ("vocabulary.json", "vocabulary.txt")):
        missing.append("vocabulary.json")
    if missing:
        return f"The Whisper model in {folder} lacks {', '.join(missing)}."
    try:
        json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return f"The Whisper model in {folder} is damaged (config.json)."
    return ""


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _in_hub_cache(repo: str, environ: Mapping[str, str]) -> Path | None:
    """A snapshot that another program has downloaded with huggingface_hub."""
    home = environ.get("HF_HOME") or os.path.expanduser("~/.cache/huggingface")
    cache = Path(environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")) / f"models--{repo.replace('/', '--')}"
    try:
        snapshot = cache / "snapshots" / (cache / "refs" / "main").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return snapshot if snapshot.is_dir() else None
