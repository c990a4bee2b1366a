"""Answers for the bench: prose, code, lists and tables in turn, cut into tokens of about four characters."""

from __future__ import annotations

import itertools
import re

PROSE = (
    "The first thing to look at is **where the time goes**. A message is parsed, stored, and sent to everybody who is "
    "in the room; each of these steps costs a little, and `fsync` costs the most by far. See "
    "[the notes](https://example.com/notes) for the figures, which were taken on a *small* machine.\n\n"
)
CODE = (
    "```python\nasync def pump(socket, stream) -> None:\n    batch: list[str] = []\n    async for event in socket:\n"
    "        batch.append(event.text)\n        if clock() - last > 0.08:  # about 12 frames a second\n"
    '            await stream.write("".join(batch))\n            batch.clear()\n```\n\n'
)
LIST = (
    "1. everyone sees the same stream, **one** renderer\n2. `Esc` still lands within a frame\n"
    "   - also while it scrolls\n   - and over a slow line\n3. replay after a drop is a single message\n\n"
)
TABLE = (
    "| stage | before | after |\n|---|---:|---:|\n| parse and layout | 41 ms | 6 ms |\n"
    "| worst stall | 410 ms | 38 ms |\n"
    "| cpu while streaming | 93 % | 14 % |\n\n"
)
HEADING = "## What changes, part {}\n\n"


def answer(tokens: int) -> list[str]:
    """So many tokens of Markdown."""
    pieces: list[str] = []
    for number in itertools.count(1):
        text = HEADING.format(number) + PROSE + CODE + PROSE + LIST + TABLE
        pieces += re.findall(r"\s?\S{1,4}|\s", text)
        if len(pieces) >= tokens:
            return pieces[:tokens]
    raise AssertionError


def message(number: int) -> str:
    """A message of a long history: mostly short, at times with code or a list."""
    match number % 6:
        case 0:
            return f"What about number {number}?"
        case 1:
            return f"{PROSE}That was {number}."
        case 2:
            return "same here, worse over ssh. can we see it in numbers?"
        case 3:
            return LIST
        case 4:
            return f"It is {number} of them, as far as I can see; the rest is in the log."
        case _:
            return PROSE + CODE if number % 5 == 0 else PROSE
