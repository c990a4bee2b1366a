"""The checks that hold for every test can fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE_RULES = Path(__file__).with_name("conftest.py").read_text()
LEAKS = """
import asyncio

async def test_leaks():
    test_leaks.task = asyncio.create_task(asyncio.sleep(60))

async def test_cleans_up():
    asyncio.create_task(asyncio.sleep(60)).cancel()
"""
SKIPS = """
import pytest

@pytest.mark.skip(reason="too tired")
def test_skipped(): ...

@pytest.mark.xfail(strict=True)
def test_expected(): assert False
"""
FAILS_ONCE = """
runs = []

def test_fails_once():
    runs.append("the first of them")
    assert len(runs) == 2, runs
"""
FILE_SKIPS = "import pytest\npytest.importorskip('no_such_module')\n"


def run(folder: Path, code: str, *options: str, **environ: str) -> str:
    """What pytest says about a file of tests under the project's conftest."""
    (folder / "conftest.py").write_text(HOUSE_RULES)
    (folder / "test_it.py").write_text(code)
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    environ = {key: value for key, value in os.environ.items() if key != "CI"} | environ
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, env=environ, cwd=folder, check=False).stdout


def test_a_test_that_leaves_an_asyncio_task_fails(tmp_path: Path) -> None:
    said = run(tmp_path, LEAKS)
    assert "asyncio tasks outlive their test" in said
    assert "ERROR test_it.py::test_leaks" in said
    assert "test_cleans_up" not in said


@pytest.mark.parametrize(("code", "skipped"), [(SKIPS, "1 skipped, 1 xfailed"), (FILE_SKIPS, "1 skipped")])
def test_a_skipped_test_fails_where_ci_runs(tmp_path: Path, code: str, skipped: str) -> None:
    assert skipped in run(tmp_path, code)
    said = run(tmp_path, code, CI="true")
    assert "counts as a failure" in said
    assert "1 failed, 1 xfailed" in said or "1 error" in said


def test_the_first_failure_of_a_test_that_ran_again_is_told(tmp_path: Path) -> None:
    said = run(tmp_path, FAILS_ONCE, "--reruns", "1", "--timeout", "60")
    assert "1 passed, 1 rerun" in said
    assert "['the first of them']" in said
