"""What the app and the voice process tell each other: one JSON object a line, commands on stdin, events on stdout.

`gen` is a generation: each listening and each spoken answer has its own, ever growing, so that what comes late is known
as late and dropped. Unknown types are ignored, so that words shown while one speaks can be added.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import Struct

Part = Literal["library", "microphone", "speaker", "model", "speech", "language", "voice", "process"]
Ending = Literal["silence", "finish", "limit", "nothing", "lost"]


class _Command(Struct, frozen=True, kw_only=True, tag_field="type"):
    pass


class Configure(_Command, tag="configure", frozen=True, kw_only=True):
    """Always the first command; later ones change what is named. "" is the default of the machine."""

    model: str = ""  # a folder; "": none is here
    language: str = ""
    device: str = ""
    output: str = ""
    voice: str = ""
    rate: int = 180
    pitch: int = 50
    volume: float = 1.0
    gpu: bool = True  # where there is one


class Warm(_Command, tag="warm", frozen=True, kw_only=True):
    """Load what listening and speaking need, before it is needed."""

    hearing: bool = False
    speech: bool = False


class Listen(_Command, tag="listen", frozen=True, kw_only=True):
    """Open the microphone. It closes by itself after `silence_s` without speech, or as the other two say."""

    gen: int
    silence_s: float = 0.8
    nothing_s: float = 6.0  # without any speech; 0: wait for ever
    longest_s: float = 60.0


class Finish(_Command, tag="finish", frozen=True, kw_only=True):
    """Close the microphone and transcribe."""

    gen: int


class Discard(_Command, tag="discard", frozen=True, kw_only=True):
    """Close the microphone, forget what was heard; nothing of this generation is told any more."""

    gen: int


class Speak(_Command, tag="speak", frozen=True, kw_only=True):
    """Say a sentence after those before. Answered by one Spoken, whatever happens, unless silenced."""

    gen: int
    number: int
    text: str


class Silence(_Command, tag="silence", frozen=True, kw_only=True):
    """Be silent at once, and drop every Speak up to this generation."""

    gen: int


class ListDevices(_Command, tag="list_devices", frozen=True, kw_only=True):
    """Answered by Devices."""


class Check(_Command, tag="check", frozen=True, kw_only=True):
    """Try every part: answered by one Checked each, the last of them for `speech`."""


class _Event(Struct, frozen=True, kw_only=True, tag_field="type"):
    pass


class Ready(_Event, tag="ready", frozen=True, kw_only=True):
    """The process runs."""

    pid: int


class Listening(_Event, tag="listening", frozen=True, kw_only=True):
    """The microphone is open and gives sound."""

    gen: int


class Level(_Event, tag="level", frozen=True, kw_only=True):
    """How loud it is, 0 to 1, about 15 times a second."""

    gen: int
    level: float
    is_speech: bool
    elapsed_s: float


class Ended(_Event, tag="ended", frozen=True, kw_only=True):
    """The microphone is closed. A Text follows, unless nothing was heard or the device was lost."""

    gen: int
    why: Ending


class Text(_Event, tag="text", frozen=True, kw_only=True):
    """What was said; "" when it could not be made out."""

    gen: int
    text: str
    audio_s: float = 0.0
    model_s: float = 0.0


class Speaking(_Event, tag="speaking", frozen=True, kw_only=True):
    """The first sound of a generation is on its way to the loudspeaker."""

    gen: int


class Spoken(_Event, tag="spoken", frozen=True, kw_only=True):
    """The last sample of this sentence was handed to the loudspeaker."""

    gen: int
    number: int


class Trouble(_Event, tag="trouble", frozen=True, kw_only=True):
    """A part is missing or broken: a sentence with the mending command. `gen` 0: not about one listening."""

    part: Part
    sentence: str
    gen: int = 0


class Devices(_Event, tag="devices", frozen=True, kw_only=True):
    """Names; the defaults are "" where there is none."""

    inputs: list[str]
    outputs: list[str]
    input: str
    output: str


class Checked(_Event, tag="checked", frozen=True, kw_only=True):
    """One part was tried."""

    part: Part
    is_ok: bool
    sentence: str


Command = Configure | Warm | Listen | Finish | Discard | Speak | Silence | ListDevices | Check
Event = Ready | Listening | Level | Ended | Text | Speaking | Spoken | Trouble | Devices | Checked

_encoder: Final = msgspec.json.Encoder()
_commands: Final = msgspec.json.Decoder(Command)
_events: Final = msgspec.json.Decoder(Event)


def encode(message: Command | Event) -> bytes:
    """One line."""
    return _encoder.encode(message) + b"\n"


def decode_command(line: bytes) -> Command | None:
    """None: not a command that is known here."""
    try:
        command: Command = _commands.decode(line)
    except msgspec.MsgspecError:
        return None
    return command


def decode_event(line: bytes) -> Event | None:
    """None: not an event that is known here."""
    try:
        event: Event = _events.decode(line)
    except msgspec.MsgspecError:
        return None
    return event
