"""What can be missing or broken, each in one plain sentence with the command that mends it."""

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
    return VoiceFault("library", f"PortAudio is missing, so there is no sound. Install it: {_INSTALL} {package}")


def no_library(name: str) -> VoiceFault:
    return VoiceFault("library", f"The library {name} does not load. Install it anew: {REINSTALL}")


def no_microphone() -> VoiceFault:
    return VoiceFault("microphone", f"No microphone was found. Plug one in; {DOCTOR} lists what is there.")


def microphone_refused() -> VoiceFault:
    return VoiceFault(
        "microphone", f"The microphone cannot be opened; another program may hold it. See what is there: {DOCTOR}"
    )


def microphone_lost() -> VoiceFault:
    return VoiceFault(
        "microphone", f"The microphone went away while recording. Plug it in again; F2 retries, or {DOCTOR}"
    )


def microphone_silent() -> VoiceFault:
    return VoiceFault("microphone", f"The microphone gives no sound at all. See which one is used: {DOCTOR}")


def unknown_device(name: str, part: Part) -> VoiceFault:
    what, key = ("microphone", "device") if part == "microphone" else ("loudspeaker", "output")
    return VoiceFault(part, f"There is no {what} “{name}”. Choose one that {DOCTOR} lists: /voice {key} NAME")


def no_speaker() -> VoiceFault:
    return VoiceFault("speaker", f"No loudspeaker was found; answers are not spoken. See what is there: {DOCTOR}")


def speaker_lost() -> VoiceFault:
    return VoiceFault("speaker", f"The loudspeaker went away; the answer is on the screen. See what is there: {DOCTOR}")


def no_speech_engine() -> VoiceFault:
    if _IS_MAC:
        return VoiceFault("speech", f"The system's speech does not start; answers are not spoken. Try: {REINSTALL}")
    return VoiceFault("speech", f"eSpeak is missing; answers are not spoken. Install it: {_INSTALL} espeak-ng")


def speech_failed() -> VoiceFault:
    return VoiceFault("speech", f"A sentence could not be spoken; it is on the screen. Check speech: {DOCTOR}")


def unknown_voice(name: str) -> VoiceFault:
    return VoiceFault("voice", f"There is no voice “{name}”; the default one speaks. List them: espeak-ng --voices")


def unknown_language(name: str) -> VoiceFault:
    return VoiceFault(
        "language", f"The model does not know the language “{name}”; English is used. Set it: /voice language en"
    )


def no_model() -> VoiceFault:
    return VoiceFault("model", "There is no Whisper model, so nothing can be heard. Get it: tui-agent voice setup")


def broken_model(folder: str) -> VoiceFault:
    return VoiceFault("model", f"The Whisper model in {folder} is damaged. Get it anew: tui-agent voice setup")


def transcription_failed() -> VoiceFault:
    return VoiceFault("model", f"What was said could not be transcribed. Say it again with F2, or {DOCTOR}")


def process_ended() -> VoiceFault:
    return VoiceFault("process", "The voice process ended and was started again. Say it again with F2.")


def process_ends_again(log: str) -> VoiceFault:
    return VoiceFault("process", f"The voice process ended twice; F2 starts it again. Why, stands in {log}")
