"""PortAudio through sounddevice: loaded when first needed, looked at anew when a device is not there.

PortAudio lists devices once, when it is initialised, and is not made for several threads: `LOCK` is held over
everything that opens, closes or initialises.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal

from tui_agent.voice.troubles import VoiceFault, no_library, no_microphone, no_portaudio, no_speaker, unknown_device

LOCK = threading.RLock()
_open_streams: list[Any] = []
Kind = Literal["input", "output"]


def load() -> Any:
    """The module sounddevice. Raises VoiceFault."""
    try:
        import sounddevice
    except OSError:
        raise no_portaudio() from None
    except ImportError:
        raise no_library("sounddevice") from None
    return sounddevice


def refresh() -> None:
    """See devices that came or went. Not while a stream is open: PortAudio would free it under its user."""
    sounddevice = load()
    with LOCK:
        if _open_streams:
            return
        sounddevice._terminate()
        sounddevice._initialize()


def names(kind: Kind) -> list[str]:
    """The devices of one kind, as they are chosen by."""
    found = [device["name"] for device in load().query_devices() if device[f"max_{kind}_channels"] > 0]
    return list(dict.fromkeys(found))


def default_name(kind: Kind) -> str:
    """ "" when there is none."""
    try:
        return str(load().query_devices(kind=kind)["name"])
    except (ValueError, load().PortAudioError):
        return ""


def find(name: str, kind: Kind) -> int:
    """The index of a device: the default one, or by its name or a part of it. Raises VoiceFault."""
    sounddevice = load()
    channels = f"max_{kind}_channels"
    if not name:
        index = int(sounddevice.default.device[kind])
        if index >= 0:
            return index
        raise no_microphone() if kind == "input" else no_speaker()
    devices = [device for device in sounddevice.query_devices() if device[channels] > 0]
    for is_it in (lambda other: other == name, lambda other: name.lower() in other.lower()):
        for device in devices:
            if is_it(device["name"]):
                return int(device["index"])
    raise unknown_device(name, "microphone" if kind == "input" else "speaker")


def open_stream(name: str, kind: Kind, make: Callable[[int], Any], refused: VoiceFault) -> Any:
    """Start the stream that `make(index)` makes; a second try looks at the devices anew. Raises VoiceFault."""
    sounddevice = load()
    with LOCK:
        try:
            return _started(make, find(name, kind))
        except (VoiceFault, sounddevice.PortAudioError):
            refresh()
        try:
            return _started(make, find(name, kind))
        except sounddevice.PortAudioError:
            raise refused from None


def _started(make: Callable[[int], Any], index: int) -> Any:
    stream = make(index)
    try:
        stream.start()
    except BaseException:
        stream.close(ignore_errors=True)
        raise
    _open_streams.append(stream)
    return stream


def close_stream(stream: Any) -> None:
    """At once, without playing what waits; once or more."""
    with LOCK:
        if stream in _open_streams:
            _open_streams.remove(stream)
            stream.abort(ignore_errors=True)
            stream.close(ignore_errors=True)
