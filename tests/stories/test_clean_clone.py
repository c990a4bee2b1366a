"""The README's commands in a copy of what git holds, with a HOME of its own; and the package as pipx installs it.

A download of all dependencies would take minutes, so pip finds them where these tests run (PYTHONPATH) and has no
index. All else is real: virtual environments, build, console scripts, the server that starts by itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SITE = sysconfig.get_path("purelib")


class Machine:
    """A home, the project's folder in it, and how to run something there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.clone = home / "tui-agent"
        self.environ = {
            "PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm-256color",
            "XDG_RUNTIME_DIR": str(home), "PYTHONPATH": SITE, "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_CONFIG_FILE": os.devnull, "TUI_AGENT_DEMO_TOKENS_PER_S": "2000",
        }  # fmt: skip

    def run(self, *command: str, cwd: Path | None = None) -> str:
        """What it printed; it must end well."""
        done = subprocess.run(
            command, cwd=cwd or self.clone, env=self.environ, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=280, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout


@pytest.fixture
def machine() -> Iterator[Machine]:
    home = Path(tempfile.mkdtemp(prefix="ta"))  # short: a socket's path has 108 bytes
    machine = Machine(home)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (machine.clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, machine.clone / name)
    if (ROOT / "tests/foreign/node_modules").is_dir():
        (machine.clone / "tests/foreign/node_modules").symlink_to(ROOT / "tests/foreign/node_modules")
    yield machine
    server = next(iter(home.glob("*/bin/tui-agent-server")), None) or machine.clone / ".venv/bin/tui-agent-server"
    if server.exists():
        subprocess.run([server, "stop"], env=machine.environ, capture_output=True, timeout=20, check=False)
    shutil.rmtree(home)


@pytest.mark.timeout(600)
def test_make_run_works_and_works_again_and_make_test_too(machine: Machine) -> None:
    for _ in range(2):
        assert "demo agent" in machine.run("make", "run", "ARGS=ask hello")
    said = machine.run("make", "test", "ARGS=-q -n 0 -p no:cacheprovider tests/core/test_limiter.py")
    assert " passed" in said.strip().splitlines()[-1]


@pytest.mark.timeout(600)
def test_the_installed_commands_work_where_a_foreign_server_py_lies(machine: Machine) -> None:
    venv = machine.home / "tool"
    machine.run(sys.executable, "-m", "venv", str(venv))
    machine.run(str(venv / "bin/pip"), "install", "--no-deps", ".")
    shutil.rmtree(machine.clone)
    folder = machine.home / "work"
    folder.mkdir()
    for name in ("server.py", "tui_agent.py", "websockets.py"):
        (folder / name).write_text("open('was-run', 'w')\nraise SystemExit('the wrong one')\n")
    for command in ("tui-agent", "tui-agent-server"):
        assert machine.run(str(venv / "bin" / command), "--version", cwd=folder).startswith(f"{command} ")
    assert "demo agent" in machine.run(str(venv / "bin/tui-agent"), "ask", "hello", cwd=folder)
    assert "agent demo" in machine.run(str(venv / "bin/tui-agent-server"), "status", cwd=folder)
    assert not (folder / "was-run").exists()
    assert list((venv / "lib").glob("python*/site-packages/server/app.py")), "it is a copy, not a link into the clone"
