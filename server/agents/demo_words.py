"""What the demo agent says: a pure function from the question to a Markdown answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from server.agents.base import Question, Said
from server.agents.speakers import whole

HOW_TO_LEAVE: Final = """To talk with a real model, set a key and restart the server:

```sh
export ANTHROPIC_API_KEY=…
tui-agent-server stop
tui-agent
```

For a local model (Ollama, LM Studio, vLLM, llama.cpp) set `ANTHROPIC_BASE_URL` instead, to its address."""

_HELP: Final = f"""## What this is

I am the **demo agent**: a small script, not a model. I work without a network and without a key.

## What you can try

- `markdown`, `table`, `code`, `list` or `long` to see how answers look
- `who is here` to see whom I have heard in this room
- `task: count our words` or `/task …` to see work in the background
- **Esc** while I write, to stop me
- a second terminal with another `--user`, to see us both in one room

## How to get a real one

{HOW_TO_LEAVE}"""

_TABLE: Final = """| key | does | since |
| --- | --- | ---: |
| Enter | sends | the start |
| Esc | stops the answer | the start |
| F2 | talks | the first microphone |"""

_CODE: Final = """```python
def fibonacci(n: int) -> int:
    \"\"\"The n-th Fibonacci number, counted from 0.\"\"\"
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


print([fibonacci(n) for n in range(10)])
```"""

_LIST: Final = """1. A message is written to disk.
2. Everybody in the room sees it.
3. The answer comes, piece by piece:
   - each piece is stored before it is shown
   - whoever reconnects gets the missing ones
4. The whole answer is written to disk."""

_MARKDOWN: Final = f"""# A heading

Some *emphasis*, some **strong words**, some `code`, and a [link](https://example.com).

> A quotation, as one would in a mail.

## A list

{_LIST}

## A table

{_TABLE}

## Code

{_CODE}"""

_CHAPTERS: Final = (
    ("The message", "It leaves your terminal with an id of its own, so that sending it twice does nothing twice."),
    ("The room", "It gives each message a number. The numbers have no gaps, so a gap means that something was missed."),
    ("The log", "A message counts as sent when it is on the disk, not before. Pulling the plug loses nothing of it."),
    ("The answer", "It is written once and sent to everybody. Whoever comes late gets the part that was missed."),
    ("The interrupt", "One press of Esc, by anybody, and the answer stops for all. What came before it is kept."),
    ("The end", "The answer is logged whole. The next question finds it there, and so does the next visitor."),
)


def _long() -> str:
    parts = ["# The way of a message", "A longer answer, so that you can scroll, or stop me with **Esc**."]
    for number, (title, text) in enumerate(_CHAPTERS * 3, 1):
        parts.append(f"## {number}. {title}\n\n{text}")
    return "\n\n".join(parts)


def _names(names: list[str]) -> str:
    marked = [f"**{name}**" for name in names]
    return marked[0] if len(marked) == 1 else ", ".join(marked[:-1]) + " and " + marked[-1]


def _speakers(said: tuple[Said, ...] | list[Said]) -> list[str]:
    return list(dict.fromkeys(s.user for s in said))


def _who(question: Question) -> str:
    heard = _speakers([said for exchange in question.history for said in exchange.asked] + list(question.asked))
    return (
        f"In the room **{question.room}** I have heard {_names(heard)}. "
        "Members who have said nothing yet are in the side panel (F3)."
    )


def _earlier(question: Question) -> str:
    if not question.history:
        return "This is the first thing I hear in this room."
    count = sum(len(exchange.asked) for exchange in question.history)
    stopped = sum(exchange.ending == "interrupted" for exchange in question.history)
    text = f"I have heard {count} message{'s' if count != 1 else ''} before this one."
    if stopped:
        text += f" {stopped} of my answers {'was' if stopped == 1 else 'were'} stopped."
    return text


_WAYS: Final[tuple[tuple[str, Callable[[Question], str]], ...]] = (
    (r"\bwho\b.*\b(here|there|in)\b|\bmembers\b", _who),
    (r"\bmarkdown\b", lambda _: _MARKDOWN),
    (r"\btables?\b", lambda _: f"Here is a table:\n\n{_TABLE}"),
    (r"\b(code|python|program|function)\b", lambda _: f"Here is some code:\n\n{_CODE}"),
    (r"\blong\b|\bstory\b|\bscroll\b", lambda _: _long()),
    (r"\blists?\b", lambda _: f"Here is a list:\n\n{_LIST}"),
    (r"\b(help|key|model|demo|how)\b|^\s*\?+\s*$|what can you", lambda _: _HELP),
    (r"\b(hello|hi|hey|good (morning|evening|day))\b", lambda q: f"Nice to see you. {_earlier(q)}"),
    (r"\b(thanks|thank you)\b", lambda _: "You are welcome."),
)


def _quoted(text: str) -> str:
    """The asker's words on one line, short, and without what Markdown would take as its own."""
    line = " ".join(whole(text).split())
    line = re.sub(r"[`*_\[\]<>|#~\\]", "", line).strip()
    return line if len(line) <= 80 else line[:79].rstrip() + "…"


def _reply(question: Question, said: Said) -> str | None:
    for pattern, way in _WAYS:
        if re.search(pattern, said.content[:2000], re.IGNORECASE):
            return way(question)
    return None


def task_answer(told: str) -> str:
    """What the demo says after it has tried to start a task; `told` is the server's sentence."""
    return f"{told} I am the demo agent: the task will only read and count this room's own messages, and say so."


def demo_answer(question: Question) -> str:
    """The whole answer: it names each asker, quotes what was said, and says that a script wrote it."""
    parts = [f"*I am the demo agent, a script and not a model.* Hello {_names(_speakers(question.asked))}."]
    done: set[str] = set()
    puzzled = False
    for said in question.asked:
        quote = _quoted(said.content)
        parts.append(f"> **{said.user}:** “{quote}”" if quote else f"> **{said.user}** said something without words.")
        reply = _reply(question, said)
        if reply is None:
            puzzled = True
            words = len(said.content.split())
            parts.append(f"That is {words} word{'s' if words != 1 else ''}, {said.user}. {_earlier(question)}")
        elif reply not in done:
            done.add(reply)
            parts.append(reply)
    if puzzled:
        parts.append(
            "I can only show things: try `help`, `markdown`, `table`, `code`, `list`, `long` or `who is here`."
        )
    if _HELP not in done:
        parts.append(HOW_TO_LEAVE)
    return "\n\n".join(parts)
