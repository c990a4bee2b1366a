"""No foreign text commands the terminal: payloads on the real screen (the short form), and the oracle that judges."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.payloads import PAYLOADS
from tests.attacks.screens import payloads_on_the_screen
from tests.attacks.terminal import violations


@pytest.mark.timeout(120)
async def test_no_payload_reaches_the_terminal_from_any_place(tmp_path: Path) -> None:
    counted = await payloads_on_the_screen(tmp_path, seed=9, payloads=16)
    assert counted["payloads"] >= 16


@pytest.mark.parametrize(
    "name", [name for name in PAYLOADS if name.split()[0] in ("CSI", "OSC", "DCS", "C1", "C0", "bidi")]
)
def test_the_oracle_sees_a_payload_that_gets_through(name: str) -> None:
    assert violations(b"before " + PAYLOADS[name].encode("utf-8", "replace") + b" after")
