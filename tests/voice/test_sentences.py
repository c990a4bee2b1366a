"""Every one of the 32 sentences, spoken by espeak-ng into the microphone, arrives in the room as a message."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from tests.fakes.agents import InstantAgent
from tests.ui.conftest import Stage, staged, until
from tests.voice.sound import MODEL, SENTENCES, VirtualSound
from tui_agent.config import Voice

LANES = 4  # as many people, each in a room and at a microphone of their own: it takes a quarter of the time
LEAST_RIGHT = 30


async def test_of_32_spoken_sentences_at_least_30_arrive_right(
    home: Path, sound: VirtualSound, clips: Callable[[str], Path]
) -> None:
    for sentence in SENTENCES:
        clips(sentence)
    for lane in range(LANES):
        sound.add_microphone(f"mic{lane}")
    started = asyncio.Lock()

    async def speak(lane: int, stage: Stage) -> list[tuple[str, str]]:
        """(what was said, what arrived)"""
        heard: list[tuple[str, str]] = []
        voice = Voice(model=str(MODEL), language="en")
        async with stage.app(user=f"user{lane}", room=f"room{lane}", voice=voice) as (app, pilot):
            for number, sentence in enumerate(SENTENCES[lane::LANES], 1):
                async with started:
                    # The voice process of this lane is started with this microphone as its default.
                    os.environ["PULSE_SOURCE"] = f"mic{lane}"
                    app.talking.talk._last_key_s = -10.0  # not a repeat of a held key, though so soon
                    await pilot.press("f2")
                    await until(lambda: app.talking.talk.phase == "listening", 30)
                await sound.play(clips(sentence), f"mic{lane}_feed")
                await until(lambda: app.talking.talk.phase == "off", 30)
                await until(lambda number=number: len(_said(app)) == number, 10)
                heard.append((sentence, _said(app)[-1]))
        return heard

    try:
        began_s = time.monotonic()
        async with staged(home, InstantAgent()) as stage:
            lanes = await asyncio.gather(*(speak(lane, stage) for lane in range(LANES)))
    finally:
        os.environ.pop("PULSE_SOURCE", None)
    heard = [pair for lane in lanes for pair in lane]
    assert len(heard) == len(SENTENCES) == 32
    wrong = [pair for pair in heard if pair[0] != pair[1]]
    assert len(heard) - len(wrong) >= LEAST_RIGHT, f"{wrong} in {time.monotonic() - began_s:.0f} s"


def _said(app) -> list[str]:
    """One's own messages that are in the room's log."""
    return [entry.text for entry in app.conversation.chat.entries if entry.is_own and entry.state == "sent"]
