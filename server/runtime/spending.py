"""What a run may cost before it starts, and what it did cost when it ended, against the day's budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from server import protocol as wire
from server.agents.base import Agent, Cost, Question, Said
from server.agents.estimate import estimate_tokens
from server.core import room as rules
from server.core import turn as turns
from server.core.budget import Budget

NOTHING: Final = Cost(0, 0)


def reserve(
    plan: rules.Plan, question: Question, agent: Agent, budget: Budget, day: str
) -> tuple[rules.Plan, Cost] | None:
    """The plan whose started run holds its part of a limited budget, and that part; None when too little is left.

    `question` may lack the messages that stand in the plan itself.
    """
    new = tuple(Said(event.user, event.content) for event in plan.events if isinstance(event, wire.UserMessage))
    most = agent.most(msgspec.structs.replace(question, asked=question.asked + new))
    if not budget.reserve(day, most.tokens, most.microdollars):
        return None
    return rules.reserve(plan, day=day, tokens=most.tokens, microdollars=most.microdollars), most


def settlement(info: rules.RunInfo, turn: turns.Turn, question: Callable[[], Question], agent: Agent, day: str) -> Cost:
    """What an ended run cost beyond what it had reserved (less than 0: given back).

    A stopped or failed answer has no usage of its end: what became known on its way counts, and an estimate of the text
    that came after; where nothing became known, an estimate of the question too. Over midnight the reservation stays on
    the day it was made, and only what exceeds it counts on the new one.
    """
    if isinstance(turn.ending, turns.Finished) and turn.ending.usage.total_tokens:
        cost = agent.cost(turn.ending.usage)
    elif turn.used is not None:
        rest = turn.content[turn.used_at :]
        output = turn.used.output_tokens + (estimate_tokens(rest) if rest else 0)
        cost = agent.cost(msgspec.structs.replace(turn.used, output_tokens=output))
    else:
        cost = agent.partial_cost(question(), turn.content)
    tokens, microdollars = cost.tokens - info.reserved_tokens, cost.microdollars - info.reserved_microdollars
    if info.day and info.day != day:
        tokens, microdollars = max(0, tokens), max(0, microdollars)
    return Cost(tokens, microdollars)
