"""Nothing is invented from silence or noise: 200 clips in which nobody speaks send no message."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.voice.conftest import Voice
from tests.voice.noises import CLIP_S, CLIPS, noises, write
from tests.voice.sound import MODEL, VirtualSound
from tui_agent.state.endpoint import BLOCK_SAMPLES, Endpoint
from tui_agent.voice.recognizer import Recognizer
from tui_agent.voice.vad import Vad
from tui_agent.voice.wire import Discard, Ended, Listen, Listening, Text

LANES = 4


def test_200_clips_without_speech_give_no_text() -> None:
    """The VAD, the end of speech and the model, faster than the clock; what passes the VAD is transcribed."""
    recognizer = Recognizer(str(MODEL))
    invented = []
    heard = list(noises())
    assert len(heard) == CLIPS
    vad = Vad()
    for number, (kind, clip) in enumerate(heard):
        vad.reset()
        endpoint = Endpoint(0.8, 0, 60)
        quiet = np.zeros(BLOCK_SAMPLES * 30, dtype=np.float32)
        blocks = np.concatenate([clip, quiet])
        blocks = blocks[: len(blocks) // BLOCK_SAMPLES * BLOCK_SAMPLES].reshape(-1, BLOCK_SAMPLES)
        for block in blocks:
            endpoint.feed(vad.probability(block))
        span = endpoint.span
        if span is not None:
            text = recognizer.transcribe(blocks[span.first : span.end].reshape(-1), "en").text
            if text:
                invented.append((number, kind, text))
    assert invented == []


async def test_noise_and_silence_in_the_microphone_send_nothing(
    voice: Voice, sound: VirtualSound, tmp_path: Path, clips: Callable[[str], Path]
) -> None:
    """One clip of each kind through the real microphone, as hands-free hears them; then speech, which is heard."""
    chosen = np.concatenate([clip for _, clip in list(noises())[40:50]])
    voice.send(Listen(gen=1, nothing_s=0))
    await voice.of(Listening, gen=1)
    await sound.play(write(tmp_path / "noise.wav", chosen))
    assert not [event for event in voice.events if isinstance(event, Text) and event.text]
    voice.send(Discard(gen=1))
    voice.send(Listen(gen=2, nothing_s=0))
    await voice.of(Listening, gen=2)
    await sound.play(clips("yes please"))
    assert (await voice.of(Text, gen=2)).text == "yes please"


@pytest.mark.slow
async def test_all_200_clips_in_the_microphone_send_nothing(
    start_voice: Callable[..., Voice], sound: VirtualSound, tmp_path: Path
) -> None:
    heard = list(noises(seed=1))

    async def listen(lane: int) -> list[str]:
        os.environ["PULSE_SOURCE"] = f"noisy{lane}"
        voice = start_voice()
        voice.send(Listen(gen=1, nothing_s=0, longest_s=0))
        await voice.of(Listening, gen=1)
        gen = 1
        for number in range(lane, CLIPS, LANES):
            await sound.play(write(tmp_path / f"{lane}.wav", heard[number][1]), f"noisy{lane}_feed")
            if any(isinstance(event, Ended) and event.gen == gen for event in voice.events):
                gen += 1
                voice.send(Listen(gen=gen, nothing_s=0, longest_s=0))
        await asyncio.sleep(CLIP_S)
        return [event.text for event in voice.events if isinstance(event, Text) and event.text]

    try:
        tasks = []
        for lane in range(LANES):
            sound.add_microphone(f"noisy{lane}")
            tasks.append(asyncio.create_task(listen(lane)))
            await asyncio.sleep(3)  # its process is started with this microphone
        assert await asyncio.gather(*tasks) == [[]] * LANES
    finally:
        os.environ.pop("PULSE_SOURCE", None)
