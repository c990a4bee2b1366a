"""`python -m tests.audit`: bandit over the program, a scan for secrets over what git knows, pip-audit where it can.

Exit status 1 for any finding. pip-audit wants a service of known holes; where that cannot be reached one line says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
# A comparison with 0.0.0.0, a fall-back for the runtime folder, the one download (https, fixed), and `status` asking
# the server on this machine: ruff's S rules have each of these lines with its reason.
SKIPPED = "B104,B108,B310,B323"
SCANNED = (".py", ".toml", ".md", ".sh", ".yml", ".cfg", ".tcss", "Makefile", "run")
FIXTURES = ("tests/", "bench/")  # these hold made-up keys on purpose


def bandit() -> bool:
    """Whether bandit has nothing of medium or high weight to say."""
    command = [BIN / "bandit", "-q", "-ll", "--skip", SKIPPED, "-r", "server", "tui_agent"]
    return subprocess.run(command, cwd=ROOT, stderr=subprocess.DEVNULL).returncode == 0


def secrets() -> bool:
    """Whether no tracked file outside the tests looks as if it held a key."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [path for path in tracked.splitlines() if path.endswith(SCANNED) and not path.startswith(FIXTURES)]
    return (
        subprocess.run(
            [BIN / "detect-secrets-hook", "--no-verify", "--exclude-lines", 'api_key="none"', *paths], cwd=ROOT
        ).returncode
        == 0
    )


def pip_audit(*names: str) -> list[dict[str, Any]] | None:
    """What pip-audit says of the installed versions; None where its service cannot be reached."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write("".join(f"{name}=={version(name)}\n" for name in names))
        wanted.flush()
        command = [BIN / "pip-audit", "-r", wanted.name, "--no-deps", "--disable-pip", "-f", "json", "--timeout", "5"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=30 + 2 * len(names))
            dependencies: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
        except (subprocess.TimeoutExpired, ValueError):
            return None
    return None if any("skip_reason" in dependency for dependency in dependencies) else dependencies


def holes() -> bool:
    """Whether no known hole is in what is installed for use."""
    names = ("websockets", "anthropic", "textual", "msgspec", "PyJWT", "platformdirs", "dbos", "faster-whisper")
    if pip_audit(names[0]) is None:
        print("pip-audit: the service of known holes cannot be reached here; skipped.")
        return True
    bad = [dependency for dependency in pip_audit(*names) or [] if dependency["vulns"]]
    for dependency in bad:
        print(f"{dependency['name']} {dependency['version']}: {', '.join(hole['id'] for hole in dependency['vulns'])}")
    return not bad


if __name__ == "__main__":
    sys.exit(0 if all([bandit(), secrets(), holes()]) else 1)
