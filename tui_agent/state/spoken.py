"""An answer that streams -> the sentences to say, each as soon as it is complete, the first piece early. Pure.

Lines of Markdown come in pieces. Code and tables are named when they end ("code block, 12 lines."), every other line
is stripped of its block markup and added to the paragraph, from which whole sentences are cut. A sentence ends at
. ! ? before a space, but not in 3.5, e.g., or inside a link; a list item and a heading end one as well.
"""

from __future__ import annotations

import re
from typing import Final

from tui_agent.state.spoken_words import speakable

EARLY_CHARS: Final = 24  # the first piece may end at a comma from here
LONG_CHARS: Final = 280  # longer is cut at a comma or a space: speech is rendered a piece at a time
THE_REST: Final = "The rest is on the screen."

_FENCE: Final = re.compile(r"\s*(?:>\s*)*(`{3,}|~{3,})")
_TABLE_RULE: Final = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)+\|?\s*$|\s*\|\s*:?-+:?\s*\|\s*$")
_RULE: Final = re.compile(r"\s*([-*_=]\s*){3,}$")
_QUOTE: Final = re.compile(r"^\s*(?:>\s?)+")
_HEADING: Final = re.compile(r"\s{0,3}#{1,6}\s+")
_BULLET: Final = re.compile(r"\s*[-*+•]\s+(?:\[[ xX]\]\s+)?")
_NUMBERED: Final = re.compile(r"\s*(\d{1,9})[.)]\s+")
_MARKUP_START: Final = re.compile(r"\s*[`~|#>*+•=_<-]|\s*\d{1,9}[.)]?\s*$|\s*$")  # what such a line is, its rest tells
_END: Final = re.compile(r"[.!?…]+[\"'”’)\]*_]*(?=\s)|[。！？]")
_CLAUSE: Final = re.compile(r"[,;:](?=\s)|\s[—–-]+(?=\s)|[，；：]")
_OPEN: Final = re.compile(r"!?\[[^\]]*$|\]\([^)\s]*$")
_ABBREVIATIONS: Final = frozenset(
    (  # noqa: SIM905 - as words they are easier to read and to add to
        "e.g i.e etc vs cf dr mr mrs ms prof sr jr st no nos vol fig eq sec approx ca al dept est inc ltd co "
        "z.b d.h bzw u.a usw nr p pp"
    ).split()
)


class Chunker:
    """One answer. The joined results say all of it once, up to `most_sentences`."""

    def __init__(self, most_sentences: int) -> None:
        self._left = most_sentences
        self._line = ""  # the last line, as far as it came, while it is unclear what it is
        self._is_in_line = False  # the line so far is in the paragraph; what comes belongs to it
        self._paragraph = ""
        self._fence = ""
        self._code_lines = 0
        self._rows: int | None = None  # of the table
        self._has_begun = False
        self._ready: list[str] = []

    def feed(self, piece: str) -> list[str]:
        """What can be said now."""
        *lines, rest = piece.split("\n")
        for line in lines:
            self._take(line)
            self._end_line()
        if rest:
            self._take(rest)
        self._cut(is_over=False)
        return self._told()

    def settle(self) -> list[str]:
        """Nothing came for a while: a sentence that looks finished is."""
        if re.search(r"[.!?…:][\"'”’)\]*_]*\s*$", self._paragraph):
            self._cut(is_over=True)
        return self._told()

    def end(self) -> list[str]:
        """The answer is over."""
        if self._line or self._is_in_line:
            self._end_line()
        self._end_blocks()
        self._end_paragraph()
        if self._fence:
            self._name_code()
        return self._told()

    # ---- lines --------------------------------------------------------------------------------------

    def _take(self, piece: str) -> None:
        """More of the present line."""
        if self._is_in_line:
            self._paragraph += piece
            return
        self._line += piece
        if self._fence or self._rows is not None or _MARKUP_START.match(self._line):
            return  # its end, or its next character, tells
        self._begin_text(self._line)

    def _end_line(self) -> None:
        line, self._line = self._line, ""
        if self._is_in_line:
            self._is_in_line = False
            self._paragraph += " "
            return
        if self._fence:
            if line.strip(" >") == self._fence:
                self._name_code()
            else:
                self._code_lines += 1
            return
        fence = _FENCE.match(line)
        if fence:
            self._end_blocks()
            self._end_paragraph()
            self._fence = fence[1]
            return
        if self._is_row(line):
            return
        self._end_blocks()
        if not line.strip() or _RULE.match(line):
            self._end_paragraph()
            return
        self._begin_text(line)
        self._is_in_line = False
        self._paragraph += " "
        if _HEADING.match(line):
            self._end_paragraph()

    def _is_row(self, line: str) -> bool:
        if _TABLE_RULE.match(line) and "|" in line:
            self._end_paragraph()
            self._rows = 0
            return True
        if line.lstrip().startswith("|") and self._rows is None:
            self._end_paragraph()
            self._rows = -1  # the head
            return True
        if self._rows is not None and "|" in line:
            self._rows += 1
            return True
        return False

    def _begin_text(self, line: str) -> None:
        """A line of text begins; it may end the paragraph before."""
        self._line, self._is_in_line = "", True
        line = _QUOTE.sub("", line, count=1)
        heading, numbered, bullet = _HEADING.match(line), _NUMBERED.match(line), _BULLET.match(line)
        found = heading or numbered or bullet
        if found:
            self._end_paragraph()
            line = line[found.end() :]
            if numbered:
                line = f"{numbered[1]}, {line}"
        self._paragraph += line

    def _end_blocks(self) -> None:
        if self._rows is not None:
            rows, self._rows = max(0, self._rows), None
            self._say(f"table, {rows} row{'s' * (rows != 1)}.")

    def _name_code(self) -> None:
        lines, self._fence, self._code_lines = self._code_lines, "", 0
        self._say(f"code block, {lines} line{'s' * (lines != 1)}.")

    # ---- sentences ------------------------------------------------------------------------------------

    def _end_paragraph(self) -> None:
        self._cut(is_over=True)

    def _cut(self, *, is_over: bool) -> None:
        """Take the whole sentences off the paragraph, and the rest when it is over."""
        while True:
            end = self._end_of_sentence(is_over)
            if end is None:
                break
            self._say(self._paragraph[:end])
            self._paragraph = self._paragraph[end:].lstrip()
        if is_over and self._paragraph.strip():
            self._say(self._paragraph)
        if is_over:
            self._paragraph = ""

    def _end_of_sentence(self, is_over: bool) -> int | None:
        text = self._paragraph
        for found in _END.finditer(text):
            after = text[found.end() :].lstrip()
            if not after and not is_over and found[0] not in "。！？":
                break  # the next word tells whether it was the end
            if _is_end(text[: found.end()], found.start(), after):
                return found.end()
        if not self._has_begun:
            for found in _CLAUSE.finditer(text):
                if found.end() >= EARLY_CHARS and not _is_open(text[: found.end()]):
                    return found.end()
        if len(text) > LONG_CHARS:
            clauses = [found.end() for found in _CLAUSE.finditer(text, LONG_CHARS // 3, LONG_CHARS)]
            space = text.rfind(" ", 0, LONG_CHARS)
            return clauses[-1] if clauses else space if space > 0 else LONG_CHARS
        return None

    def _say(self, text: str) -> None:
        words = speakable(text)
        if not words or self._left < 0:
            return
        self._has_begun = True
        if not self._left:
            words = THE_REST
        elif words[-1].isalnum():
            words += "."
        self._left -= 1
        self._ready.append(words)

    def _told(self) -> list[str]:
        ready, self._ready = self._ready, []
        return ready


def _is_open(text: str) -> bool:
    """Inside code or a link."""
    return text.count("`") % 2 == 1 or _OPEN.search(text) is not None


def _is_end(text: str, stop: int, after: str) -> bool:
    """Whether the sentence in `text`, whose stop stands at `stop`, is one before `after`."""
    if _is_open(text):
        return False
    if text[stop] != "." or text[stop : stop + 2] == "..":
        return True
    if after[:1].islower():
        return False
    word = re.split(r"[\s(\[*_]", text[:stop])[-1].lower()
    is_initial = len(word) == 1 and word.isalpha() and word != "i"
    return word not in _ABBREVIATIONS and not is_initial
