"""A disk that fills under a task: no finished step is lost, none runs twice, and it goes on when there is space."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.fakes.process import ServerProcess
from tests.fakes.wire_client import WireClient
from tests.server.test_slow_and_full import fill_disk
from tests.tasks.kills import EXPECTED, check_ledger, on_disk


async def test_a_full_disk_loses_no_finished_step(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    env = {"LEDGER": str(ledger), "PAUSE_S": "0.5"}
    script = str(Path(__file__).with_name("crash_server.py"))

    async def wait_line(line: str) -> None:
        async with asyncio.timeout(30):
            while not ledger.exists() or line not in ledger.read_text().splitlines():
                await asyncio.sleep(0.01)

    async with ServerProcess(tmp_path, env=env, script=script) as server:
        async with WireClient(server.socket, user="ada") as ada:
            await ada.answer_to(await ada.command("submit_task", prompt="work"))
            await wait_line("run t1 1")
            fill_disk(server, full=True)
            await asyncio.sleep(3)  # the step is done, and its record refused, more than once
            assert "recorded t1 1" not in ledger.read_text()
            assert ("t1", "1") not in on_disk(tmp_path / "data" / "tasks.db")
            cid = await ada.command("submit_task", prompt="one more")
            assert (await ada.answer_to(cid))["code"] == "storage_full"
            fill_disk(server, full=False)
            done = await ada.wait("complete", 30)
            assert (done["status"], done["result"]) == ("completed", EXPECTED)
    lines = ledger.read_text().splitlines()
    check_ledger(lines)
    assert len([line for line in lines if line.startswith("run")]) == 4, "no step ran twice"
