"""docs/reliability.md from docs/soak.json and a template: `<!-- figures NAME NAME -->` becomes a table."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "soak.json"
REPORT = ROOT / "docs" / "reliability.md"
TEMPLATE = Path(__file__).with_name("reliability.in.md")
HEAD = "| tried | passes when | last run | figures |\n| --- | --- | --- | --- |\n"


def load() -> dict[str, Any]:
    """The results so far."""
    if not RESULTS.exists():
        return {"machine": "", "campaigns": {}}
    results: dict[str, Any] = json.loads(RESULTS.read_text())
    return results


def render(results: dict[str, Any]) -> str:
    """The report; the same results give the same text."""
    text = TEMPLATE.read_text()
    text = re.sub(r"<!-- figures (.*?) -->", lambda match: _table(match.group(1).split(), results), text)
    return text.replace("<!-- machine -->", results["machine"] or "nowhere yet")


def _table(names: list[str], results: dict[str, Any]) -> str:
    from tests.soak.campaigns import BY_NAME

    rows = []
    for name in names:
        campaign = BY_NAME[name]
        result = results["campaigns"].get(name)
        if result is None:
            run, figures = "not yet", ""
        else:
            verdict = "passed" if result["passed"] else "**FAILED**"
            run = f"{verdict}, {result['day']}, commit {result['commit']}, seed {result['seed']}, {result['seconds']} s"
            figures = "; ".join(f"{key}: {_number(value)}" for key, value in result["figures"].items())
        rows.append(f"| **{name}**: {campaign.what} | {campaign.passes} | {run} | {figures} |")
    return HEAD + "\n".join(rows)


def _number(value: float | str) -> str:
    return f"{value:,}" if isinstance(value, int | float) else value
