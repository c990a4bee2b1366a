"""What holds for every test: no asyncio task outlives it, and where CI runs nothing is skipped."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import pytest_timeout
from hypothesis import HealthCheck, settings

from server.event_loop import loop_factory

# A busy machine draws and runs slowly; a test that hangs has a timeout of its own.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

STEPS = 5  # of the loop, for what was cancelled at the very end
# Folders of tests that run parts of the server in their own process: they are on the server's loop. All others are on
# asyncio's, as the client is, and start servers that choose theirs.
ON_SERVERS_LOOP = {"agents", "contracts", "runtime", "server"}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """A test runs on the loop that what it tests runs on."""
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    factory = loop_factory() if folder in ON_SERVERS_LOOP else None
    return {"loop": factory or asyncio.new_event_loop}


@pytest.fixture(autouse=True)
def nothing_outlives_its_test(request: pytest.FixtureRequest) -> None:
    """Set up before all other fixtures of an async test, so that it looks after they have ended."""
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("asyncio_tasks_are_over")


@pytest.fixture
async def asyncio_tasks_are_over() -> AsyncIterator[None]:
    """Fails when asyncio tasks are left."""
    yield
    left: set[asyncio.Task[Any]] = set()
    for _ in range(STEPS):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0)
    pytest.fail(f"asyncio tasks outlive their test: {sorted(map(repr, left))}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A second run of a failed test has its whole time-out again; pytest-timeout knows of one run only."""
    if getattr(item, "execution_count", 1) > 1:
        item.ihook.pytest_timeout_cancel_timer(item=item)
        item.ihook.pytest_timeout_set_timer(item=item, settings=pytest_timeout._get_item_settings(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one."""
    report = yield
    if report.skipped and "CI" in os.environ and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI counts as a failure: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole file."""
    report = yield
    if report.outcome == "skipped" and "CI" in os.environ:
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, which CI counts as a failure: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Why a test had to run again: without this its first failure would be gone."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.section(f"{report.nodeid} failed first with")
        terminalreporter.line(report.longreprtext)
