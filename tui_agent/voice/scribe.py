"""The thread that transcribes: it loads the model once, takes one recording at a time, and drops what is late.

A recording may be handed over while a pause is still too short to be the end: if speech goes on, the next attempt
takes its place; if not, the text is ready when the end is sure.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from tui_agent.state.endpoint import RATE
from tui_agent.voice.microphone import Block
from tui_agent.voice.recognizer import Recognizer
from tui_agent.voice.troubles import VoiceFault
from tui_agent.voice.wire import Configure, Event, Text, Trouble

Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class _Job:
    gen: int
    attempt: int
    audio: Block


class Scribe:
    """`offer` a recording, `confirm` that it was the end; the Text is told once both are so."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._settings = Configure()
        self._recognizer: Recognizer | None = None
        self._loaded = ""
        self._lock = threading.Condition()
        self._job: _Job | None = None  # only the newest counts
        self._is_load_wanted = False
        self._attempt = 0
        self._wanted: tuple[int, int] = (0, 0)  # gen and attempt that count
        self._confirmed = 0
        self._done: tuple[int, list[Event]] | None = None
        threading.Thread(target=self._run, name="scribe", daemon=True).start()

    def configure(self, settings: Configure) -> None:
        self._settings = settings

    def warm(self) -> None:
        """Load the model now."""
        with self._lock:
            self._is_load_wanted = True
            self._lock.notify()

    def offer(self, gen: int, audio: Block) -> None:
        """Perhaps the whole of what is said."""
        with self._lock:
            self._attempt += 1
            self._wanted = (gen, self._attempt)
            self._done = None
            self._job = _Job(gen, self._attempt, audio)
            self._lock.notify()

    def withdraw(self, gen: int) -> None:
        """Speech goes on, or nobody wants it any more."""
        with self._lock:
            if self._wanted[0] == gen:
                self._wanted, self._done, self._job = (0, 0), None, None

    def confirm(self, gen: int) -> None:
        """What was offered last is the whole."""
        with self._lock:
            self._confirmed = gen
            told = self._done if self._done is not None and self._done[0] == gen else None
            self._done = None
        for event in told[1] if told is not None else ():
            self._emit(event)

    def check(self) -> Recognizer:
        """The loaded model. Raises VoiceFault. For the thread of `Check`, while nothing is transcribed."""
        return self._load()

    # ---- its thread ---------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._job is not None or self._is_load_wanted)
                job, self._job, self._is_load_wanted = self._job, None, False
            if job is None:
                try:
                    self._load()
                except VoiceFault as fault:
                    self._emit(Trouble(part=fault.part, sentence=str(fault)))
                continue
            events = self._transcribe(job)
            with self._lock:
                if self._wanted != (job.gen, job.attempt):
                    continue
                if self._confirmed != job.gen:
                    self._done = (job.gen, events)
                    continue
            for event in events:
                self._emit(event)

    def _transcribe(self, job: _Job) -> list[Event]:
        events: list[Event] = []
        text, model_s = "", 0.0
        try:
            recognizer = self._load()
            try:
                language = recognizer.check_language(self._settings.language)
            except VoiceFault as fault:
                events.append(Trouble(part=fault.part, sentence=str(fault)))
                language = "en"
            heard = recognizer.transcribe(job.audio, language)
            text, model_s = heard.text, heard.model_s
        except VoiceFault as fault:
            events.append(Trouble(part=fault.part, sentence=str(fault), gen=job.gen))
        return [*events, Text(gen=job.gen, text=text, audio_s=len(job.audio) / RATE, model_s=model_s)]

    def _load(self) -> Recognizer:
        folder = self._settings.model
        if self._recognizer is None or self._loaded != folder:
            self._recognizer = None  # one at a time in memory
            self._recognizer = Recognizer(folder, may_use_gpu=self._settings.gpu)
            self._loaded = folder
        return self._recognizer
