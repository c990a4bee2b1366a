"""What can be missing or broken, each in one plain sentence with the command that mends it.

Short, because the status line of 80 columns must hold it.
"""

from __future__ import annotations

import sys

from tui_agent.voice.wire import Part

_IS_MAC = sys.platform == "darwin"
_INSTALL = "brew install" if _IS_MAC else "sudo apt install"
REINSTALL = "pip install --force-reinstall tui-agent"
DOCTOR = "tui-agent voice doctor"


class VoiceFault(Exception):
    """A part does not work. The text is a sentence for a person."""

    def __init__(self, part: Part, sentence: str) -> None:
        super().__init__(sentence)
        self.part: Part = part


def no_portaudio() -> VoiceFault:
    package = "portaudio" if _IS_MAC else "libportaudio2"
    return VoiceFault("library", f"PortAudio is missing: {_INSTALL} {package}")


def no_library(name: str) -> VoiceFault:
    return VoiceFault("library", f"{name} does not load: {REINSTALL}")


def no_microphone() -> VoiceFault:
    return VoiceFault("microphone", f"No microphone was found. See: {DOCTOR}")


def microphone_refused() -> VoiceFault:
    return VoiceFault("microphone", f"The microphone cannot be opened. See: {DOCTOR}")


def microphone_lost() -> VoiceFault:
    return VoiceFault("microphone", f"The microphone went away. F2 retries. See: {DOCTOR}")


def microphone_silent() -> VoiceFault:
    return VoiceFault("microphone", f"The microphone gives no sound. See: {DOCTOR}")


def unknown_device(name: str, part: Part) -> VoiceFault:
    what, key = ("microphone", "device") if part == "microphone" else ("loudspeaker", "output")
    return VoiceFault(part, f"No {what} is called “{_short(name)}”. Choose one: /voice {key}")


def no_speaker() -> VoiceFault:
    return VoiceFault("speaker", f"No loudspeaker was found. See: {DOCTOR}")


def speaker_lost() -> VoiceFault:
    return VoiceFault("speaker", f"The loudspeaker went away. See: {DOCTOR}")


def no_speech_engine() -> VoiceFault:
    if _IS_MAC:
        return VoiceFault("speech", f"The system's speech does not start: {REINSTALL}")
    return VoiceFault("speech", f"eSpeak is missing: {_INSTALL} espeak-ng")


def speech_failed() -> VoiceFault:
    return VoiceFault("speech", f"A sentence could not be spoken. See: {DOCTOR}")


def unknown_voice(name: str) -> VoiceFault:
    return VoiceFault("voice", f"No voice is called “{_short(name)}”. Choose one: /voice voice")


def unknown_language(name: str) -> VoiceFault:
    return VoiceFault("language", f"The model does not know “{_short(name)}”; English is used: /voice language")


def no_model() -> VoiceFault:
    return VoiceFault("model", "No Whisper model is here: tui-agent voice setup")


def broken_model() -> VoiceFault:
    return VoiceFault("model", "The Whisper model is damaged: tui-agent voice setup")


def transcription_failed() -> VoiceFault:
    return VoiceFault("model", f"It could not be transcribed. F2 retries. See: {DOCTOR}")


def process_ended() -> VoiceFault:
    return VoiceFault("process", "The voice process ended and runs anew. Say it again: F2")


def speech_ended() -> VoiceFault:
    return VoiceFault("process", "The voice process ended and runs anew. The answer is here.")


def process_ends_again() -> VoiceFault:
    return VoiceFault("process", f"The voice ended twice. F2 retries. See: {DOCTOR}")


def _short(name: str) -> str:
    name = "".join(char if char.isprintable() else "\ufffd" for char in name)
    return name if len(name) <= 16 else f"{name[:15]}…"
