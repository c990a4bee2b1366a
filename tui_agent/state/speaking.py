"""Which answers are spoken, and how far: sentences of one's own runs, numbered, until they are silenced. Pure.

In a shared room each client speaks what it has asked itself: it knows its own messages by their cids, and their runs
by the acks. Pieces may come twice or from the middle (a reconnect), so the raw length is kept, as the fold does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from msgspec import UNSET

from server.protocol import Ack, Done, Error, Event, Interrupted, Snapshot, Status, Token, UserMessage, Welcome
from tui_agent.state.chat import Running
from tui_agent.state.clean import clean_text
from tui_agent.state.spoken import Chunker

SETTLE_S: Final = 0.4
MOST_RUNS: Final = 200


@dataclass(frozen=True, slots=True)
class Sentence:
    gen: int
    number: int
    text: str


@dataclass(slots=True)
class _Answer:
    chunker: Chunker
    raw_length: int = 0
    fed_s: float = 0.0


@dataclass(slots=True)
class Speaking:
    """`sent` what one asks, `apply` every event, say the sentences that come out."""

    most_sentences: int
    next_gen: Callable[[], int]  # ever growing, over all rooms
    is_on: bool = False
    is_for_all: bool = False  # what others ask as well
    gen: int = 0
    _me: str | None = None  # as the server knows this user
    _cids: set[str] = field(default_factory=set)
    _runs: dict[str, None] = field(default_factory=dict)  # own, the newest last
    _due: set[str] = field(default_factory=set)  # own, not ended
    _hushed: set[str] = field(default_factory=set)
    _answers: dict[str, _Answer] = field(default_factory=dict)
    _said: int = 0
    _spoken: int = 0

    def __post_init__(self) -> None:
        self.renew()

    @property
    def is_silent(self) -> bool:
        """Everything that was said is spoken."""
        return self._spoken >= self._said

    @property
    def is_due(self) -> bool:
        """An own answer is to come, or comes."""
        return bool(self._cids or self._due or (self.is_for_all and self._answers))

    def sent(self, cid: str) -> None:
        """A message of one's own goes out."""
        self._cids.add(cid)

    def unsent(self, cid: str) -> None:
        """It was refused or given up."""
        self._cids.discard(cid)

    def apply(self, event: Event, now_s: float) -> list[Sentence]:
        """One event of the room, in order; what is to be said."""
        if isinstance(event, Welcome):
            self._me = event.user
        match event:
            case Ack(ref=cid, run=run) if run is not UNSET and run:
                self._own(cid, run)
            case UserMessage(user=user, cid=cid, run=run) if cid in self._cids and self._me in (None, user):
                self._own(cid, run)
            case Error(ref=cid) if event.run is UNSET and isinstance(cid, str):
                self.unsent(cid)
            case Status(run=run, status="thinking" | "streaming"):
                self._answer(run)
            case Token(run=run, offset=offset, content=content):
                return self._feed(run, offset, content, now_s)
            case Snapshot(open_run=open_run) if open_run is not None:
                content = "" if open_run.content is UNSET else open_run.content
                return self._feed(open_run.run, 0, content, now_s)
            case Done() | Interrupted() | Error():
                return self._ended(event)
            case Welcome(open_run=open_run, queue=queue) if not queue:
                still = set() if open_run is None else {open_run.run}
                if not event.recovered:
                    self._due &= still
            case _:
                pass
        return []

    def settle(self, now_s: float) -> list[Sentence]:
        """Call it often: a finished sentence is said though nothing follows it."""
        said: list[Sentence] = []
        for run, answer in self._answers.items():
            if answer.fed_s and now_s - answer.fed_s >= SETTLE_S:
                answer.fed_s = 0.0
                said += self._say(run, answer.chunker.settle())
        return said

    def announce(self, sentence: str) -> Sentence:
        """One sentence of the program's own, behind what is being said."""
        self._said += 1
        return Sentence(self.gen, self._said, sentence)

    def spoken(self, gen: int, number: int) -> None:
        """The voice process has said this sentence."""
        if gen == self.gen:
            self._spoken = max(self._spoken, number)

    def hush(self) -> int:
        """Say no more of the answers so far; returns the generation to silence."""
        gen = self.gen
        self._hushed |= self._answers.keys()
        self.renew()
        return gen

    def renew(self) -> None:
        """Nothing that was said counts any more."""
        self.gen = self.next_gen()
        self._said = self._spoken = 0

    def adopt(self, running: Running | None, me: str) -> None:
        """Begin in the middle: what one asked before speaking was switched on is one's own, from here on."""
        if running is not None and me in running.users:
            self._runs[running.run] = None
            self._due.add(running.run)
            self._answer(running.run).raw_length = running.raw_length

    # ---- inside ------------------------------------------------------------------------------------------

    def _own(self, cid: str, run: str) -> None:
        if cid not in self._cids:
            return
        self._cids.discard(cid)
        if run not in self._runs:
            self._due.add(run)
        self._runs[run] = None
        if len(self._runs) > MOST_RUNS:
            del self._runs[next(iter(self._runs))]

    def _answer(self, run: str) -> _Answer:
        if run not in self._answers:
            self._answers[run] = _Answer(Chunker(self.most_sentences))
        return self._answers[run]

    def _feed(self, run: str, offset: int, content: str, now_s: float) -> list[Sentence]:
        answer = self._answer(run)
        known = answer.raw_length - offset
        piece = content[known:] if known >= 0 else ""
        if not piece:
            return []
        answer.raw_length += len(piece)
        answer.fed_s = now_s
        if not self._is_spoken(run):
            return []
        return self._say(run, answer.chunker.feed(clean_text(piece)))

    def _ended(self, event: Done | Interrupted | Error) -> list[Sentence]:
        run = event.run
        if run is UNSET:
            return []
        self._due.discard(run)
        answer = self._answers.pop(run, None)
        said: list[Sentence] = []
        if isinstance(event, Done) and self._is_spoken(run):
            answer = answer or _Answer(Chunker(self.most_sentences))
            rest = clean_text(event.content[answer.raw_length :])
            said = self._say(run, answer.chunker.feed(rest) + answer.chunker.end())
        self._hushed.discard(run)
        return said

    def _is_spoken(self, run: str) -> bool:
        return self.is_for_all or run in self._runs

    def _say(self, run: str, sentences: list[str]) -> list[Sentence]:
        if not self.is_on or run in self._hushed:
            return []
        said = []
        for text in sentences:
            self._said += 1
            said.append(Sentence(self.gen, self._said, text))
        return said
