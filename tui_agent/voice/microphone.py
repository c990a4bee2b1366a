"""The microphone: 16 kHz, mono, in blocks of 512 samples; open only while somebody listens."""

from __future__ import annotations

import contextlib
import queue
from typing import Any, Final

import numpy as np

from tui_agent.state.endpoint import BLOCK_SAMPLES, RATE
from tui_agent.voice import sound
from tui_agent.voice.troubles import microphone_lost, microphone_refused, microphone_silent

Block = np.ndarray[Any, np.dtype[np.float32]]

QUEUE_BLOCKS: Final = 2200  # 70 s; a recording is at most 60
FIRST_BLOCK_S: Final = 3.0  # a headset that changes its profile takes up to two, an idle virtual source two
NEXT_BLOCK_S: Final = 1.0


class Microphone:
    """Open it, read blocks, close it. What is not read for 70 s is lost, the newest first."""

    def __init__(self, device: str) -> None:
        """Raises VoiceFault when it cannot be opened."""
        sounddevice = sound.load()
        self._blocks: queue.Queue[bytes] = queue.Queue(QUEUE_BLOCKS)
        self._has_begun = False
        self._rest: Block = np.zeros(0, dtype=np.float32)

        def make(index: int) -> Any:
            self._rate = RATE
            try:
                sounddevice.check_input_settings(index, channels=1, dtype="int16", samplerate=RATE)
            except sounddevice.PortAudioError:  # a bare sound card that knows its own rate only
                self._rate = int(sounddevice.query_devices(index)["default_samplerate"])
            return sounddevice.RawInputStream(
                device=index, samplerate=self._rate, channels=1, dtype="int16",
                blocksize=BLOCK_SAMPLES * self._rate // RATE, callback=self._took,
            )  # fmt: skip

        self._stream: Any = sound.open_stream(device, "input", make, microphone_refused())

    def _took(self, data: Any, _frames: int, _time: Any, _status: Any) -> None:
        with contextlib.suppress(queue.Full):
            self._blocks.put_nowait(bytes(data))

    @property
    def waiting(self) -> int:
        """Blocks that came and were not read."""
        return self._blocks.qsize()

    def read(self, timeout_s: float) -> list[Block]:
        """The blocks that came within `timeout_s`, perhaps none. Raises queue.Empty then."""
        pcm = np.frombuffer(self._blocks.get(timeout=timeout_s), dtype="<i2")
        data: Block = pcm.astype(np.float32) * np.float32(1 / 32768)
        self._has_begun = True
        if self._rate != RATE:
            data = resample(data, self._rate, RATE)
        data = np.concatenate((self._rest, data)) if len(self._rest) else data
        whole = len(data) // BLOCK_SAMPLES * BLOCK_SAMPLES
        self._rest = data[whole:]
        return list(data[:whole].reshape(-1, BLOCK_SAMPLES))

    def check(self, silent_s: float) -> None:
        """Call it when nothing came for so long. Raises VoiceFault when that means that the device is gone.

        A sound server that dies raises nothing: the stream is just not active any more, or gives no blocks.
        """
        if not self._stream.active:
            raise microphone_lost()
        if self._has_begun and silent_s >= NEXT_BLOCK_S:
            raise microphone_lost()
        if not self._has_begun and silent_s >= FIRST_BLOCK_S:
            raise microphone_silent()

    def close(self) -> None:
        """Once or more."""
        sound.close_stream(self._stream)


def resample(samples: Block, rate: int, wanted: int) -> Block:
    """One block at another rate; averaged first where samples are left out, so that high tones do not fold down."""
    if rate > wanted:
        width = max(1, round(rate / wanted))
        samples = np.convolve(samples, np.ones(width) / width, mode="same").astype(np.float32)
    count = len(samples) * wanted // rate
    at = np.arange(count) * rate / wanted
    return np.interp(at, np.arange(len(samples)), samples).astype(np.float32)


def loudness(block: Block) -> float:
    """0 to 1 for -60 dB to -10 dB of the full scale."""
    power = float(np.mean(block * block)) + 1e-12
    return float(min(1.0, max(0.0, (10 * np.log10(power) + 60) / 50)))
