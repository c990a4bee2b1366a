"""The loudspeaker: one stream that stays open while there is something to say, silent within one buffer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from tui_agent.voice import sound
from tui_agent.voice.troubles import VoiceFault, no_speaker, speaker_lost

BLOCK_FRAMES: Final = 512
LATENCY_S: Final = 0.05
AHEAD_S: Final = 20.0  # rendered and waiting; the renderer waits beyond
IDLE_S: Final = 10.0  # then the device is given back
_SAMPLE_BYTES: Final = 2


class _Clip:
    """A sentence as 16-bit mono; `at` is the next byte to play."""

    def __init__(self, gen: int, number: int, pcm: bytes) -> None:
        self.gen, self.number, self.pcm = gen, number, memoryview(pcm)
        self.at = 0


class Player:
    """`on_speaking(gen)` at the first sound of a generation, `on_spoken(gen, number)` at the end of each clip."""

    def __init__(self, on_speaking: Callable[[int], None], on_spoken: Callable[[int, int], None]) -> None:
        self._on_speaking, self._on_spoken = on_speaking, on_spoken
        self._clips: deque[_Clip] = deque()
        self._lock = threading.Lock()  # over clips; the callback takes it too, so it is held for moments only
        self._stream: Any = None
        self._opened: tuple[str, int] = ("", 0)
        self._rate = 0
        self._silenced = 0
        self._speaking = 0

    @property
    def ahead_s(self) -> float:
        """What waits to be played."""
        with self._lock:
            waiting = sum(len(clip.pcm) - clip.at for clip in self._clips)
        return waiting / _SAMPLE_BYTES / self._rate if self._rate else 0.0

    def is_silenced(self, gen: int) -> bool:
        return gen <= self._silenced

    def play(self, gen: int, number: int, pcm: bytes, rate: int, output: str) -> None:
        """After what waits. Raises VoiceFault when there is no loudspeaker, or no more."""
        self.check()
        if self._stream is not None and (self._opened != (output, rate) or not self._stream.active):
            self.close()
        with self._lock:
            if self.is_silenced(gen):
                return
            self._clips.append(_Clip(gen, number, pcm))
        if self._stream is None:
            try:
                self._open(output, rate)
            except VoiceFault:
                self._drop()
                raise

    def check(self) -> None:
        """Raises VoiceFault when the stream has died under what it should play."""
        stream = self._stream
        if not self._clips:
            return
        if stream is None:  # a sentence came while the one before was silenced
            self._open(*self._opened)
        elif not stream.active:
            self.close()
            raise speaker_lost()

    def silence(self, gen: int) -> None:
        """Now: drop what is queued and what the device has already taken."""
        with self._lock:
            self._silenced = max(self._silenced, gen)
            kept = [clip for clip in self._clips if clip.gen > gen]
            was_playing = len(kept) != len(self._clips)
            self._clips = deque(kept)
        if not was_playing and self._speaking > gen:
            return
        with sound.LOCK:
            stream = self._stream
            if stream is None or not stream.active:
                return
            if kept:
                stream.abort(ignore_errors=True)
                stream.start()
            else:  # aborting takes 16 ms; emptying our own queue alone would take 75
                self._stream = None
                sound.close_stream(stream)

    def close(self) -> None:
        """Give the device back; what waits is dropped, and told as spoken."""
        with sound.LOCK:
            stream, self._stream = self._stream, None
            if stream is not None:
                sound.close_stream(stream)
        self._drop()

    def _drop(self) -> None:
        with self._lock:
            dropped = list(self._clips)
            self._clips.clear()
        for clip in dropped:
            self._on_spoken(clip.gen, clip.number)

    def _open(self, output: str, rate: int) -> None:
        sounddevice = sound.load()
        self._rate = rate

        def make(index: int) -> Any:
            return sounddevice.RawOutputStream(
                device=index, samplerate=rate, channels=1, dtype="int16", blocksize=BLOCK_FRAMES,
                latency=LATENCY_S, callback=self._fill,
            )  # fmt: skip

        with sound.LOCK:
            self._stream = sound.open_stream(output, "output", make, no_speaker())
            self._opened = (output, rate)

    def _fill(self, out: Any, _frames: int, _time: Any, _status: Any) -> None:
        """PortAudio's thread asks for the next block."""
        at, ended = 0, []
        began = 0
        with self._lock:
            while at < len(out) and self._clips:
                clip = self._clips[0]
                if clip.gen != self._speaking:
                    began = self._speaking = clip.gen
                piece = clip.pcm[clip.at : clip.at + len(out) - at]
                out[at : at + len(piece)] = piece
                at += len(piece)
                clip.at += len(piece)
                if clip.at >= len(clip.pcm):
                    self._clips.popleft()
                    ended.append(clip)
        out[at:] = bytes(len(out) - at)
        if began:
            self._on_speaking(began)
        for clip in ended:
            self._on_spoken(clip.gen, clip.number)
