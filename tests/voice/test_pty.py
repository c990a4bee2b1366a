"""In a real terminal: the composer is red while the microphone is open, no byte of ALSA or PortAudio comes through,
and nothing that makes sound is loaded into the program that draws.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pyte

from tests.fakes.agents import InstantAgent
from tests.fakes.cells import lines_of
from tests.fakes.served import served
from tests.voice.sound import MODEL, VirtualSound

COLUMNS, LINES = 80, 24
F2, ESCAPE, SHIFT_F2 = b"\x1bOQ", b"\x1b", b"\x1b[1;2Q"
ENOUGH_S = 40.0
VOICE_LIBRARIES = ("portaudio", "ctranslate2", "onnxruntime", "_multiarray_umath", "espeak", "asound")


class Terminal:
    """`tui-agent` on a pseudo-terminal, as pyte shows it."""

    def __init__(self, pid: int, fd: int) -> None:
        self.pid, self.fd = pid, fd
        self.screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self.fd, 65_536)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self.fd)
            return
        self.raw += data
        # pyte does not know the kitty protocol's and synchronised output's sequences, which draw nothing.
        self._stream.feed(data.replace(b"\x1b[>25u", b"").replace(b"\x1b[<u", b""))
        self.changed.set()

    def press(self, key: bytes) -> None:
        os.write(self.fd, key)

    @property
    def text(self) -> str:
        return "\n".join(lines_of(self.screen))

    @property
    def status(self) -> str:
        """The last line."""
        return lines_of(self.screen)[-1]

    def box_colour(self) -> str:
        """Of the composer's corner."""
        for y in reversed(range(LINES)):
            for x in range(4):
                if self.screen.buffer[y][x].data == "╰":
                    return str(self.screen.buffer[y][x].fg)
        return ""

    async def until(self, is_so: Callable[[], bool], within_s: float = ENOUGH_S) -> None:
        try:
            async with asyncio.timeout(within_s):
                while not is_so():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise AssertionError(f"it never became so; the screen is\n{self.text}") from None


@asynccontextmanager
async def terminal(*arguments: str) -> AsyncIterator[Terminal]:
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LANG="C.UTF-8")
        os.execv(
            sys.executable,
            [sys.executable, "-P", "-c", "import sys; from tui_agent.cli import main; sys.exit(main())", *arguments],
        )
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    shown = Terminal(pid, fd)
    try:
        yield shown
    finally:
        asyncio.get_running_loop().remove_reader(fd)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(fd)


async def test_the_box_is_red_while_the_microphone_is_open(
    home: Path, sound: VirtualSound, clips: Callable[[str], Path]
) -> None:
    async with served(home, InstantAgent("One two three four five six.")) as server:
        url = f"unix:{server.address}"
        async with terminal("--server", url, "--user", "ada", "--whisper-model", str(MODEL)) as shown:
            await shown.until(lambda: "live" in shown.status and "F2 talk" in shown.status)
            quiet = shown.box_colour()
            shown.press(F2)
            await shown.until(lambda: "listening" in shown.text)
            await shown.until(lambda: shown.box_colour() != quiet)
            red, green, blue = (int(shown.box_colour()[at : at + 2], 16) for at in (0, 2, 4))
            assert red > 1.4 * max(green, blue)
            await sound.play(clips("what time is it"))
            await shown.until(lambda: "0:0" in shown.status or "what time is it" in shown.text)
            await shown.until(lambda: "▎ what time is it" in shown.text)
            await shown.until(lambda: shown.box_colour() == quiet)
            await shown.until(lambda: "One two three four five six." in shown.text)

            await asyncio.sleep(0.8)  # so that the next press is no repeat of a held key
            shown.press(SHIFT_F2)
            await shown.until(lambda: "spoken aloud" in shown.text)
            shown.press(F2)
            await shown.until(lambda: "listening" in shown.text)
            shown.press(ESCAPE)
            await shown.until(lambda: "discarded" in shown.text)
            await shown.until(lambda: shown.box_colour() == quiet)

            maps = Path(f"/proc/{shown.pid}/maps").read_text()
            assert [name for name in VOICE_LIBRARIES if name in maps] == []
            for noise in (b"ALSA", b"PortAudio", b"Audio saved", b"Traceback"):
                assert noise not in shown.raw


async def test_on_a_machine_without_sound_not_a_byte_disturbs_the_screen(
    home: Path, sound: VirtualSound, monkeypatch: object
) -> None:
    """Where nothing works, the libraries are loudest."""
    os.environ["PULSE_SERVER"] = f"unix:{home}/nobody"  # the fixture puts it back
    async with served(home, InstantAgent()) as server:
        url = f"unix:{server.address}"
        async with terminal("--server", url, "--user", "ada", "--whisper-model", str(MODEL)) as shown:
            await shown.until(lambda: "F2 talk" in shown.status)
            shown.press(F2)
            await shown.until(lambda: "tui-agent voice doctor" in shown.status)
            shown.press(SHIFT_F2)
            await shown.until(lambda: "spoken aloud" in shown.text)
            shown.press(b"hello")
            await shown.until(lambda: "› hello" in shown.text)
            await asyncio.sleep(0.1)  # an Enter that follows closely is part of a paste
            shown.press(b"\r")
            await shown.until(lambda: "▎ hello" in shown.text)
            await shown.until(lambda: "oudspeaker" in shown.status)
            log = home / "tui-agent" / "voice.log"
            assert "Audio saved" in log.read_text()  # what pyttsx3 prints went there
            for noise in (b"ALSA", b"Expression", b"Audio saved", b"PaAlsa"):
                assert noise not in shown.raw
