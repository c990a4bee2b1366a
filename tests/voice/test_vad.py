"""What is taken of faster-whisper's private Silero model, pinned; and the resampling of cards that know one rate."""

from __future__ import annotations

import subprocess
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faster_whisper
import numpy as np
import pytest
from faster_whisper.vad import get_vad_model

from tests.voice.sound import SENTENCES
from tui_agent.state.endpoint import BLOCK_SAMPLES, RATE
from tui_agent.voice.microphone import loudness, resample
from tui_agent.voice.vad import CONTEXT_SAMPLES, Vad


def samples_of(path: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    """16 kHz mono, -1 to 1, whole blocks."""
    raw = path.with_suffix(".16k.wav")
    subprocess.run(["sox", path, "-r", str(RATE), "-c", "1", raw], check=True)
    with wave.open(str(raw)) as file:
        pcm = np.frombuffer(file.readframes(10**7), dtype="<i2").astype(np.float32) / 32768
    return np.pad(pcm, (0, -len(pcm) % BLOCK_SAMPLES))


def test_the_model_takes_and_gives_what_ours_expects() -> None:
    session = get_vad_model().session
    assert {one.name for one in session.get_inputs()} == {"input", "h", "c"}
    out, h, c = session.run(
        None,
        {
            "input": np.zeros((1, CONTEXT_SAMPLES + BLOCK_SAMPLES), dtype=np.float32),
            "h": np.zeros((1, 1, 128), dtype=np.float32),
            "c": np.zeros((1, 1, 128), dtype=np.float32),
        },
    )
    assert out.size == 1
    assert h.shape == c.shape == (1, 1, 128)


@pytest.mark.parametrize("sentence", SENTENCES[::8])
def test_block_by_block_it_gives_what_faster_whisper_gives_for_the_whole(
    sentence: str, clips: Callable[[str], Path]
) -> None:
    """The streaming form of ours against the library's own, on speech."""
    samples = samples_of(clips(sentence))
    whole = np.asarray(get_vad_model()(samples.copy())).reshape(-1)
    vad = Vad()
    ours = [vad.probability(block) for block in samples.reshape(-1, BLOCK_SAMPLES)]
    np.testing.assert_allclose(ours, whole, atol=1e-3)
    assert max(ours) > 0.9


def test_silence_noise_and_hum_are_no_speech() -> None:
    rng = np.random.default_rng(1)
    seconds = np.arange(RATE * 3) / RATE
    for clip in (
        np.zeros(RATE * 3),
        rng.normal(0, 0.05, RATE * 3),
        0.3 * np.sin(2 * np.pi * 50 * seconds) + 0.1 * np.sin(2 * np.pi * 150 * seconds),
    ):
        vad = Vad()
        blocks = clip.astype(np.float32)[: len(clip) // BLOCK_SAMPLES * BLOCK_SAMPLES].reshape(-1, BLOCK_SAMPLES)
        probabilities = [vad.probability(block) for block in blocks]
        assert np.mean(np.array(probabilities) > 0.5) < 0.05


def test_the_pinned_version_is_the_one_installed() -> None:
    """Another minor version may have another model: look at tui_agent/voice/vad.py, then move this."""
    assert faster_whisper.__version__.startswith("1.2.")


def test_a_tone_keeps_its_pitch_over_resampling_and_a_high_one_does_not_fold_down() -> None:
    seconds = np.arange(48_000) / 48_000
    for tone_hz, is_kept in ((440, True), (15_900, False)):
        tone = np.sin(2 * np.pi * tone_hz * seconds).astype(np.float32)
        taken = resample(tone, 48_000, RATE)
        assert len(taken) == RATE
        spectrum = np.abs(np.fft.rfft(taken)) / len(taken) * 2
        if is_kept:
            assert spectrum.argmax() == tone_hz
        else:
            assert spectrum.max() < 0.1


def test_loudness_goes_from_silence_to_full_scale() -> None:
    assert loudness(np.zeros(512, dtype=np.float32)) == 0
    quiet, loud = (loudness(np.full(512, level, dtype=np.float32)) for level in (0.01, 1.0))
    assert 0.1 < quiet < 0.6
    assert loud == 1
