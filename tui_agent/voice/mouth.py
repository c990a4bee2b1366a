"""The main thread of the voice process: renders sentences in order and hands them to the loudspeaker."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable
from typing import Final

from tui_agent.voice.player import AHEAD_S, IDLE_S, Player
from tui_agent.voice.speech import Speech
from tui_agent.voice.troubles import VoiceFault
from tui_agent.voice.wire import Configure, Event, Speak, Speaking, Spoken, Trouble

QUEUE_SENTENCES: Final = 2000
LOOK_S: Final = 0.25


class Mouth:
    """`run` belongs to the main thread; the rest may be called from others."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._settings = Configure()
        self._jobs: queue.Queue[Speak | Callable[[], None]] = queue.Queue(QUEUE_SENTENCES)
        self.player = Player(
            lambda gen: emit(Speaking(gen=gen)), lambda gen, number: emit(Spoken(gen=gen, number=number))
        )
        self._speech: Speech | None = None
        self._told = ""  # the trouble that was told last, so that 40 sentences do not tell it 40 times
        self._used_s = time.monotonic()

    def configure(self, settings: Configure) -> None:
        self._settings = settings
        self._told = ""

    def speak(self, wanted: Speak) -> None:
        self.do(wanted)

    def do(self, job: Speak | Callable[[], None]) -> None:
        """In the main thread, after what waits. Dropped when 2,000 wait."""
        with contextlib.suppress(queue.Full):
            self._jobs.put_nowait(job)

    def warm(self) -> None:
        self.do(self._warm)

    def run(self) -> None:
        """For ever."""
        while True:
            try:
                job = self._jobs.get(timeout=LOOK_S)
            except queue.Empty:
                self._look()
                continue
            if isinstance(job, Speak):
                self._say(job)
            else:
                job()

    def engine(self) -> Speech:
        """Ready and set. Raises VoiceFault; an unknown voice is told and does not raise."""
        if self._speech is None:
            self._speech = Speech()
        try:
            self._speech.configure(self._settings)
        except VoiceFault as fault:
            self._emit(Trouble(part=fault.part, sentence=str(fault)))
        return self._speech

    # ---- inside ------------------------------------------------------------------------------------

    def _warm(self) -> None:
        try:
            self.engine()
        except VoiceFault as fault:
            self._tell(fault)

    def _look(self) -> None:
        try:
            self.player.check()
        except VoiceFault as fault:
            self._tell(fault)
        if self.player.ahead_s:
            self._used_s = time.monotonic()
        elif time.monotonic() - self._used_s > IDLE_S:
            self.player.close()

    def _say(self, wanted: Speak) -> None:
        while self.player.ahead_s > AHEAD_S and not self.player.is_silenced(wanted.gen):
            time.sleep(LOOK_S)
            self._look()
        if self.player.is_silenced(wanted.gen):
            return
        self._used_s = time.monotonic()
        try:
            pcm, rate = self.engine().render(wanted.text)
            if not pcm:
                self._emit(Spoken(gen=wanted.gen, number=wanted.number))
                return
            self.player.play(wanted.gen, wanted.number, pcm, rate, self._settings.output)
            self._told = ""
        except VoiceFault as fault:
            self._tell(fault)
            self._emit(Spoken(gen=wanted.gen, number=wanted.number))

    def _tell(self, fault: VoiceFault) -> None:
        if str(fault) != self._told:
            self._told = str(fault)
            self._emit(Trouble(part=fault.part, sentence=str(fault)))
