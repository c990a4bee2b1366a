"""Each missing or broken part is one plain sentence with what mends it in the status line, and the chat goes on."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui.conftest import Stage, until
from tests.voice.sound import MODEL, VirtualSound
from tui_agent.app import ChatApp
from tui_agent.config import Voice

Clips = Callable[[str], Path]
ENOUGH_S = 30.0
STATUS_CELLS = 66  # beside "F2 talk" on 80 columns
# A machine on which the loader does not find a library: what ctypes answers there.


def settings(**more: Any) -> Voice:
    return Voice(**({"model": str(MODEL), "language": "en"} | more))


async def press(app: ChatApp, pilot: Pilot[int]) -> None:
    app.talking.talk._last_key_s = -10.0
    await pilot.press("f2")


async def said(app: ChatApp, words: str, within_s: float = ENOUGH_S) -> None:
    """The sentence stands in the status line, whole on 80 columns, and nothing else is stuck."""
    await until(lambda: words in app.frame.hint, within_s)
    assert len(app.frame.hint) <= STATUS_CELLS
    assert app.frame.hint.isprintable()


async def chat_goes_on(stage: Stage, app: ChatApp) -> None:
    """A message is answered on the screen."""
    await until(lambda: not app.talking.talk.is_mic_open)
    app.send("still here?")
    run = await stage.agent.wait_run()
    run.say("Yes.")
    run.finish()
    await until(lambda: any(entry.text == "Yes." for entry in app.conversation.chat.entries))


async def test_no_portaudio(stage: Stage, sound: VirtualSound, without: Callable[[str], None]) -> None:
    without("portaudio")
    async with stage.app(voice=settings()) as (app, pilot):
        await press(app, pilot)
        await said(app, "PortAudio is missing: sudo apt install libportaudio2")
        await until(lambda: app.talking.talk.phase == "off")
        await chat_goes_on(stage, app)


async def test_no_espeak(stage: Stage, sound: VirtualSound, without: Callable[[str], None]) -> None:
    without("espeak")
    async with stage.app(voice=settings(speak=True)) as (app, _):
        app.send("hello")
        run = await stage.agent.wait_run()
        run.say("One. Two. Three. ")
        run.finish()
        await said(app, "eSpeak is missing: sudo apt install espeak-ng")
        speaking = app.talking._speaking_in(app.conversation)
        await until(lambda: speaking.is_silent)
        await chat_goes_on(stage, app)


async def test_no_sound_device(stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/nobody")
    async with stage.app(voice=settings(speak=True)) as (app, pilot):
        await press(app, pilot)
        await said(app, "tui-agent voice doctor")
        assert "microphone" in app.frame.hint
        await until(lambda: app.talking.talk.phase == "off")
        app.say("")
        app.send("hello")
        run = await stage.agent.wait_run()
        run.say("One. ")
        run.finish()
        await said(app, "loudspeaker")
        await chat_goes_on(stage, app)


async def test_an_unknown_device_an_unknown_voice_and_an_unknown_language(
    stage: Stage, sound: VirtualSound, clips: Clips
) -> None:
    async with stage.app(voice=settings(device="no such thing")) as (app, pilot):
        await press(app, pilot)
        await said(app, "No microphone is called “no such thing”. Choose one: /voice device")
        app.do("voice", "device default")
        app.do("voice", "language xx")
        await until(lambda: app.talking.talk.phase == "off")
        await press(app, pilot)
        await until(lambda: app.talking.talk.phase == "listening", ENOUGH_S)
        await sound.play(clips("yes please"))
        await said(app, "The model does not know “xx”; English is used: /voice language")
        await until(lambda: any(entry.text == "yes please" for entry in app.conversation.chat.entries))
        (await stage.agent.wait_run()).finish()
        app.do("voice", "voice nobody")
        app.talking.speaks = True
        app.send("hello")
        run = await stage.agent.wait_run()
        run.say("One. ")
        run.finish()
        await said(app, "No voice is called “nobody”. Choose one: /voice voice")
        speaking = app.talking._speaking_in(app.conversation)
        await until(lambda: speaking._said == 1 and speaking.is_silent, ENOUGH_S)
        await chat_goes_on(stage, app)


async def test_a_model_folder_that_is_none(stage: Stage, sound: VirtualSound, tmp_path: Path) -> None:
    async with stage.app(voice=settings(model=str(tmp_path / "nothing"))) as (app, pilot):
        await press(app, pilot)
        await until(lambda: "There is no Whisper model" in app.frame.hint)
        await chat_goes_on(stage, app)
    (tmp_path / "half").mkdir()
    shutil.copy(MODEL / "config.json", tmp_path / "half")
    async with stage.app(voice=settings(model=str(tmp_path / "half"))) as (app, pilot):
        await press(app, pilot)
        await until(lambda: "lacks model.bin" in app.frame.hint)


async def test_a_truncated_model(stage: Stage, sound: VirtualSound, clips: Clips, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(MODEL, model)
    os.truncate(model / "model.bin", 700_000)
    async with stage.app(voice=settings(model=str(model))) as (app, pilot):
        await press(app, pilot)
        await said(app, "The Whisper model is damaged: tui-agent voice setup")
        await sound.play(clips("stop now"))
        await until(lambda: app.talking.talk.phase == "off", ENOUGH_S)
        await said(app, "The Whisper model is damaged")
        await chat_goes_on(stage, app)


async def test_the_sound_server_dies_while_recording(stage: Stage, own_sound: VirtualSound) -> None:
    async with stage.app(voice=settings()) as (app, pilot):
        await press(app, pilot)
        await until(lambda: app.talking.talk.phase == "listening", ENOUGH_S)
        own_sound.kill_server()
        await said(app, "The microphone went away. F2 retries. See: tui-agent voice doctor", 5)
        await chat_goes_on(stage, app)
        await press(app, pilot)
        await said(app, "microphone")


async def test_the_microphone_is_unplugged_while_recording_and_plugged_in_again(
    stage: Stage, own_sound: VirtualSound, clips: Clips
) -> None:
    async with stage.app(voice=settings()) as (app, pilot):
        await press(app, pilot)
        await until(lambda: app.talking.talk.phase == "listening", ENOUGH_S)
        for module in ("module-remap-source", "module-null-sink"):
            await own_sound.pactl("unload-module", module)
        await said(app, "The microphone went away", 5)
        await chat_goes_on(stage, app)
        own_sound.add_microphone("mic")
        await own_sound.pactl("set-default-source", "mic")
        await press(app, pilot)
        await until(lambda: app.talking.talk.phase == "listening", ENOUGH_S)
        await own_sound.play(clips("yes please"))
        await until(lambda: any(entry.text == "yes please" for entry in app.conversation.chat.entries), ENOUGH_S)


async def test_the_sound_server_dies_while_speaking(stage: Stage, own_sound: VirtualSound) -> None:
    async with stage.app(voice=settings(speak=True)) as (app, _):
        app.send("count")
        run = await stage.agent.wait_run()
        run.say("One two three four five six seven eight nine ten, and so on and so on. " * 3)
        await until(lambda: app.frame.box_note == "speaking", ENOUGH_S)
        own_sound.kill_server()
        await said(app, "The loudspeaker went away", 5)
        run.say("More. ")
        run.finish()
        speaking = app.talking._speaking_in(app.conversation)
        await until(lambda: not speaking.is_due and speaking.is_silent, ENOUGH_S)
        await chat_goes_on(stage, app)


@pytest.mark.parametrize("moment", ["opening", "listening", "transcribing", "speaking"])
async def test_a_killed_voice_process_runs_anew(stage: Stage, sound: VirtualSound, clips: Clips, moment: str) -> None:
    async with stage.app(voice=settings(speak=moment == "speaking")) as (app, pilot):
        if moment == "speaking":
            app.send("count")
            run = await stage.agent.wait_run()
            run.say("One two three four five six seven eight nine ten, and so on and so on. " * 2)
            run.finish()
            await until(lambda: app.frame.box_note == "speaking", ENOUGH_S)
        else:
            await press(app, pilot)
            if moment != "opening":
                await until(lambda: app.talking.talk.phase == "listening", ENOUGH_S)
            if moment == "transcribing":
                await sound.play(clips("yes please"))
                app.talking.talk._last_key_s = -10.0
                os.kill(_pid(app), signal.SIGSTOP)  # it cannot be faster than the kill
                await pilot.press("f2")
            else:
                await until(lambda: app.talking._client.pid is not None)
        os.kill(_pid(app), signal.SIGKILL)
        await said(app, "The voice process ended and runs anew")
        assert app.talking.talk.phase == "off"
        await press(app, pilot)
        await until(lambda: app.talking.talk.phase == "listening", ENOUGH_S)
        await sound.play(clips("yes please"))
        await until(lambda: any(entry.text == "yes please" for entry in app.conversation.chat.entries), ENOUGH_S)


async def test_a_voice_process_that_dies_twice_waits_for_the_next_press(stage: Stage, sound: VirtualSound) -> None:
    async with stage.app(voice=settings()) as (app, pilot):
        for words in ("runs anew", "ended twice. F2 retries"):
            await press(app, pilot)
            await until(lambda: app.talking.talk.phase == "listening", ENOUGH_S)
            os.kill(_pid(app), signal.SIGKILL)
            await said(app, words)
        await asyncio.sleep(0.3)
        assert app.talking._client is not None
        assert app.talking._client.pid is None
        await press(app, pilot)
        await until(lambda: app.talking.talk.phase == "listening", ENOUGH_S)


async def test_a_stopped_voice_process_neither_holds_the_chat_nor_keeps_the_box_red(
    stage: Stage, sound: VirtualSound
) -> None:
    async with stage.app(voice=settings()) as (app, pilot):
        await press(app, pilot)
        await until(lambda: app.talking.talk.phase == "listening", ENOUGH_S)
        os.kill(_pid(app), signal.SIGSTOP)
        await pilot.press("escape")
        await until(lambda: not app.chat_screen.query_one("#box").has_class("-recording"))
        await chat_goes_on(stage, app)


def _pid(app: ChatApp) -> int:
    client = app.talking._client
    assert client is not None
    assert client.pid is not None
    return client.pid
