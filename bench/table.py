"""A row of the bench and the table of all."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Row:
    what: str
    against: str
    figure: str
    reach: str
    is_reached: bool
    detail: str = ""


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| what | against | measured | reach | | detail |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        verdict = "ok" if row.is_reached else "**not reached**"
        lines.append(f"| {row.what} | {row.against} | {row.figure} | {row.reach} | {verdict} | {row.detail} |")
    return "\n".join(lines)
