"""The voice process on a virtual sound card: real microphone, VAD, Whisper, speech and loudspeaker."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from tests.voice.conftest import Voice
from tests.voice.sound import VirtualSound
from tui_agent.voice.wire import (
    Devices,
    Discard,
    Ended,
    Finish,
    ListDevices,
    Listen,
    Listening,
    Ready,
    Silence,
    Speak,
    Speaking,
    Spoken,
    Text,
    Warm,
)

Clips = Callable[[str], Path]
LONG = "This is a long sentence which says very little, only that it goes on for a while so that one can stop it."


async def test_what_is_said_is_heard_to_its_end_and_without_a_press(
    voice: Voice, sound: VirtualSound, clips: Clips
) -> None:
    voice.send(Listen(gen=1))
    await voice.of(Listening, gen=1)
    await sound.play(clips("who is in the room"))
    assert (await voice.of(Ended, gen=1)).why == "silence"
    text = await voice.of(Text, gen=1)
    assert isinstance(text, Text)
    assert text.text == "who is in the room"
    assert 0.8 < text.audio_s < 2.5


async def test_speech_that_begins_with_the_press_keeps_its_start_though_everything_is_still_loading(
    voice: Voice, sound: VirtualSound, clips: Clips
) -> None:
    """The microphone is opened before the VAD and the model are loaded; what it takes meanwhile waits."""
    voice.send(Warm())
    await voice.of(Ready)
    voice.send(Listen(gen=1))
    await voice.of(Listening, gen=1)
    await sound.play(clips("tell me a story"))
    text = await voice.of(Text, gen=1)
    assert isinstance(text, Text)
    assert text.text == "tell me a story"


async def test_a_pause_within_a_sentence_does_not_end_it(voice: Voice, sound: VirtualSound, clips: Clips) -> None:
    voice.send(Listen(gen=1))
    await voice.of(Listening, gen=1)
    await sound.play(clips("one two three"))
    await asyncio.sleep(0.25)
    await sound.play(clips("four five six"))
    text = await voice.of(Text, gen=1)
    assert isinstance(text, Text)
    assert text.audio_s > 2.2
    assert len([event for event in voice.events if isinstance(event, Text)]) == 1


async def test_a_second_press_ends_it_at_once(voice: Voice, sound: VirtualSound, clips: Clips) -> None:
    voice.send(Listen(gen=1, silence_s=10))
    await voice.of(Listening, gen=1)
    await sound.play(clips("good morning"))
    voice.send(Finish(gen=1))
    assert (await voice.of(Ended, gen=1, within_s=2)).why == "finish"
    assert (await voice.of(Text, gen=1)).text == "good morning"


async def test_silence_ends_as_nothing_and_gives_no_text(voice: Voice, sound: VirtualSound) -> None:
    voice.send(Listen(gen=1, nothing_s=1.0))
    assert (await voice.of(Ended, gen=1)).why == "nothing"
    voice.send(Listen(gen=2, nothing_s=1.0))
    await voice.of(Ended, gen=2)
    assert not [event for event in voice.events if isinstance(event, Text)]


async def test_a_discarded_recording_gives_nothing_and_the_next_one_its_own_text(
    voice: Voice, sound: VirtualSound, clips: Clips
) -> None:
    voice.send(Listen(gen=1))
    await voice.of(Listening, gen=1)
    await sound.play(clips("stop now"))
    voice.send(Discard(gen=1))
    voice.send(Listen(gen=2))
    await voice.of(Listening, gen=2)
    await sound.play(clips("yes please"))
    assert (await voice.of(Text, gen=2)).text == "yes please"
    assert not [event for event in voice.events if isinstance(event, (Text, Ended)) and event.gen == 1]


async def test_the_microphone_is_open_only_while_somebody_listens(
    voice: Voice, sound: VirtualSound, clips: Clips
) -> None:
    pid = str((await _ready(voice)).pid)
    assert pid not in await sound.pactl("list", "source-outputs")
    voice.send(Listen(gen=1))
    await voice.of(Listening, gen=1)
    assert f'application.process.id = "{pid}"' in await sound.pactl("list", "source-outputs")
    voice.send(Discard(gen=1))
    async with asyncio.timeout(5):
        while f'application.process.id = "{pid}"' in await sound.pactl("list", "source-outputs"):
            await asyncio.sleep(0.02)


async def test_a_recording_ends_at_its_longest(voice: Voice, sound: VirtualSound, clips: Clips) -> None:
    voice.send(Listen(gen=1, longest_s=1.0))
    await voice.of(Listening, gen=1)
    await sound.play(clips("seven eight nine ten"))
    assert (await voice.of(Ended, gen=1)).why == "limit"
    text = await voice.of(Text, gen=1)
    assert isinstance(text, Text)
    assert text.audio_s <= 1.05


async def test_sentences_are_heard_one_after_the_other(voice: Voice, sound: VirtualSound) -> None:
    async with sound.hearing() as recording:
        for number, text in enumerate(("One two three.", "Four five six.", "Seven eight nine."), 1):
            voice.send(Speak(gen=1, number=number, text=text))
        await voice.of(Speaking, gen=1)
        await voice.of(Spoken, gen=1, number=3)
        end_s = recording.length_s + 0.5
        async with asyncio.timeout(10):
            while recording.length_s < end_s:
                recording.changed.clear()
                await recording.changed.wait()
    numbers = [event.number for event in voice.events if isinstance(event, Spoken)]
    assert numbers == [1, 2, 3]
    assert 2.0 < recording.sound_s() < 4.5


async def test_silence_comes_at_once_and_drops_what_waits(voice: Voice, sound: VirtualSound) -> None:
    async with sound.hearing() as recording:
        for number in range(1, 5):
            voice.send(Speak(gen=1, number=number, text=LONG))
        await recording.until(sound_s=0.6)
        stopped_s = recording.length_s
        voice.send(Silence(gen=1))
        async with asyncio.timeout(10):
            while recording.length_s < stopped_s + 1.0:
                recording.changed.clear()
                await recording.changed.wait()
        assert recording.last_sound_s() - stopped_s < 0.25  # the bench measures it without other load
        voice.send(Speak(gen=2, number=1, text="And on."))
        await voice.of(Spoken, gen=2, number=1)
    assert not [event for event in voice.events if isinstance(event, Spoken) and event.gen == 1], voice.events


async def test_a_late_sentence_of_what_was_silenced_is_not_said(voice: Voice, sound: VirtualSound) -> None:
    voice.send(Silence(gen=5))
    voice.send(Speak(gen=5, number=1, text="too late"))
    voice.send(Speak(gen=6, number=1, text="on time"))
    await voice.of(Spoken, gen=6, number=1)
    assert not [event for event in voice.events if isinstance(event, (Spoken, Speaking)) and event.gen == 5]


async def test_what_the_engine_cannot_say_is_answered_too(voice: Voice, sound: VirtualSound) -> None:
    for number, text in enumerate((" ", "\0", "…", "ok"), 1):
        voice.send(Speak(gen=1, number=number, text=text))
    await voice.of(Spoken, gen=1, number=4)
    assert [event.number for event in voice.events if isinstance(event, Spoken)] == [1, 2, 3, 4]


async def test_it_lists_devices(voice: Voice, sound: VirtualSound) -> None:
    voice.send(ListDevices())
    devices = await voice.of(Devices)
    assert isinstance(devices, Devices)
    assert "default" in devices.inputs
    assert "default" in devices.outputs


async def test_nothing_but_events_is_on_its_stdout_and_it_ends_with_its_stdin(
    sound: VirtualSound, folder: Path
) -> None:
    """pyttsx3 prints on stdout, ALSA and PortAudio on fd 2: both are the log."""
    import sys

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "tui_agent.voice.worker", stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b'{"type":"configure"}\nnonsense\n{"type":"of a later version"}\n')
    process.stdin.write(b'{"type":"speak","gen":1,"number":1,"text":"one"}\n')
    lines = []
    async with asyncio.timeout(20):
        while not any(b'"spoken"' in line for line in lines):
            lines.append(await process.stdout.readline())
        process.stdin.close()
        assert await process.wait() == 0
    assert all(line.startswith(b"{") for line in lines)


async def test_it_needs_little_memory_with_the_fixture_model(voice: Voice, sound: VirtualSound, clips: Clips) -> None:
    ready = await _ready(voice)
    voice.send(Listen(gen=1))
    await voice.of(Listening, gen=1)
    await sound.play(clips("hello agent"))
    await voice.of(Text, gen=1)
    voice.send(Speak(gen=1, number=1, text="hello"))
    await voice.of(Spoken, gen=1)
    status = Path(f"/proc/{ready.pid}/status").read_text()
    peak_kib = int(status.partition("VmHWM:")[2].split()[0])
    assert peak_kib < 250 * 1024


async def _ready(voice: Voice) -> Ready:
    voice.send(Warm())
    ready = await voice.of(Ready)
    assert isinstance(ready, Ready)
    assert ready.pid != os.getpid()
    return ready
