"""The thread that listens: opens the microphone, finds where speech begins and ends, hands it to the scribe."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from tui_agent.state.endpoint import BLOCK_S, Endpoint, Span
from tui_agent.voice.microphone import Block, Microphone, loudness
from tui_agent.voice.scribe import Scribe
from tui_agent.voice.troubles import VoiceFault, no_library
from tui_agent.voice.wire import Configure, Ended, Ending, Event, Level, Listen, Listening, Trouble

if TYPE_CHECKING:
    from tui_agent.voice.vad import Vad

WAIT_S: Final = 0.05
LEVEL_S: Final = 0.06


class Ear:
    """One listening at a time; a new one takes the place of the old."""

    def __init__(self, emit: Callable[[Event], None], scribe: Scribe) -> None:
        self._emit = emit
        self._scribe = scribe
        self._settings = Configure()
        self._wanted: queue.Queue[Listen] = queue.Queue(16)
        self._finished = 0
        self._discarded = 0
        threading.Thread(target=self._run, name="ear", daemon=True).start()

    def configure(self, settings: Configure) -> None:
        self._settings = settings

    def listen(self, wanted: Listen) -> None:
        self._discarded = max(self._discarded, wanted.gen - 1)
        self._wanted.put(wanted)

    def finish(self, gen: int) -> None:
        self._finished = max(self._finished, gen)

    def discard(self, gen: int) -> None:
        self._discarded = max(self._discarded, gen)
        self._scribe.withdraw(gen)

    # ---- its thread ---------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            wanted = self._wanted.get()
            if wanted.gen <= self._discarded:
                continue
            try:
                _Listening(self, wanted).run()
            except VoiceFault as fault:
                self._emit(Trouble(part=fault.part, sentence=str(fault), gen=wanted.gen))
                self._emit(Ended(gen=wanted.gen, why="lost"))

    def is_discarded(self, gen: int) -> bool:
        return gen <= self._discarded

    def is_finished(self, gen: int) -> bool:
        return gen <= self._finished


class _Listening:
    """From one Listen to its Ended."""

    def __init__(self, ear: Ear, wanted: Listen) -> None:
        self._ear, self._wanted = ear, wanted
        self._endpoint = Endpoint(wanted.silence_s, wanted.nothing_s, wanted.longest_s)
        self._kept: list[Block] = []
        self._dropped = 0  # blocks before the first that is kept
        self._offered: Span | None = None
        self._level_at_s = 0.0

    def run(self) -> None:
        """Raises VoiceFault."""
        gen = self._wanted.gen
        microphone = Microphone(self._ear._settings.device)
        try:
            why = self._listen(microphone)
        finally:
            microphone.close()
        if why is None:
            return
        span = self._endpoint.span
        if span is None:
            self._ear._scribe.withdraw(gen)
            self._ear._emit(Ended(gen=gen, why="nothing"))
            return
        if span != self._offered:
            self._ear._scribe.offer(gen, self._audio(span))
        self._ear._emit(Ended(gen=gen, why=why))
        self._ear._scribe.confirm(gen)

    def _listen(self, microphone: Microphone) -> Ending | None:
        """Why it ended; None: discarded."""
        gen = self._wanted.gen
        vad = None
        heard_s = time.monotonic()
        has_begun = False
        while not self._ear.is_discarded(gen):
            if self._ear.is_finished(gen) and not microphone.waiting:
                return "finish"
            try:
                blocks = microphone.read(WAIT_S)
            except queue.Empty:
                microphone.check(time.monotonic() - heard_s)
                continue
            heard_s = time.monotonic()
            if not has_begun:
                has_begun = True
                self._ear._emit(Listening(gen=gen))
            if vad is None:  # the microphone was opened first: it fills its queue while this loads
                vad = _load_vad()
            for block in blocks:
                ending = self._take(block, vad.probability(block))
                if ending is not None:
                    return ending
        return None

    def _take(self, block: Block, probability: float) -> Ending | None:
        self._kept.append(block)
        step = self._endpoint.feed(probability)
        surplus = self._endpoint.forgotten - self._dropped
        if surplus > 0:
            del self._kept[:surplus]
            self._dropped += surplus
        self._tell_level(block)
        match step:
            case "paused":
                self._offered = self._endpoint.span
                if self._offered is not None:
                    self._ear._scribe.offer(self._wanted.gen, self._audio(self._offered))
            case "resumed":
                self._offered = None
                self._ear._scribe.withdraw(self._wanted.gen)
            case "silence" | "nothing" | "limit":
                return step
        return None

    def _tell_level(self, block: Block) -> None:
        now_s = self._endpoint.blocks * BLOCK_S
        if now_s - self._level_at_s >= LEVEL_S:
            self._level_at_s = now_s
            self._ear._emit(
                Level(
                    gen=self._wanted.gen, level=round(loudness(block), 3),
                    is_speech=self._endpoint.is_speech, elapsed_s=round(now_s, 2),
                )
            )  # fmt: skip

    def _audio(self, span: Span) -> Block:
        return np.concatenate(self._kept[span.first - self._dropped : span.end - self._dropped])


def _load_vad() -> Vad:
    try:
        from tui_agent.voice.vad import Vad
    except (ImportError, OSError):
        raise no_library("faster-whisper") from None
    return Vad()
