"""Talking in the chat: the real app on a real server, the real voice process on a virtual sound card."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.ui.conftest import Stage, until
from tests.voice.fake_hub import serving
from tests.voice.sound import MODEL, VirtualSound
from tui_agent import talking
from tui_agent.app import ChatApp
from tui_agent.config import Voice
from tui_agent.state.talk import REST_S
from tui_agent.voice.wire import Devices

Clips = Callable[[str], Path]
ANSWER = "One two three four five. Six seven eight nine ten. Eleven twelve thirteen fourteen fifteen. "
ENOUGH_S = 30.0


def settings(**more: Any) -> dict[str, Any]:
    return {"voice": Voice(model=str(MODEL), language="en", **more)}


def own_messages(app: ChatApp) -> list[str]:
    """As the server has logged them."""
    return [entry.text for entry in app.conversation.chat.entries if entry.is_own and entry.state == "sent"]


async def listening(app: ChatApp, pilot: Pilot[int]) -> None:
    """F2, and the microphone is open."""
    app.talking.talk._last_key_s = -10.0  # a press of its own, however soon after another
    await pilot.press("f2")
    await until(lambda: app.talking.talk.phase == "listening", ENOUGH_S)


async def test_f2_records_in_red_and_the_words_arrive_as_one_s_message(
    stage: Stage, sound: VirtualSound, clips: Clips
) -> None:
    async with stage.app(**settings()) as (app, pilot):
        box = app.chat_screen.query_one("#box")
        assert not box.has_class("-recording")
        await listening(app, pilot)
        await until(lambda: box.has_class("-recording"))
        assert app.frame.box_note == "listening"
        await sound.play(clips("what is the weather today"))
        await until(lambda: own_messages(app) == ["what is the weather today"], ENOUGH_S)
        await until(lambda: not box.has_class("-recording"))
        run = await stage.agent.wait_run()
        run.finish()
        await until(lambda: app.conversation.chat.running is None)


async def test_in_review_the_words_stand_in_the_input_and_are_not_sent(
    stage: Stage, sound: VirtualSound, clips: Clips
) -> None:
    async with stage.app(**settings(send="review")) as (app, pilot):
        composer = app.chat_screen.composer
        await pilot.press("o", "k")
        await listening(app, pilot)
        await sound.play(clips("run the tests"))
        await until(lambda: composer.text == "ok run the tests", ENOUGH_S)
        assert own_messages(app) == []
        assert not stage.agent.runs


async def test_escape_discards_a_recording_and_keeps_what_was_typed(
    stage: Stage, sound: VirtualSound, clips: Clips
) -> None:
    async with stage.app(**settings()) as (app, pilot):
        await pilot.press("o", "k")
        await listening(app, pilot)
        await sound.play(clips("stop now"))
        await pilot.press("escape")
        assert app.talking.talk.phase == "off"
        await listening(app, pilot)
        await sound.play(clips("yes please"))
        await until(lambda: own_messages(app) == ["yes please"], ENOUGH_S)
        assert app.chat_screen.composer.text == "ok"


async def test_nothing_heard_is_said_and_nothing_is_sent(stage: Stage, sound: VirtualSound) -> None:
    async with stage.app(**settings()) as (app, pilot):
        await listening(app, pilot)
        began_s = asyncio.get_running_loop().time()
        await until(lambda: "Nothing was heard" in app.frame.hint, 12)
        assert asyncio.get_running_loop().time() - began_s < 8
        assert own_messages(app) == []


async def test_an_answer_is_spoken_and_escape_silences_it_and_stops_the_answer(
    stage: Stage, sound: VirtualSound
) -> None:
    async with stage.app(**settings(speak=True)) as (app, pilot):
        async with sound.hearing() as recording:
            app.send("count")
            run = await stage.agent.wait_run()
            run.say(ANSWER + ANSWER)
            await recording.until(30, sound_s=1.0)
            assert app.frame.box_note == "speaking"
            await pilot.press("escape")
            pressed_s = recording.length_s
            async with asyncio.timeout(5):
                await run.cancelled.wait()
            await until(lambda: recording.length_s > pressed_s + 1.5)
            assert recording.last_sound_s() - pressed_s < 0.4  # the bench measures it without other load
        await until(lambda: app.conversation.chat.running is None)
        assert app.frame.box_note == ""


async def test_a_spoken_answer_is_as_long_as_its_words_take(stage: Stage, sound: VirtualSound) -> None:
    """14 words of numbers at 180 a minute take 3 to 7 s; code is named, not read."""
    async with stage.app(**settings(speak=True)) as (app, _):
        async with sound.hearing() as recording:
            app.send("count")
            run = await stage.agent.wait_run()
            for word in ANSWER.split(" "):
                run.say(word + " ")
            run.say("\n```py\n" + "x = 1\n" * 50 + "```\n")
            run.finish()
            speaking = app.talking._speaking_in(app.conversation)
            await until(lambda: not speaking.is_due and speaking._said == 4 and speaking.is_silent, 60)
            end_s = recording.length_s + 0.3
            await until(lambda: recording.length_s > end_s)
        assert 4.0 < recording.last_sound_s() - (recording.first_sound_s() or 0) < 11.0
        assert 3.0 < recording.sound_s() < 9.0


async def test_hands_free_goes_three_turns_and_never_hears_itself(
    stage: Stage, sound: VirtualSound, clips: Clips
) -> None:
    answers = ["The first answer is short.", "The second one is, too.", "And this is the third."]
    loop = asyncio.get_running_loop()
    async with stage.app(with_voice=True, **settings()) as (app, pilot), sound.hearing() as recording:
        talk = app.talking.talk
        opened: list[float] = []
        closed: list[float] = []

        async def watch() -> None:
            was_open = False
            while True:
                if talk.is_mic_open != was_open:
                    was_open = not was_open
                    (opened if was_open else closed).append(loop.time() - recording.began_s)
                await asyncio.sleep(0.005)

        watching = asyncio.create_task(watch())
        said = ["hello agent", "yes please", "tell me a story"]
        for turn, (sentence, answer) in enumerate(zip(said, answers, strict=True), 1):
            await until(lambda: talk.phase == "listening", ENOUGH_S)
            await sound.play(clips(sentence))
            run = await stage.agent.wait_run(ENOUGH_S)
            expected = said[:turn]
            await until(lambda expected=expected: own_messages(app) == expected)
            run.say(answer)
            run.finish()
            await until(lambda: talk.phase == "waiting")
        await until(lambda: talk.phase == "listening", ENOUGH_S)
        app.talking.talk._last_key_s = -10.0
        await pilot.press("f2")
        await until(lambda: talk.phase == "off")
        assert not talk.is_hands_free
        end_s = recording.length_s + 0.3
        await until(lambda: recording.length_s > end_s)
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        assert len(opened) == len(closed) == 4
        for number in range(4):
            assert recording.sound_s(opened[number], closed[number]) == 0
        for number in range(3):
            spoken_s = recording.sound_s(closed[number], opened[number + 1])
            assert 0.5 < spoken_s < 4
            assert recording.sound_s(opened[number + 1] - 0.2, opened[number + 1]) == 0
        assert REST_S >= 0.2


async def test_only_the_asker_s_own_client_speaks(stage: Stage, sound: VirtualSound) -> None:
    async with (
        stage.app(user="ada", **settings(speak=True)) as (ada, _),
        stage.app(user="ben", **settings(speak=True)) as (ben, _),
    ):
        async with sound.hearing() as recording:
            ada.send("hello")
            run = await stage.agent.wait_run()
            run.say(ANSWER)
            run.finish()
            await until(lambda: ben.conversation.chat.running is None and ben.conversation.chat.usage is not None)
            await recording.until(30, sound_s=0.5)
        assert ben.talking._speaking_in(ben.conversation)._said == 0
        assert ada.talking._speaking_in(ada.conversation)._said == 3


@pytest.mark.parametrize("key", ["shift+f2", "f14"])
async def test_shift_f2_toggles_spoken_answers_as_speak_does(stage: Stage, sound: VirtualSound, key: str) -> None:
    async with stage.app(**settings()) as (app, pilot):
        await pilot.press(key)
        assert app.talking.speaks
        assert "spoken aloud" in app.frame.hint
        app.do("speak")
        assert not app.talking.speaks


async def test_f2_while_it_speaks_silences_it_and_listens(stage: Stage, sound: VirtualSound) -> None:
    async with stage.app(**settings(speak=True)) as (app, pilot), sound.hearing() as recording:
        app.send("count")
        run = await stage.agent.wait_run()
        run.say(ANSWER + ANSWER)
        await recording.until(30, sound_s=0.5)
        await listening(app, pilot)
        heard_s = recording.length_s + 0.2
        await until(lambda: recording.length_s > heard_s + 1)
        assert recording.sound_s(heard_s) == 0
        run.finish()


async def test_held_f2_neither_ends_nor_flickers(
    stage: Stage, sound: VirtualSound, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage.app(**settings()) as (app, pilot):
        await listening(app, pilot)
        gen = app.talking.talk.gen
        # A terminal repeats a held key 30 times a second; a busy machine would press slower than that.
        now_s = app.talking.talk._last_key_s
        with monkeypatch.context() as clock:
            for _ in range(20):
                now_s += 1 / 30
                clock.setattr(talking, "time", SimpleNamespace(monotonic=lambda now_s=now_s: now_s))
                await pilot.press("f2")
        assert app.talking.talk.is_mic_open
        assert app.talking.talk.gen == gen


async def test_without_a_model_f2_asks_and_gets_it_only_after_a_yes(
    stage: Stage, sound: VirtualSound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        async with stage.app(voice=Voice(language="en")) as (app, pilot):
            await pilot.press("f2")
            await until(lambda: app.screen.name == "download")
            words = str(app.screen.query_one("#download-words").render())
            assert "model base, about 148 MB, from 127.0.0.1" in words
            await pilot.press("escape")
            assert app.screen.name == "chat"
            assert hub.asked == []
            await pilot.press("f2")
            await until(lambda: app.screen.name == "download")
            await pilot.press("enter")
            await until(lambda: "The model is here" in app.frame.hint, ENOUGH_S)
            assert app.screen.name == "chat"
            await listening(app, pilot)


async def test_a_download_shows_its_bar_and_escape_ends_it(
    stage: Stage, sound: VirtualSound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as hub:
        hub.fault = "stall"
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        async with stage.app(voice=Voice(language="en")) as (app, pilot):
            await pilot.press("f2")
            await until(lambda: app.screen.name == "download")
            await pilot.press("enter")
            await until(lambda: app.talking.fetching.words.startswith("base 2"), ENOUGH_S)
            await pilot.press("enter")  # goes on behind the chat
            await until(lambda: app.screen.name == "chat")
            await until(lambda: any("base 2" in str(item.content) for item in app.frame.voice))
            await pilot.press("f2")
            await until(lambda: app.screen.name == "download")
            await pilot.press("escape")
            await until(lambda: "The download was stopped" in app.frame.hint)
            assert app.talking.fetching.words == ""


async def test_voice_shows_and_changes_the_settings(stage: Stage, sound: VirtualSound) -> None:
    async with stage.app(**settings()) as (app, pilot):
        app.do("voice")
        await until(lambda: app.screen.name == "picker")
        await pilot.press("escape")
        app.do("voice", "device")
        await until(lambda: app.screen.name == "picker", ENOUGH_S)
        await pilot.press(*"pulse", "enter")
        await until(lambda: app.talking.voice.device == "pulse")
        app.do("voice", "language de")
        assert app.talking.voice.language == "de"
        app.do("voice", "send review")
        assert not app.talking.talk.is_auto
        app.do("voice", "rate fast")
        assert "is no value for rate" in app.frame.hint
        assert app.talking.voice.rate == 180
        app.do("voice", "nonsense")
        assert "/voice takes one of" in app.frame.hint
        app.talking.settings.devices_came(Devices(inputs=[], outputs=[], input="", output=""))
        assert app.screen.name == "chat"


async def test_before_the_first_f2_nothing_of_the_voice_runs(stage: Stage, sound: VirtualSound) -> None:
    async with stage.app(**settings()) as (app, _):
        assert app._talking is None
        app.send("hello")
        run = await stage.agent.wait_run()
        run.say("Hi.")
        run.finish()
        await until(lambda: app.conversation.chat.usage is not None)
        assert app._talking is None
