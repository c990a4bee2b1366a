"""A virtual sound card, and the voice process on it. What is spoken enters by paplay, what is heard leaves by parec."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.ui.conftest import home, stage  # noqa: F401 - the real app on a real server
from tests.voice.sound import MODEL, VirtualSound
from tui_agent.voice.client import Gone, VoiceClient
from tui_agent.voice.wire import Command, Configure, Event, Level

START_S = 30.0
WITHOUT = """
import ctypes, ctypes.util
find, load = ctypes.util.find_library, ctypes.cdll.LoadLibrary
def load_library(name):
    if {name!r} in str(name):
        raise OSError(f"{{name}}: cannot open shared object file")
    return load(name)
ctypes.util.find_library = lambda name: None if {name!r} in name else find(name)
ctypes.cdll.LoadLibrary = load_library
"""


@pytest.fixture(scope="session")
def sound_server() -> Iterator[VirtualSound]:
    """One a test process, with folders of its own."""
    folder = Path(tempfile.mkdtemp(prefix="tsnd"))  # short: a socket's path has 108 bytes
    sound = VirtualSound(folder)
    sound.start()
    yield sound
    sound.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def sound(sound_server: VirtualSound, monkeypatch: pytest.MonkeyPatch) -> VirtualSound:
    """The sound card, in the environment of what the test starts."""
    for name, value in sound_server.environ.items():
        monkeypatch.setenv(name, value)
    return sound_server


@pytest.fixture
def own_sound(monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualSound]:
    """A sound card that the test may break."""
    folder = Path(tempfile.mkdtemp(prefix="tsnd"))
    sound = VirtualSound(folder)
    sound.start()
    for name, value in sound.environ.items():
        monkeypatch.setenv(name, value)
    yield sound
    sound.stop()
    shutil.rmtree(folder, ignore_errors=True)


class Voice:
    """A running voice process and what it has told."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.events: list[Event | Gone] = []
        self._came = asyncio.Event()
        options: dict[str, object] = {"model": str(MODEL), "language": "en", **settings}
        self.client = VoiceClient(self._take, folder / "voice.log", Configure(**options))

    def _take(self, event: Event | Gone) -> None:
        if not isinstance(event, Level):
            self.events.append(event)
            self._came.set()

    def send(self, command: Command) -> None:
        self.client.send(command)

    async def until(self, wanted: Callable[[Event | Gone], bool], within_s: float = START_S) -> Event | Gone:
        """The first event, told already or to come, that is the wanted one."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    for event in self.events:
                        if wanted(event):
                            return event
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise AssertionError(f"it was not told; told was {self.events}") from None

    async def of(self, kind: type[Event | Gone], within_s: float = START_S, **fields: object) -> Event | Gone:
        """The first event of a kind with these fields."""

        def is_it(event: Event | Gone) -> bool:
            return isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items())

        return await self.until(is_it, within_s)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the client keeps its log and its models."""
    for name in ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path


@pytest.fixture
async def start_voice(folder: Path) -> AsyncIterator[Callable[..., Voice]]:
    """Makes voice processes with settings of the test's choice; they end with the test."""
    running: list[asyncio.Task[None]] = []

    def start(**settings: object) -> Voice:
        voice = Voice(folder, **settings)
        running.append(asyncio.create_task(voice.client.run()))
        return voice

    yield start
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@pytest.fixture
async def voice(sound: VirtualSound, start_voice: Callable[..., Voice]) -> Voice:
    """The voice process on the virtual sound card, with the fixture model."""
    return start_voice()


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a file of what espeak-ng says, once each."""
    folder = tmp_path_factory.mktemp("clips")
    made: dict[str, Path] = {}

    def clip(text: str) -> Path:
        if text not in made:
            made[text] = folder / f"{len(made)}.wav"
            subprocess.run(["espeak-ng", "-v", "en-us", "-s", "160", "-w", made[text], text], check=True)
        return made[text]

    return clip


@pytest.fixture
def without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Takes a library away from the programs that the test starts."""

    def take(name: str) -> None:
        (tmp_path / "sitecustomize.py").write_text(WITHOUT.format(name=name))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return take
