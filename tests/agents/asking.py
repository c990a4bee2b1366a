"""Ask an agent in a test and get all that came, also when it failed."""

from contextlib import aclosing
from dataclasses import dataclass, field

from server.agents.base import Agent, Finished, Note, Question, Said, Text
from server.errors import AgentTrouble

HELLO = Question("main", "r1", (), (Said("ada", "Hello?"),))


@dataclass
class Heard:
    text: str = ""
    notes: list[str] = field(default_factory=list)
    finished: Finished | None = None
    trouble: AgentTrouble | None = None


async def ask(agent: Agent, question: Question = HELLO) -> Heard:
    heard = Heard()
    try:
        async with aclosing(agent.answer(question)) as items:
            async for item in items:
                match item:
                    case Text():
                        heard.text += item.content
                    case Note():
                        heard.notes.append(item.content)
                    case Finished():
                        heard.finished = item
    except AgentTrouble as trouble:
        heard.trouble = trouble
    return heard
