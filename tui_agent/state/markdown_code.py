"""Highlighting of code, by segments of a fence, each with the state that the one before ended in.

Pure but for a table of loaded lexers: loading one takes up to 150 ms, so the screen does it in a thread and draws plain
code until then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from tui_agent.state.wrap import Span

MOST_CHARS: Final = 16_000  # of a fence; what is beyond stays plain
MOST_LINE: Final = 1000  # a fence with a longer line stays plain from there
NAME_CHARS: Final = 32

_lexers: Final[dict[str, Any]] = {}  # by name; None: there is none, or it failed
_NAME: Final = re.compile(r"[A-Za-z0-9_+#.-]+")

# Token type (its beginning) -> look; the first that fits.
_LOOKS: Final = (
    ("Comment", "comment"), ("Keyword.Constant", "constant"), ("Keyword", "keyword"), ("Operator.Word", "keyword"),
    ("Literal.String", "string"), ("Literal.Number", "constant"), ("Literal", "string"),
    ("Name.Function", "function"), ("Name.Class", "function"), ("Name.Decorator", "keyword"), ("Name.Tag", "keyword"),
    ("Name.Builtin", "builtin"), ("Name.Exception", "builtin"), ("Name.Attribute", "name"), ("Name", "name"),
    ("Generic.Deleted", "deleted"), ("Generic.Inserted", "string"), ("Generic.Heading", "function"),
    ("Generic.Subheading", "function"),
)  # fmt: skip
_look_of: Final[dict[Any, str]] = {}


def load(language: str) -> bool:
    """Load the lexer of a language (slow the first time). Whether there is one."""
    if language not in _lexers:
        from pygments.lexers import get_lexer_by_name
        from pygments.util import ClassNotFound

        try:
            lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
            list(lexer.get_tokens_unprocessed("a = 1\n"))
            _lexers[language] = lexer
        except ClassNotFound:
            _lexers[language] = None
        except Exception:  # a lexer is foreign code: without it the code is plain
            _lexers[language] = None
    return _lexers[language] is not None


def is_loaded(language: str) -> bool:
    return not language or language in _lexers


class Fence:
    """One fenced code: its language, its closed segments, and what was found out about each."""

    __slots__ = ("_chars", "_found", "_open", "_stacks", "language", "segments")

    def __init__(self, info: str) -> None:
        name = _NAME.match(info)
        self.language = name[0][:NAME_CHARS].lower() if name is not None else ""
        self.segments: list[str] = []
        self._found: list[list[tuple[int, int, str]]] = []  # for each segment: start, end, look
        self._stacks: list[Any] = []  # the lexer's state after each
        self._chars = 0
        self._open: tuple[str, list[tuple[int, int, str]]] | None = None  # the last text of the open segment

    def looks(self, segment: int, text: str) -> list[tuple[int, int, str]]:
        """The tokens of `text`, which is (the finished lines of) that segment: start, end, look."""
        lexer = _lexers.get(self.language)
        if lexer is None:
            return []
        while len(self._found) < min(segment, len(self.segments)):
            self._take(lexer, self.segments[len(self._found)])
        if segment < len(self._found):
            return self._found[segment]
        if segment < len(self.segments):
            self._take(lexer, self.segments[segment])
            return self._found[segment]
        if segment > len(self.segments):
            return []  # the one before is not closed yet
        if self._open is None or self._open[0] != text:
            self._open = (text, self._lex(lexer, text)[0])
        return self._open[1]

    def _take(self, lexer: Any, text: str) -> None:
        found, stack = self._lex(lexer, text)
        self._chars += len(text)
        self._found.append(found)
        self._stacks.append(stack)

    def _lex(self, lexer: Any, text: str) -> tuple[list[tuple[int, int, str]], Any]:
        if self._chars + len(text) > MOST_CHARS or any(len(line) > MOST_LINE for line in text.split("\n")):
            return [], None
        stack = self._stacks[-1] if self._stacks else None
        return lex(lexer, text + "\n", stack)


def lex(lexer: Any, text: str, stack: Any = None) -> tuple[list[tuple[int, int, str]], Any]:
    """The tokens of a text that begins in the state `stack`, and the state at its end (None: not known)."""
    from pygments.lexer import ExtendedRegexLexer, LexerContext, RegexLexer

    found: list[tuple[int, int, str]] = []
    if isinstance(lexer, RegexLexer) and not isinstance(lexer, ExtendedRegexLexer):
        context = LexerContext(text, 0, stack=list(stack) if stack else None)
        try:
            tokens: Iterable[Any] = ExtendedRegexLexer.get_tokens_unprocessed(lexer, context=context)
            found = _tokens(tokens)
        except Exception:  # some lexers' own callbacks know no context
            found = []
        else:
            return found, list(context.stack)
    try:
        found = _tokens(lexer.get_tokens_unprocessed(text))
    except Exception:
        found = []
    return found, None


def _tokens(tokens: Iterable[tuple[int, Any, str]]) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    for at, kind, text in tokens:
        look = _look_of.get(kind)
        if look is None:
            look = _look_of[kind] = _find_look(str(kind).removeprefix("Token."))
        if look and text:
            found.append((at, at + len(text), look))
    return found


def _find_look(kind: str) -> str:
    return next((look for name, look in _LOOKS if kind == name or kind.startswith(name + ".")), "")


def spans_of(
    text: str, starts: list[tuple[int, int]], found: list[tuple[int, int, str]], look: Callable[[str], str]
) -> list[list[Span]]:
    """The lines of a segment as spans. `starts`: where each line begins in the text and in the source."""
    lines: list[list[Span]] = []
    number = 0
    for index, (begin, source) in enumerate(starts):
        end = starts[index + 1][0] - 1 if index + 1 < len(starts) else len(text)
        shift = source - begin
        line: list[Span] = []
        at = begin
        while number < len(found) and found[number][1] <= begin:
            number += 1
        here = number
        while here < len(found) and found[here][0] < end:
            start, stop, kind = found[here]
            start, stop = max(start, at), min(stop, end)
            if start > at:
                line.append(Span(text[at:start], look(""), at + shift, start + shift))
            if stop > start:
                line.append(Span(text[start:stop], look(kind), start + shift, stop + shift))
                at = stop
            here += 1
        if at < end:
            line.append(Span(text[at:end], look(""), at + shift, end + shift))
        lines.append(line)
    return lines
