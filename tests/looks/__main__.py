"""`make snap`: one PNG for each picture of the look, and the pictures of the README.

python -m tests.looks [FOLDER]     PNGs into FOLDER (default .snap), SVGs into docs/images
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.looks.png import png
from tests.looks.readme import images
from tests.looks.scenes import SCENES, scene

ROOT = Path(__file__).resolve().parents[2]
PICTURES = {
    "p120_live": ("streaming", 120, 40, "dusk"),
    "p120_dawn": ("recording", 120, 40, "dawn"),
    "p120_reconnect": ("reconnecting", 120, 40, "dusk"),
    "p80_live": ("streaming", 80, 24, "dusk"),
    "p80_voice": ("recording", 80, 24, "dusk"),
    "p50_live": ("streaming", 50, 20, "dusk"),
    "p50_reconnect": ("reconnecting", 50, 20, "dusk"),
    "rooms": ("rooms", 120, 40, "dusk"),
    "search": ("search", 80, 24, "dawn"),
    "palette": ("palette", 120, 40, "dusk"),
    "help": ("help", 120, 40, "dusk"),
    "empty": ("empty", 80, 24, "dusk"),
    "queued": ("queued", 80, 24, "dusk"),
    "error": ("error", 80, 24, "dusk"),
    "interrupted": ("interrupted", 80, 24, "dawn"),
}


def _at_home(home: str) -> None:
    for variable in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        os.environ[variable] = home


async def pictures(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, (state, width, height, theme) in PICTURES.items():
        with tempfile.TemporaryDirectory(prefix="ta") as home:
            _at_home(home)
            async with scene((width, height), theme) as shown:
                await SCENES[state](shown)
                png(shown.app, folder / f"{name}.png")


def main() -> None:
    os.environ["TZ"] = "UTC"
    time.tzset()
    with tempfile.TemporaryDirectory(prefix="ta") as home:
        _at_home(home)
        asyncio.run(images(ROOT / "docs" / "images", Path(home)))
    asyncio.run(pictures(Path(sys.argv[1] if sys.argv[1:] else ".snap")))


if __name__ == "__main__":
    main()
