"""Talking in the chat: F2, hands-free and spoken answers.

Joins the rules (state/talk, state/speaking), the voice process (voice/client) and the screen. Made when it is first
used; what makes sound is in the voice process and never imported here.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from typing import TYPE_CHECKING, Final, assert_never
from weakref import WeakKeyDictionary

from server.protocol import Event as RoomEvent
from tui_agent.config import Voice
from tui_agent.conversation import Conversation
from tui_agent.fetching import Fetching
from tui_agent.paths import state_folder
from tui_agent.state.clean import clean_line
from tui_agent.state.speaking import Sentence, Speaking
from tui_agent.state.talk import Discard, Effect, Finish, Hush, Insert, Listen, Say, Send, Talk
from tui_agent.ui.voice_items import METER_CELLS, Look, fill
from tui_agent.voice import wire
from tui_agent.voice.client import Gone, VoiceClient
from tui_agent.voice.configuring import configure_for
from tui_agent.voice.models import NoModel, find_model
from tui_agent.voice.troubles import process_ended, process_ends_again, speech_ended
from tui_agent.voice_settings import VoiceSettings

if TYPE_CHECKING:
    from tui_agent.app import ChatApp

TICK_S: Final = 0.05
TROUBLE_S: Final = 30.0


class Talking:
    """One a program. All rooms are heard, the one on the screen is spoken."""

    def __init__(self, app: ChatApp) -> None:
        self._app = app
        self.voice: Voice = app.settings.voice
        self.speaks = self.voice.speak
        self.talk = Talk(is_auto=self.voice.send == "auto")
        self.fetching = Fetching(app, self._model_came)
        self.settings = VoiceSettings(app, self)
        self._gens = itertools.count(1)
        self._rooms: WeakKeyDictionary[Conversation, Speaking] = WeakKeyDictionary()
        self._levels: deque[float] = deque(maxlen=METER_CELLS)
        self._is_speaking = False
        self._held: list[Sentence] = []  # to say as soon as the microphone is closed
        self._troubled_gen = 0
        self._is_over = False
        self._model_folder = ""
        self._client: VoiceClient | None = None
        self._running: asyncio.Task[None] | None = None
        self._timer = app.set_interval(TICK_S, self._tick, pause=True)
        self._shown = app.conversation
        self._speaking_in(app.conversation).adopt(app.conversation.chat.running, app.conversation.chat.me)

    # ---- what a person does ------------------------------------------------------------------------------

    def press(self) -> None:
        """F2."""
        if self.talk.phase == "off" and not self._has_model():
            return
        self._do(self.talk.press(time.monotonic()))

    def hands_free(self) -> None:
        """On, with spoken answers; or off."""
        if self.talk.is_hands_free:
            self._do(self.talk.stop())
        elif self._has_model():
            self.speaks = True
            self._do(self.talk.start_hands_free(time.monotonic()))

    def toggle_speak(self) -> None:
        """Answers aloud, or not."""
        self.speaks = not self.speaks
        if self.speaks:
            self._start(wire.Warm(speech=True))
            self._app.say("Answers are spoken aloud.")
        else:
            self._hush()
            self._app.say("Answers are not spoken any more.")

    def escape(self) -> bool:
        """Discard a recording (True: that was all), or be silent (False: the answer is to stop as well)."""
        effects = self.talk.escape(time.monotonic())
        if effects:
            self._do(effects)
            self._app.say("discarded")
            return True
        self._hush()
        return False

    async def close(self) -> None:
        """End the voice process, and a download."""
        self._is_over = True
        await self.fetching.close()
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    # ---- what happens in the rooms -----------------------------------------------------------------------

    def sent(self, conversation: Conversation, cid: str) -> None:
        """A message of one's own goes out."""
        self._speaking_in(conversation).sent(cid)

    def heard(self, conversation: Conversation, event: RoomEvent) -> None:
        """Each event of each open room, after it was folded."""
        speaking = self._speaking_in(conversation)
        speaking.is_on = self.speaks and conversation is self._app.conversation
        self._say(speaking.apply(event, time.monotonic()))
        self._timer.resume()

    def announce(self, sentence: str) -> None:
        """One sentence of the program's own, where answers are spoken."""
        if self.speaks:
            self._say([self._speaking_in(self._app.conversation).announce(sentence)])
            self._timer.resume()

    def look(self) -> None:
        """Set what of the frame belongs to the voice. Another room on the screen: what the one before said ends."""
        shown = self._app.conversation
        if shown is not self._shown:
            self._hush(self._shown)
            self._hush(shown)
            self._shown = shown
        fill(
            self._app.frame,
            Look(
                self.talk, self._levels, self._is_speaking, self.speaks,
                self._app.conversation.chat.running is not None, self.fetching.words,
            ),
        )  # fmt: skip

    # ---- settings ----------------------------------------------------------------------------------------

    def change(self, voice: Voice) -> None:
        """Other settings, from now on."""
        is_other_model = voice.model != self.voice.model
        self.voice = voice
        self.talk.is_auto = voice.send == "auto"
        if is_other_model:
            self._model_folder = ""
            self._has_model()
        if self._client is not None:
            self._client.configure(self._configure())

    def ask_devices(self) -> None:
        """The answer opens a list."""
        self._start(wire.ListDevices())

    def _model_came(self) -> None:
        self._app.say("The model is here. F2 talks.", for_s=TROUBLE_S)
        self._has_model()

    def _has_model(self) -> bool:
        """Whether there is a model to hear with; offers to get one, or says what is wrong."""
        if self._model_folder:
            return True
        try:
            self._model_folder = str(find_model(self.voice.model))
        except NoModel as problem:
            if problem.name:
                self.fetching.offer(problem.name)
            else:
                self._app.say(str(problem), for_s=TROUBLE_S)
            return False
        if self._client is not None:
            self._client.configure(self._configure())
        return True

    def _configure(self) -> wire.Configure:
        return configure_for(self.voice, self._model_folder)

    # ---- the voice process -------------------------------------------------------------------------------

    def _start(self, command: wire.Command) -> None:
        """Give it a command; the first one starts it."""
        if self._client is None:
            self._client = VoiceClient(self._told, state_folder() / "voice.log", self._configure())
            self._running = asyncio.create_task(self._client.run(), name="voice")
        self._client.send(command)

    def _told(self, event: wire.Event | Gone) -> None:
        if self._is_over or not self._app.is_running:
            return
        now_s = time.monotonic()
        match event:
            case wire.Listening(gen=gen):
                self._do(self.talk.listening(gen, now_s))
            case wire.Level(gen=gen, level=level, is_speech=is_speech, elapsed_s=elapsed_s):
                self.talk.heard(gen, level, is_speech, elapsed_s)
                self._levels.append(level)
            case wire.Ended(gen=gen, why=why):
                self._do(self.talk.ended(gen, why, now_s))
            case wire.Text(gen=gen, text=text):
                is_troubled = gen == self._troubled_gen
                self._do(self.talk.text(gen, clean_line(text), now_s, is_troubled=is_troubled))
            case wire.Speaking(gen=gen):
                self._is_speaking = gen == self._speaking_in(self._app.conversation).gen
            case wire.Spoken(gen=gen, number=number):
                speaking = self._speaking_in(self._app.conversation)
                speaking.spoken(gen, number)
                self._is_speaking = self._is_speaking and not speaking.is_silent
            case wire.Trouble(sentence=sentence, gen=gen):
                self._troubled_gen = gen or self._troubled_gen
                self._app.say(sentence, for_s=TROUBLE_S)
            case wire.Devices():
                self.settings.devices_came(event)
            case Gone(is_again):
                self._gone(is_again)
            case _:
                pass
        self._timer.resume()
        self._app.soon()

    def _gone(self, is_again: bool) -> None:
        was_talking = self.talk.phase in ("opening", "listening", "transcribing")
        self._do(self.talk.gone(time.monotonic()))
        for speaking in self._rooms.values():
            speaking.renew()
        self._is_speaking = False
        self._held.clear()
        ended = process_ended() if was_talking else speech_ended()
        fault = process_ends_again() if is_again else ended
        self._app.say(str(fault), for_s=TROUBLE_S)

    # ---- doing what the rules say ------------------------------------------------------------------------

    def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Listen(gen):
                    self._levels.clear()
                    self._app.say("")
                    self._listen(gen)
                case Finish(gen):
                    self._start(wire.Finish(gen=gen))
                case Discard(gen):
                    self._start(wire.Discard(gen=gen))
                case Hush():
                    self._hush()
                case Send(text):
                    if not self._app.send(text):
                        self._insert(text)
                    self._app.chat_screen.follow()
                case Insert(text):
                    self._insert(text)
                case Say(sentence):
                    self._app.say(sentence)
                case _:
                    assert_never(effect)
        self._timer.resume()
        self._app.soon()

    def _listen(self, gen: int) -> None:
        nothing_s = 0.0 if self.talk.is_hands_free else 6.0
        self._start(wire.Listen(gen=gen, silence_s=self.voice.silence_s, nothing_s=nothing_s))
        self._start(wire.Warm(hearing=True, speech=self.speaks))

    def _insert(self, text: str) -> None:
        """Into the input, after what stands there, to be checked."""
        composer = self._app.chat_screen.composer
        before = composer.text
        composer.insert(f" {text}" if before and not before[-1:].isspace() else text, composer.document.end)
        composer.focus()

    def _say(self, sentences: list[Sentence]) -> None:
        if not sentences:
            return
        self._do(self.talk.make_way(time.monotonic()))
        self._held += sentences
        self._release()

    def _release(self) -> None:
        """Say what waits, unless the microphone would hear it."""
        if self.talk.is_mic_open or not self._held:
            return
        held, self._held = self._held, []
        for sentence in held:
            self._start(wire.Speak(gen=sentence.gen, number=sentence.number, text=sentence.text))

    def _hush(self, conversation: Conversation | None = None) -> None:
        gen = self._speaking_in(conversation or self._app.conversation).hush()
        self._held.clear()
        self._is_speaking = False
        if self._client is not None:
            self._client.silence(gen)
        self._app.soon()

    def _speaking_in(self, conversation: Conversation) -> Speaking:
        speaking = self._rooms.get(conversation)
        if speaking is None:
            speaking = self._rooms[conversation] = Speaking(
                self.voice.max_sentences, lambda: next(self._gens), is_for_all=self.voice.speak_for == "room"
            )
        return speaking

    def _tick(self) -> None:
        """What only time tells; runs while something is due."""
        now_s = time.monotonic()
        speaking = self._speaking_in(self._app.conversation)
        self._say(speaking.settle(now_s))
        self._release()
        if not speaking.is_due and speaking.is_silent and not self._held:
            self.talk.quiet(now_s)
            if self.talk.phase == "off":
                self._timer.pause()
        self._do_if_any(self.talk.tick(now_s))

    def _do_if_any(self, effects: list[Effect]) -> None:
        if effects:
            self._do(effects)
