"""No foreign text commands the terminal: payloads on the real screen (the short form), and the oracle that judges."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from tests.attacks.payloads import PAYLOADS
from tests.attacks.screens import TUI, Beats, heavy_texts, payloads_on_the_screen
from tests.attacks.terminal import Terminal, violations
from tests.attacks.watched import beat
from tests.fakes.wire_server import WireServer


@pytest.mark.timeout(120)
async def test_no_payload_reaches_the_terminal_from_any_place(tmp_path: Path) -> None:
    counted = await payloads_on_the_screen(tmp_path, seed=9, payloads=16)
    assert counted["payloads"] >= 16


@pytest.mark.parametrize(
    "name", [name for name in PAYLOADS if name.split()[0] in ("CSI", "OSC", "DCS", "C1", "C0", "bidi")]
)
def test_the_oracle_sees_a_payload_that_gets_through(name: str) -> None:
    assert violations(b"before " + PAYLOADS[name].encode("utf-8", "replace") + b" after")


@pytest.mark.timeout(120)
async def test_ask_to_a_terminal_writes_no_control_of_the_answer(tmp_path: Path) -> None:
    server = WireServer()
    words = " ".join(PAYLOADS[name] for name in PAYLOADS if not name.startswith("a long"))
    words = words.encode("utf-8", "replace").decode()
    server.answer = lambda text: [words[place : place + 7] for place in range(0, len(words), 7)]
    async with server.listen(path=tmp_path / "s.sock") as url:
        for more in ((), ("--json",)):
            command = (*TUI, "ask", "well?", "--server", url, "--user", "ada", *more)
            async with Terminal(*command, folder=tmp_path) as terminal:
                assert await terminal.wait_end(60) == 0
                assert violations(bytes(terminal.output)) == []
                assert b"quit" in terminal.output, "the words themselves are there"


@pytest.mark.timeout(200)
async def test_texts_that_cost_much_neither_stall_nor_bloat_the_screen(tmp_path: Path) -> None:
    figures = await heavy_texts(tmp_path, seed=13, texts=4, is_quiet=False)
    assert figures["texts"] == 4


@pytest.mark.parametrize(("is_at_work", "most_cpu_ms"), [(True, 400), (False, 100)])
async def test_a_stall_is_seen_and_whether_the_processor_was_busy_with_it(
    tmp_path: Path, is_at_work: bool, most_cpu_ms: float
) -> None:
    """The heartbeat itself, beside the loop of this test."""
    path = tmp_path / "beats"
    with path.open("wb", buffering=0) as file:
        beating = threading.Thread(
            target=beat, args=(asyncio.get_running_loop(), time.pthread_getcpuclockid(threading.get_ident()),
                               file.fileno(), over := threading.Event()), daemon=True,
        )  # fmt: skip
        beating.start()
        await asyncio.sleep(0.05)
        end_s = time.thread_time() + 0.3
        while is_at_work and time.thread_time() < end_s:
            pass
        if not is_at_work:
            time.sleep(0.3)
        async with asyncio.timeout(10):
            while not path.stat().st_size:
                await asyncio.sleep(0.01)
        over.set()
        await asyncio.to_thread(beating.join)
        wall_ms, cpu_ms = Beats(path).take()
        assert wall_ms > 250
        assert (cpu_ms > 250) is is_at_work
        assert cpu_ms < most_cpu_ms
