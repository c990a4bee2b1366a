"""A download as the app and `voice setup` see it: started, watched, cancelled. The work is a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from typing import Any, Final

from tui_agent.voice.download import STALL_S
from tui_agent.voice.models import HUB_MODELS, hub_endpoint

GRACE_S: Final = 10.0  # beyond its own stall time-out: then it hangs where no time-out reaches (a name look-up)


class Download:
    """One model. `run` ends with a sentence for a person, or "" when the model is there."""

    def __init__(self, name: str, on_progress: Callable[[Download], None], stall_s: float = STALL_S) -> None:
        self.name = name
        self.done_bytes = 0
        self.total_bytes = HUB_MODELS[name].about_mb * 1_000_000
        self.folder = ""
        self._on_progress = on_progress
        self._stall_s = stall_s

    @property
    def share(self) -> float:
        """0 to 1."""
        return min(1.0, self.done_bytes / self.total_bytes) if self.total_bytes else 0.0

    async def run(self) -> str:
        """Cancelling kills the process; what came stays for the next try."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "tui_agent.voice.download", self.name, "--stall-s", f"{self._stall_s:g}",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None
        sentence = "The download ended unexpectedly. Try again, it goes on where it was: tui-agent voice setup"
        try:
            while True:
                async with asyncio.timeout(self._stall_s + GRACE_S):
                    line = await process.stdout.readline()
                if not line:
                    return sentence
                event: dict[str, Any] = json.loads(line)
                match event["type"]:
                    case "progress":
                        self.done_bytes, self.total_bytes = event["done"], event["total"]
                        self._on_progress(self)
                    case "finished":
                        self.folder = event["folder"]
                        return ""
                    case _:
                        sentence = str(event["sentence"])
        except TimeoutError:
            return f"Nothing comes from {where_from()}. Check the network, then: tui-agent voice setup"
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def where_from() -> str:
    """The host that models come from."""
    return hub_endpoint().partition("://")[2] or hub_endpoint()


def offer(name: str) -> str:
    """What a person is asked before a download: name, size, from where."""
    model = HUB_MODELS[name]
    return f"the Whisper model {name}, about {model.about_mb} MB, from {where_from()}/{model.repo}"
