"""No foreign text commands the terminal: payloads on the real screen (the short form), and the oracle that judges."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.payloads import PAYLOADS
from tests.attacks.screens import TUI, heavy_texts, payloads_on_the_screen
from tests.attacks.terminal import Terminal, violations
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
    figures = await heavy_texts(tmp_path, seed=13, texts=2)
    assert figures["grown, MiB"] < 50
