"""200 clips in which nobody speaks: noise of several colours, hum, clicks, tones, wind, and silence."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tui_agent.state.endpoint import RATE

Samples = np.ndarray[Any, np.dtype[np.float32]]
CLIPS = 200
CLIP_S = 2.0


def noises(seed: int = 0) -> Iterator[tuple[str, Samples]]:
    """(what it is, 16 kHz mono), 200 of them, no two alike."""
    rng = np.random.default_rng(seed)
    count = int(RATE * CLIP_S)
    seconds = np.arange(count) / RATE
    kinds = ("silence", "white", "pink", "brown", "hum", "fan", "clicks", "tone", "sweep", "wind")
    for number in range(CLIPS):
        kind = kinds[number % len(kinds)]
        loud = float(10 ** rng.uniform(-2.5, -0.6))
        white = rng.normal(0, 1, count)
        match kind:
            case "silence":
                clip = np.zeros(count)
            case "white":
                clip = white
            case "pink" | "brown":
                clip = _coloured(white, 0.5 if kind == "pink" else 1.0)
            case "hum":
                base = float(rng.choice([50, 60]))
                clip = sum(np.sin(2 * np.pi * base * n * seconds) / n for n in (1, 2, 3, 5)) + 0.02 * white
            case "fan":
                clip = _coloured(white, 0.7) * (1 + 0.3 * np.sin(2 * np.pi * rng.uniform(5, 30) * seconds))
            case "clicks":
                clip = np.where(rng.random(count) < 20 / RATE, rng.normal(0, 5, count), 0.01 * white)
            case "tone":
                clip = np.sin(2 * np.pi * rng.uniform(100, 3000) * seconds) + 0.01 * white
            case "sweep":
                clip = np.sin(2 * np.pi * (100 + rng.uniform(100, 900) * seconds) * seconds)
            case _:
                clip = _coloured(white, 1.0) * np.abs(_coloured(rng.normal(0, 1, count), 1.5))
        peak = float(np.abs(clip).max()) or 1.0
        yield kind, (clip / peak * loud).astype(np.float32)


def _coloured(white: np.ndarray[Any, np.dtype[np.float64]], power: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Noise whose amplitude falls with frequency to a power."""
    spectrum = np.fft.rfft(white)
    spectrum /= np.maximum(np.arange(len(spectrum)), 20) ** power
    clip = np.fft.irfft(spectrum, len(white))
    return clip / np.abs(clip).max()


def write(path: Path, samples: Samples) -> Path:
    """As a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path
