"""Whether a block holds speech: the Silero model that faster-whisper ships, fed block by block.

faster-whisper uses it on whole recordings only; its session is private there, so tests/voice/test_vad.py pins what is
taken: inputs `input` [1, 64 + 512], `h`, `c` [1, 1, 128], and 64 samples of context before each block.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from faster_whisper.vad import get_vad_model

from tui_agent.state.endpoint import BLOCK_SAMPLES

CONTEXT_SAMPLES: Final = 64


class Vad:
    """One stream of blocks; about 0.1 ms each."""

    def __init__(self) -> None:
        self._session: Any = get_vad_model().session
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._h: Any = np.zeros((1, 1, 128), dtype=np.float32)
        self._c: Any = np.zeros((1, 1, 128), dtype=np.float32)
        self._input = np.zeros((1, CONTEXT_SAMPLES + BLOCK_SAMPLES), dtype=np.float32)

    def probability(self, block: np.ndarray[Any, np.dtype[np.float32]]) -> float:
        """Of speech, 0 to 1, in 512 samples of 16 kHz mono, -1 to 1."""
        self._input[0, :CONTEXT_SAMPLES] = self._input[0, -CONTEXT_SAMPLES:]
        self._input[0, CONTEXT_SAMPLES:] = block
        out, self._h, self._c = self._session.run(None, {"input": self._input, "h": self._h, "c": self._c})
        return float(out.reshape(-1)[0])
