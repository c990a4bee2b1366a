"""Long work without a model: reads the room's own transcript, page by page, and reports on it.

Every step is really done and every percent comes from the plan; it is quick where the room is short, and says what it
is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

from server.agents.work import Assignment, Line, Site
from server.core.task import Moved, Outcome, percent_of

PAGE_EVENTS: Final = 200
MOST_PAGES: Final = 12
HITS: Final = 5
_WORD: Final = re.compile(r"[^\W\d_]{4,}")
_COMMON: Final = frozenset(
    re.findall(
        r"\w+",
        """about after also because been before being came come could does dont each even from gave have here into just
        like make many more most much must only other over said same should some such than that their them then there
        these they thing this those through told took very want well were what when where which while will with
        would your""",
    )
)


class DemoWorker:
    """See work.Worker."""

    async def work(self, assignment: Assignment, site: Site) -> Outcome:
        """Read, count, compare with the task's own words, report."""

        async def plan() -> list[int]:
            return list(range(assignment.id, 1, -PAGE_EVENTS))[MOST_PAGES - 1 :: -1]

        site.report(Moved(0, "Looking at how much was said here"), "")
        pages: list[int] = await site.remember("plan", plan)
        steps = [f"Reading messages {max(1, before - PAGE_EVENTS)} to {before - 1}" for before in pages]
        steps += ["Counting who said what", "Looking for the words of the task"]
        wanted = _words(f"{assignment.title} {assignment.prompt}")
        read: list[dict[str, Any]] = []
        found: dict[str, Any] = {}

        async def step(name: str, do: Callable[[], Awaitable[Any]]) -> Any:
            done = len(read) + len(found)
            at = steps[done] if done < len(steps) else "Writing the report"
            place = min(done, len(steps) - 1)
            site.report(Moved(percent_of(done, len(steps)), f"{at}…", place, tuple(steps)), _report(assignment, found))
            return await site.remember(name, do)

        for before in pages:

            async def page(before: int = before) -> dict[str, Any]:
                return _read(await site.transcript(before, PAGE_EVENTS), wanted, before - PAGE_EVENTS)

            read.append(await step(f"page before {before}", page))

        async def count() -> dict[str, Any]:
            said, words = Counter[str](), Counter[str]()
            for page in read:
                said.update(page["said"])
                words.update(page["words"])
            return {"said": said.most_common(12), "words": words.most_common(12)}

        async def search() -> list[Any]:
            return sorted((hit for page in read for hit in page["hits"]), key=lambda hit: -hit[0])[:HITS]

        async def report() -> str:
            return _report(assignment, found)

        found["count"] = await step("count", count)
        found["search"] = await step("search", search)
        return Outcome("completed", await step("report", report))


def _words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.lower()) if word not in _COMMON}


def _read(lines: list[Line], wanted: set[str], first: int) -> dict[str, Any]:
    said: Counter[str] = Counter()
    words: Counter[str] = Counter()
    hits: list[tuple[int, str, str]] = []
    for line in lines:
        if line.id < first:
            continue
        said[line.user] += 1
        found = _WORD.findall(line.content.lower())
        words.update(word for word in found if word not in _COMMON)
        score = len(wanted.intersection(found))
        if score and line.user:
            hits.append((score, line.user, " ".join(line.content.split())[:200]))
    hits.sort(key=lambda hit: -hit[0])
    return {"said": said, "words": dict(words.most_common(300)), "hits": hits[:HITS]}


def _report(assignment: Assignment, found: dict[str, Any]) -> str:
    """The result, as far as it goes; "" while nothing is found."""
    if not found:
        return ""
    said, words = found["count"]["said"], found["count"]["words"]
    lines = [
        "This is the **demo worker**: a small script without a model. It cannot research the task itself; it has read "
        "this room's own transcript, step by step, and counted what is in it. For real work set a key and restart the "
        "server (`ANTHROPIC_API_KEY`, or `ANTHROPIC_BASE_URL` for a local model).",
        "",
        f"## Who spoke in #{assignment.room}",
        "",
        *(f"- {name or 'the agent'}: {count}" for name, count in said),
    ]
    if not said:
        lines.append("Nobody has said anything yet.")
    if words:
        lines += ["", "## Words used most", "", ", ".join(f"{word} ({n})" for word, n in words)]
    if "search" in found:
        lines += ["", "## Closest to the task", ""]
        lines += [f"- {user}: {text}" for _, user, text in found["search"]]
        if not found["search"]:
            lines.append("No message shares a word with the task.")
    return "\n".join(lines)
