"""Text to sound: pyttsx3 renders one sentence to a file.

It never plays by itself: that hangs, or says the last sentence only.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import Any, Final

from tui_agent.voice.troubles import no_library, no_speech_engine, speech_failed, unknown_voice
from tui_agent.voice.wire import Configure

SET_TRIES: Final = 30


class Speech:
    """The one engine of this process; of use in the thread that made it only (macOS: the main one)."""

    def __init__(self) -> None:
        """Raises VoiceFault."""
        try:
            import pyttsx3
        except ImportError:
            raise no_library("pyttsx3") from None
        self._errors: list[object] = []
        try:
            self._engine: Any = pyttsx3.init()
            self._engine.connect("error", lambda **about: self._errors.append(about))
            self._engine.runAndWait()  # from now on a property is set at once, not with the next sentence
        except Exception:  # RuntimeError, OSError, ImportError, AttributeError: by driver and by what is missing
            raise no_speech_engine() from None
        self._folder = tempfile.TemporaryDirectory(prefix="tui-agent-voice-")
        self._is_set: Configure | None = None

    def configure(self, settings: Configure) -> None:
        """Voice, rate, pitch, volume. Raises VoiceFault for an unknown voice; the default one stays then."""
        if settings == self._is_set:
            return
        self._is_set = settings
        self._set("rate", settings.rate)
        self._set("volume", settings.volume)
        self._set("pitch", settings.pitch)
        if settings.voice and not self._choose(settings.voice):
            self._choose(settings.language)
            raise unknown_voice(settings.voice)
        if not settings.voice and settings.language:
            self._choose(settings.language)

    def _set(self, name: str, value: float) -> None:
        """Until the engine has it: eSpeak loses what comes while it ends the sentence before. Not all have a pitch."""
        with contextlib.suppress(Exception):
            for _ in range(SET_TRIES):
                self._engine.setProperty(name, value)
                if abs(float(self._engine.getProperty(name)) - value) < 0.01:
                    return
                time.sleep(0.01)

    def _choose(self, wanted: str) -> bool:
        """By the engine's own id, else by a name or a language that begins so."""
        if sys.platform == "linux":  # eSpeak takes names and languages, and refuses what it does not know
            self._errors.clear()
            self._engine.setProperty("voice", wanted)
            return not self._errors
        for voice in self._engine.getProperty("voices"):
            languages = [str(language).replace("_", "-").lower() for language in voice.languages or []]
            known = [str(voice.id).lower(), str(voice.name).lower()]
            if wanted.lower() in known or any(language.startswith(wanted.lower()) for language in languages):
                self._engine.setProperty("voice", voice.id)
                return True
        return False

    def render(self, text: str) -> tuple[bytes, int]:
        """(16-bit mono, rate). Raises VoiceFault. A failing engine tells nothing: what it wrote is looked at."""
        path = Path(self._folder.name) / "sentence.wav"
        path.unlink(missing_ok=True)
        try:
            self._engine.save_to_file(text.replace("\0", " "), str(path))
            self._engine.runAndWait()
            pcm, rate = _read(path)
        except Exception:
            raise speech_failed() from None
        finally:
            path.unlink(missing_ok=True)
        return pcm, rate


def _read(path: Path) -> tuple[bytes, int]:
    try:
        with wave.open(str(path), "rb") as file:
            if file.getnchannels() == 1 and file.getsampwidth() == 2:
                return file.readframes(file.getnframes()), file.getframerate()
    except wave.Error:
        pass  # macOS writes AIFF under any name
    import numpy as np
    from faster_whisper import decode_audio

    rate = 22_050
    samples = decode_audio(str(path), sampling_rate=rate)
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes(), rate
