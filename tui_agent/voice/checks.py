"""What the doctor asks the voice process: which devices there are, and whether each part works."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tui_agent.voice import sound
from tui_agent.voice.troubles import VoiceFault, no_microphone, no_speaker
from tui_agent.voice.wire import Checked, Devices, Event, Part, Trouble

if TYPE_CHECKING:
    from tui_agent.voice.worker import Worker


def list_devices(emit: Callable[[Event], None]) -> None:
    """Tell the devices, or the trouble."""
    try:
        emit(
            Devices(
                inputs=sound.names("input"), outputs=sound.names("output"),
                input=sound.default_name("input"), output=sound.default_name("output"),
            )
        )  # fmt: skip
    except VoiceFault as fault:
        emit(Trouble(part=fault.part, sentence=str(fault)))
        emit(Devices(inputs=[], outputs=[], input="", output=""))


def check_all(worker: Worker) -> None:
    """One Checked for each part, `speech` last."""

    def library() -> str:
        sound.load()
        import faster_whisper
        import pyttsx3  # noqa: F401

        return f"sounddevice, faster-whisper {faster_whisper.__version__} and pyttsx3 load"

    def microphone() -> str:
        from tui_agent.voice.microphone import Microphone

        if not sound.names("input"):
            raise no_microphone()
        device = worker.mouth._settings.device
        Microphone(device).close()
        return f"microphone: {device or sound.default_name('input')}"

    def speaker() -> str:
        if not sound.names("output"):
            raise no_speaker()
        output = worker.mouth._settings.output
        sound.find(output, "output")
        return f"loudspeaker: {output or sound.default_name('output')}"

    def model() -> str:
        recognizer = worker.scribe.check()
        recognizer.check_language(worker.mouth._settings.language)
        return f"model: {worker.mouth._settings.model} (on the {'GPU' if recognizer.device == 'cuda' else 'CPU'})"

    def speech() -> str:
        pcm, rate = worker.mouth.engine().render("one two three")
        return f"speech: {len(pcm) / 2 / rate:.1f} s for “one two three”"

    parts: list[tuple[Part, Callable[[], str]]] = [
        ("library", library), ("microphone", microphone), ("speaker", speaker), ("model", model), ("speech", speech),
    ]  # fmt: skip
    for part, check in parts:
        try:
            worker.emit(Checked(part=part, is_ok=True, sentence=check()))
        except VoiceFault as fault:
            worker.emit(Checked(part=part, is_ok=False, sentence=str(fault)))
        except (ImportError, OSError):
            from tui_agent.voice.troubles import REINSTALL

            worker.emit(Checked(part=part, is_ok=False, sentence=f"A library does not load. Try: {REINSTALL}"))
