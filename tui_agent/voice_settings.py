"""`/voice`: shows and changes microphone, loudspeaker, model, language and the rest, until the program ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from textual.content import Content

from tui_agent.config import Voice
from tui_agent.state.clean import clean_line
from tui_agent.ui.screens.picker import Picker, Row
from tui_agent.voice.models import DEFAULT_MODEL, HUB_MODELS
from tui_agent.voice.wire import Devices

if TYPE_CHECKING:
    from tui_agent.app import ChatApp
    from tui_agent.talking import Talking

DIM: Final = "$foreground 56%"
S = Content.styled
TITLES: Final = {
    "device": "microphone", "output": "loudspeaker", "model": "model", "language": "language", "voice": "voice",
    "rate": "words a minute", "pitch": "pitch", "volume": "volume",
    "send": "what was said", "silence_s": "silence that ends",
}  # fmt: skip
LANGUAGES: Final = "en de fr es it pt nl pl sv da nb fi cs uk ru tr ar he hi zh ja ko vi id".split()  # noqa: SIM905
CHOICES: Final = {
    "send": ("auto", "review"),
    "rate": ("120", "150", "180", "210", "240", "300"),
    "pitch": ("30", "50", "70"),
    "volume": ("0.3", "0.6", "0.8", "1.0"),
    "silence_s": ("0.5", "0.8", "1.2", "2.0"),
}
EXPLAINED: Final = {"auto": "sent at once", "review": "put into the input to check"}


class VoiceSettings:
    """Opens the lists and takes what was chosen or typed."""

    def __init__(self, app: ChatApp, talking: Talking) -> None:
        self._app = app
        self._talking = talking
        self._asked = ""  # the setting that waits for the list of devices

    def command(self, words: str) -> None:
        """`/voice`, `/voice KEY`, `/voice KEY VALUE`; KEY is what `[voice]` calls it."""
        key, _, value = words.strip().partition(" ")
        if not key:
            self._show_all()
        elif key not in TITLES:
            self._app.say(f"/voice takes one of: {', '.join(TITLES)}")
        elif value:
            self.set(key, value.strip())
        else:
            self._choose(key)

    def set(self, key: str, value: str) -> None:
        """Take a value, or say what is wrong with it."""
        kinds = {field.name: field.type for field in msgspec.structs.fields(Voice)}
        try:
            taken: Any = msgspec.convert("" if value == "default" else value, kinds[key], strict=False)
        except msgspec.ValidationError:
            self._app.say(f"{clean_line(value)[:40]} is no value for {key}; /voice {key} lists some.")
            return
        self._app.say(f"{TITLES[key]}: {clean_line(value)} until you leave; [voice] {key} in config.toml keeps it.")
        self._talking.change(msgspec.structs.replace(self._talking.voice, **{key: taken}))

    def devices_came(self, devices: Devices) -> None:
        """The list that `/voice device` or `output` waits for."""
        key, self._asked = self._asked, ""
        if key:
            names = devices.inputs if key == "device" else devices.outputs
            self._open(key, ["default", *names])

    # ---- lists ---------------------------------------------------------------------------------------

    def _value(self, key: str) -> str:
        value = getattr(self._talking.voice, key)
        return str(value) if value != "" else DEFAULT_MODEL if key == "model" else "default"

    def _show_all(self) -> None:
        rows = [
            Row(
                key,
                S(title.ljust(20), "$foreground") + S(clean_line(self._value(key)), "$text-accent"),
                f"{title} {key}",
            )
            for key, title in TITLES.items()
        ]
        picker = Picker("Voice", "what to change", rows)
        self._app.push_screen(picker, lambda key: self._choose(key) if key else None)

    def _choose(self, key: str) -> None:
        match key:
            case "device" | "output":
                self._asked = key
                self._talking.ask_devices()
            case "model":
                self._open(key, list(HUB_MODELS))
            case "language":
                self._open(key, ["default", *LANGUAGES])
            case "voice":
                self._open(key, ["default", *LANGUAGES])
            case _:
                self._open(key, list(CHOICES[key]))

    def _open(self, key: str, values: list[str]) -> None:
        present = self._value(key)
        rows = [_row(value, value == present) for value in dict.fromkeys(values)]
        picker = Picker(
            f"Voice: {TITLES[key]}", "choose, or type another", rows, first=present,
            made_of=lambda text: _row(text, is_present=False),
        )  # fmt: skip
        self._app.push_screen(picker, lambda value: self.set(key, value) if value else None)


def _row(value: str, is_present: bool) -> Row:
    words = clean_line(value)
    note = " · now" if is_present else ""
    model = HUB_MODELS.get(value)
    more = EXPLAINED.get(value, "") or (f"about {model.about_mb} MB" if model is not None else "")
    return Row(value, S(words, "$foreground") + S(f"  {more}" if more else "", DIM) + S(note, DIM), words)
