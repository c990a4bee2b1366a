"""Sound to text: one Whisper model, loaded once from a folder and never from the hub."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tui_agent.state.endpoint import RATE
from tui_agent.voice.microphone import Block
from tui_agent.voice.models import find_fault
from tui_agent.voice.troubles import (
    broken_model,
    no_library,
    no_model,
    transcription_failed,
    unknown_language,
)

# What a model makes of noise: it doubts that there is speech, it doubts its words, or it repeats itself.
NO_SPEECH: Final = 0.6
LEAST_LOGPROB: Final = -1.0
MOST_COMPRESSION: Final = 2.4
WINDOW_TOKENS: Final = 200  # a window is 30 s; 448 with the prompt is the model's end
MOST_THREADS: Final = 4


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said, "" when nothing that is sure enough; `model_s` is the time the model took."""

    text: str
    model_s: float


class Recognizer:
    """A loaded model. GPU where CTranslate2 finds one, else 8-bit on the CPU."""

    def __init__(self, folder: str, *, may_use_gpu: bool = True) -> None:
        """Raises VoiceFault."""
        if not folder:
            raise no_model()
        if find_fault(Path(folder)):  # a folder without tokenizer.json would send faster-whisper to the hub
            raise broken_model()
        try:
            import ctranslate2
            from faster_whisper import WhisperModel
        except (ImportError, OSError):
            raise no_library("faster-whisper") from None
        has_gpu = may_use_gpu and ctranslate2.get_cuda_device_count() > 0
        # The GPU first; its libraries (cuBLAS, cuDNN) may be missing, which shows when it is used.
        ways = [("cuda", "float16")] * has_gpu + [("cpu", "int8")]
        for device, compute_type in ways:
            try:
                self._model: Any = WhisperModel(
                    folder, device=device, compute_type=compute_type, local_files_only=True,
                    cpu_threads=min(MOST_THREADS, os.cpu_count() or 1),
                )  # fmt: skip
                self.device = device
                if device == "cuda":
                    self._try()
                break
            except Exception:  # RuntimeError, ValueError, Exception: CTranslate2 and tokenizers raise all of them
                if device == "cpu":
                    raise broken_model() from None
        self._language_is_told = ""

    def _try(self) -> None:
        import numpy as np

        self._run(np.zeros(RATE, dtype=np.float32), "en")

    def check_language(self, language: str) -> str:
        """The language to use for a wish ("" or `de_DE.UTF-8` or `de`). Raises VoiceFault once for an unknown one."""
        wanted = language.replace("-", "_").partition("_")[0].partition(".")[0].lower()
        if wanted in ("", "c", "posix"):
            return "en"
        if wanted in self._model.supported_languages and self._has_token(wanted):
            return wanted
        if self._language_is_told != language:
            self._language_is_told = language
            raise unknown_language(language)
        return "en"

    def _has_token(self, language: str) -> bool:
        return not self._model.model.is_multilingual or (
            self._model.hf_tokenizer.token_to_id(f"<|{language}|>") is not None
        )

    def transcribe(self, audio_16k_mono: Block, language: str) -> Heard:
        """`language` as check_language gave it. Raises VoiceFault."""
        began_s = time.perf_counter()
        try:
            text = self._run(audio_16k_mono, language)
        except Exception:  # RuntimeError of CTranslate2: out of memory, a CUDA library, a damaged model
            raise transcription_failed() from None
        return Heard(text, time.perf_counter() - began_s)

    def _run(self, audio: Block, language: str) -> str:
        segments, _ = self._model.transcribe(
            audio, language=language, beam_size=1, temperature=0, condition_on_previous_text=False,
            without_timestamps=True, max_new_tokens=min(WINDOW_TOKENS, 24 + 12 * len(audio) // RATE),
        )  # fmt: skip
        return " ".join(segment.text.strip() for segment in segments if _is_sure(segment)).strip()


def _is_sure(segment: Any) -> bool:
    if segment.avg_logprob < LEAST_LOGPROB or segment.compression_ratio > MOST_COMPRESSION:
        return False
    return bool(segment.no_speech_prob < NO_SPEECH or segment.avg_logprob > LEAST_LOGPROB / 2)
