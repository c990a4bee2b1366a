"""The voice process: `python -P -m tui_agent.voice.worker`. Microphone, model, speech and loudspeaker live here alone.

Commands come as JSON lines on stdin, events leave on what was stdout. ALSA, PortAudio and pyttsx3 print on fd 1 and 2,
where the app draws: both are the log here. It ends when stdin does, so it never outlives the app.

Threads: main renders speech (macOS wants that), `ear` listens, `scribe` transcribes, `reader` takes commands, `writer`
tells events; PortAudio has its own.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from typing import Final

from tui_agent.voice.wire import (
    Check,
    Configure,
    Discard,
    Event,
    Finish,
    Level,
    ListDevices,
    Listen,
    Ready,
    Silence,
    Speak,
    Warm,
    decode_command,
    encode,
)

QUEUE_EVENTS: Final = 1000


class Worker:
    """The parts and who tells what to whom."""

    def __init__(self, events_fd: int) -> None:
        from tui_agent.voice.ear import Ear
        from tui_agent.voice.mouth import Mouth
        from tui_agent.voice.scribe import Scribe

        self._events_fd = events_fd
        self._events: queue.Queue[Event] = queue.Queue(QUEUE_EVENTS)
        self.scribe = Scribe(self.emit)
        self.ear = Ear(self.emit, self.scribe)
        self.mouth = Mouth(self.emit)

    def emit(self, event: Event) -> None:
        """Tell the app; from any thread, never waiting. A level is dropped while 1,000 events wait."""
        if isinstance(event, Level) and self._events.qsize() > QUEUE_EVENTS // 2:
            return
        try:
            self._events.put_nowait(event)
        except queue.Full:
            os._exit(1)  # the app has not read for minutes; it starts another

    def run(self) -> None:
        """For ever; the main thread."""
        threading.Thread(target=self._write, name="writer", daemon=True).start()
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        self.emit(Ready(pid=os.getpid()))
        self.mouth.run()

    def _write(self) -> None:
        while True:
            line = encode(self._events.get())
            try:
                while line:
                    line = line[os.write(self._events_fd, line) :]
            except OSError:
                os._exit(0)

    def _read(self) -> None:
        for line in sys.stdin.buffer:
            command = decode_command(line)
            if command is not None:
                self._do(command)
        os._exit(0)  # threads may be inside C; nothing here needs an orderly end

    def _do(self, command: object) -> None:
        match command:
            case Listen():
                self.ear.listen(command)
            case Finish(gen=gen):
                self.ear.finish(gen)
            case Discard(gen=gen):
                self.ear.discard(gen)
            case Speak():
                self.mouth.speak(command)
            case Silence(gen=gen):
                self.mouth.player.silence(gen)
            case Configure():
                for part in (self.scribe, self.ear, self.mouth):
                    part.configure(command)
            case Warm(hearing=hearing, speech=speech):
                if hearing:
                    self.scribe.warm()
                if speech:
                    self.mouth.warm()
            case ListDevices():
                from tui_agent.voice.checks import list_devices

                list_devices(self.emit)
            case Check():
                from tui_agent.voice.checks import check_all

                self.mouth.do(lambda: check_all(self))


def main() -> None:
    """Never returns."""
    events_fd = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    Worker(events_fd).run()


if __name__ == "__main__":
    main()
