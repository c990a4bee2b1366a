"""`tui-agent voice doctor` names every part, lists the devices, hears a level, and says what mends what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.voice.sound import MODEL, VirtualSound
from tests.voice.test_download import cli


async def test_where_everything_is_there_it_says_so(
    sound: VirtualSound, folder: Path, clips: Callable[[str], Path]
) -> None:
    async def speak() -> None:
        for _ in range(8):
            await sound.play(clips("how long will it take"))

    speaking = asyncio.create_task(speak())
    status, said = await cli("doctor", "--whisper-model", str(MODEL))
    speaking.cancel()
    await asyncio.wait([speaking])
    assert status == 0, said
    assert "■" not in said
    for words in (
        "sounddevice, faster-whisper", "microphone: default", "loudspeaker: default", f"model: {MODEL}", "speech: ",
        "microphones: ", "default (default)", "loudspeakers: ", "level: speech was heard", "Everything works",
    ):  # fmt: skip
        assert words in said


async def test_a_muted_microphone_is_told(sound: VirtualSound, folder: Path) -> None:
    status, said = await cli("doctor", "--whisper-model", str(MODEL))
    assert status == 1
    assert "■ level: the microphone hears nothing" in said


@pytest.mark.parametrize(
    ("library", "words"),
    [
        ("portaudio", "■ PortAudio is missing: sudo apt install libportaudio2"),
        ("espeak", "■ eSpeak is missing: sudo apt install espeak-ng"),
    ],
)
async def test_a_missing_library_is_told_with_its_package(
    sound: VirtualSound,
    folder: Path,
    without: Callable[[str], None],
    library: str,
    words: str,
) -> None:
    without(library)
    status, said = await cli("doctor", "--whisper-model", str(MODEL))
    assert status == 1
    assert words in said


async def test_without_a_model_and_without_sound_all_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SERVER", f"unix:{folder}/nobody")
    status, said = await cli("doctor")
    assert status == 1
    assert "■ The model base is not on this machine. Get it: tui-agent voice setup --model base" in said
    assert "microphone" in said
    assert "speech: " in said
    assert "ALSA" not in said
