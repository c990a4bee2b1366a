"""The long campaigns: `python -m tests.soak run [NAME…] [--seed N]`, `render`, `check`.

`run` writes docs/soak.json (a campaign that is not named keeps its last figures) and then renders docs/reliability.md.
`check` fails when docs/reliability.md is not what docs/soak.json and the template say.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.soak.render import REPORT, RESULTS, load, render

ROOT = Path(__file__).resolve().parents[2]


def commit() -> str:
    """The commit that is being soaked; with a + when files differ from it."""
    short = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    changed = subprocess.run(
        ["git", "status", "--porcelain", "server", "tui_agent"], cwd=ROOT, capture_output=True, text=True
    )
    return short.stdout.strip() + ("+" if changed.stdout.strip() else "")


def run_one(name: str, seed: int) -> dict[str, Any]:
    """One campaign from start to end; what docs/soak.json keeps of it."""
    from tests.soak.campaigns import BY_NAME

    campaign = BY_NAME[name]
    began_s = time.monotonic()
    result: dict[str, Any] = {
        "commit": commit(),
        "day": datetime.now(UTC).strftime("%Y-%m-%d"),
        "seed": seed,
        "sizes": campaign.sizes,
    }
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
        try:
            figures = campaign.run(Path(folder), seed=seed, **campaign.sizes)
            if inspect.iscoroutine(figures):
                figures = asyncio.run(figures)
            result |= {"passed": True, "figures": figures}
        except Exception:
            traceback.print_exc()
            result |= {"passed": False, "figures": {}}
    result["seconds"] = round(time.monotonic() - began_s, 1)
    return result


def main() -> int:
    from tests.soak.campaigns import BY_NAME

    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("what", choices=["run", "render", "check"])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BY_NAME))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - BY_NAME.keys():
        parser.error(f"no such campaign: {', '.join(sorted(unknown))}")
    if arguments.what == "check":
        if REPORT.exists() and REPORT.read_text() == render(load()):
            return 0
        print("docs/reliability.md is not what docs/soak.json says: run `python -m tests.soak render`.")
        return 1
    failed = 0
    if arguments.what == "run":
        for name in arguments.names or BY_NAME:
            print(f"{name} …", flush=True)
            result = run_one(name, arguments.seed)
            failed += not result["passed"]
            print(f"{name} {'passed' if result['passed'] else 'FAILED'} in {result['seconds']} s: {result['figures']}")
            keep(name, result)
    REPORT.write_text(render(load()))
    return 1 if failed else 0


def keep(name: str, result: dict[str, Any]) -> None:
    """Write the result beside those of the other campaigns."""
    results = load()
    results["machine"] = f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    results["campaigns"][name] = result
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
