"""Markdown that comes in pieces -> blocks, each parsed once. Pure.

Lines are taken one by one, as CommonMark does: containers (quotes, list items) first, then what begins in them. So the
result does not depend on how the text was cut into pieces. What is long is cut where it may be cut: a list is a block
for each item, a table one for each 50 rows, a fence one for each few lines, a line one for each 4,000 characters. So
more text costs its own length, never that of what came before.

A definition (`[label]: url`) is not shown; a footnote's text stands where it is written, as an item of a list. One that
comes late is said by `changed`: only the blocks that use its label are laid out anew.

Not taken, so shown as it is: HTML, a definition over several lines or to anything but http and https.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from tui_agent.state.markdown_block import Block, Kind, Mark, copied
from tui_agent.state.markdown_code import Fence
from tui_agent.state.markdown_links import NOTE, Links, definition, has_begun, marker
from tui_agent.state.markdown_table import Table, alignments

LINE_CHARS: Final = 4000  # a longer line, or paragraph, is cut
MOST_LINES: Final = 5200  # of a text that are taken apart; what follows flows as it is, so that no text costs a stall
TABLE_ROWS: Final = 50  # rows of a block; the first block's fix the widths of the columns
CODE_LINES: Final = 32  # lines of a block of code
CODE_LINES_MIN: Final = 6  # it also ends at an empty line, when it has so many
DEEPEST: Final = 10  # containers in containers; what is deeper is text

_SPACES: Final = re.compile(" +")
_INDENT: Final = re.compile(r"[ \t]*")
_ITEM: Final = re.compile(r"(?:([-*+])|(\d{1,9})([.)]))(?=[ \t]|$)")
_HEADING: Final = re.compile(r"(#{1,6})(?:[ \t]+|$)(.*?)(?:[ \t]+#+)?[ \t]*$")
_RULE: Final = re.compile(r"(?:\*[ \t]*){3,}$|(?:-[ \t]*){3,}$|(?:_[ \t]*){3,}$")
_UNDERLINE: Final = re.compile(r"(?:=+|-+)[ \t]*$")
_FENCE: Final = re.compile(r"(`{3,})([^`]*)$|(~{3,})(.*)$")
_TASK: Final = re.compile(r"\[([ xX])\][ \t]+(?=\S)")
# The begin of something that cannot be told yet: it is shown when more of the line has come.
_UNDECIDED: Final = re.compile(
    r"[ \t]*(?:[-=*+_~`#>|][-=*+_~`#>|:\s]*|\d{1,9}[.)]?[ \t]*|[-*+][ \t]+\[[ xX]?\]?[ \t]*)$"
)
_BULLETS: Final = ("•", "◦", "▪")


class _Container(Struct, frozen=True):
    mark: Mark
    indent: int = 0  # columns that a line of the item has at least
    family: str = ""  # items of one list: "-", "*", "+", "." or ")"
    number: int = 0


class Document:
    """One text. `feed` takes more of it; `blocks` are closed, `tail` gives what may still change."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._rest = ""  # of the line that has not ended
        self._at = 0  # where that begins
        self._lines = 0  # that were taken apart
        self._is_cut = False  # it goes on a line that was cut
        self._stack: tuple[_Container, ...] = ()
        self._leaf: Block | None = None
        self._was_blank = False
        self._has_before = False
        self._is_trial = False
        self._last: tuple[_Container, ...] = ()  # the containers of the block before
        self._fence_end: tuple[str, int, int] = ("", 0, 0)  # mark, length, indent
        self._links = Links()
        self._ahead: dict[str, str] = {}  # what a trial defined

    # ---- more text --------------------------------------------------------------------------------

    def feed(self, text: str) -> None:
        """More of the text."""
        if "\n" not in text and len(self._rest) + len(text) <= LINE_CHARS:
            self._rest += text
            return
        self._links.foresee({})
        text = self._rest + text
        at, base = 0, self._at
        while self._lines < MOST_LINES:
            newline = text.find("\n", at)
            end = newline if newline >= 0 else len(text)
            while end - at > LINE_CHARS:
                stop = text.rfind(" ", at + LINE_CHARS - 200, at + LINE_CHARS) + 1 or at + LINE_CHARS
                self._line(text[at:stop], base + at, self._is_cut)
                self._is_cut, at = True, stop
            if newline < 0:
                break
            self._line(text[at:newline], base + at, self._is_cut)
            self._lines += 1
            self._is_cut = False
            at = newline + 1
        while self._lines >= MOST_LINES and len(text) - at > LINE_CHARS:
            stop = text.rfind("\n", at + 1, at + LINE_CHARS) + 1 or at + LINE_CHARS
            self._flow(text[at:stop], base + at)
            at = stop
        self._rest, self._at = text[at:], base + at

    def changed(self) -> set[int]:
        """Which of the closed blocks are to be laid out anew, since this was asked last: a label of theirs is known."""
        return self._links.changed()

    def _flow(self, text: str, at: int) -> None:
        """Some lines that are not taken apart."""
        self._stack = ()
        self._open("text", at, text.removesuffix("\n"), glued=True)

    def tail(self, *, is_open: bool = False) -> list[Block]:
        """The blocks that more text may change. `is_open`: it is coming, so what cannot be told yet is left out."""
        rest = self._rest
        if is_open and not self._is_cut:
            in_code = self._leaf is not None and self._leaf.kind == "code"
            in_text = self._leaf is not None and self._leaf.kind == "text"
            if rest.strip(" \t`~") == "" if in_code else _UNDECIDED.match(rest) or not in_text and has_begun(rest):
                rest = ""
        trial = Document.__new__(Document)
        trial.blocks = []
        trial._rest, trial._at, trial._is_cut = "", self._at, False
        trial._stack, trial._last, trial._was_blank = self._stack, self._last, self._was_blank
        trial._has_before, trial._is_trial = self._has_before, True
        trial._fence_end = self._fence_end
        trial._leaf = copied(self._leaf)
        trial._links, trial._ahead = self._links, {}
        if self._lines >= MOST_LINES:
            trial._flow(rest, self._at)
        elif rest or self._is_cut:
            trial._line(rest, self._at, self._is_cut, is_partial=True)
        trial._close()
        self._links.foresee(trial._ahead)
        return trial.blocks

    # ---- one line -----------------------------------------------------------------------------------

    def _line(self, line: str, start: int, is_cut: bool, *, is_partial: bool = False) -> None:
        """One line of the source; `is_cut`: it goes on the one before."""
        leaf = self._leaf
        if is_cut:
            self._continue(line, start, is_partial)
            return
        depth, at, column = self._matched(line)
        is_blank = not line[at:].strip()
        if leaf is not None and leaf.kind == "code" and leaf.fence is not None:
            if depth == len(self._stack):
                self._code_line(leaf, line, at, column, start, is_partial)
                return
            self._close()
            leaf = None
        if is_blank:
            self._close()
            self._was_blank = True
            if depth < len(self._stack) and any(each.mark.kind == "quote" for each in self._stack[depth:]):
                self._stack = self._stack[:depth]
            return
        if self._begin(line, at, column, depth, start, is_partial):
            return
        leaf = self._leaf
        indent = _INDENT.match(line, at)
        at = indent.end() if indent is not None else at
        if leaf is not None and leaf.kind == "table" and depth == len(self._stack) and "|" in line:
            self._table_row(leaf, line[at:], start + at)
            return
        if leaf is not None and leaf.kind == "text":
            if depth == len(self._stack) and self._under(leaf, line[at:], start):
                return
            self._add_text(leaf, line[at:], start + at)  # also a lazy continuation
            return
        self._close()
        self._stack = self._stack[:depth]
        if not self._define(line[at:]):
            self._open("text", start + at, line[at:])

    def _matched(self, line: str) -> tuple[int, int, int]:
        """How many of the open containers the line goes on; where its rest begins, and at which column."""
        at = column = depth = 0
        for container in self._stack:
            end, behind = _indent(line, at, column)
            if container.mark.kind == "quote":
                if behind - column > 3 or not line.startswith(">", end):
                    break
                at, column = end + 1, behind + 1
                if line[at : at + 1] in (" ", "\t"):
                    at, column = at + 1, column + 1
            else:
                if end == len(line):
                    at = end  # an empty line ends no item
                elif behind - column >= container.indent:
                    at, column = _skip(line, at, column, column + container.indent)
                else:
                    break
            depth += 1
        return depth, at, column

    def _begin(self, line: str, at: int, column: int, depth: int, start: int, is_partial: bool) -> bool:
        """Open what begins in the line, containers and then a leaf. False: it is text."""
        popped = self._stack[depth : depth + 1]
        stack = self._stack[:depth]
        opened = 0
        while True:
            end, behind = _indent(line, at, column)
            indent = behind - column
            in_text = self._leaf is not None and self._leaf.kind == "text" and not opened
            if indent > 3 and end < len(line):
                leaf = self._leaf if not opened else None
                if leaf is not None and leaf.kind != "code":
                    return False
                at, _ = _skip(line, at, column, column + 4)
                if leaf is not None and depth == len(self._stack):
                    self._add_code(leaf, line[at:], start + at, is_partial)
                else:
                    self._enter(stack)
                    self._open("code", start + at, line[at:])
                return True
            rest = line[end:]
            if rest.startswith(">") and len(stack) < DEEPEST:
                self._enter(stack)
                stack = (*stack, _Container(Mark("quote")))
                at, column = end + 1, behind + 1
                if line[at : at + 1] in (" ", "\t"):
                    at, column = at + 1, column + 1
                opened += 1
                popped = ()
                continue
            if _RULE.match(rest) and not (in_text and depth == len(self._stack) and _UNDERLINE.match(rest)):
                self._enter(stack)
                self._open("rule", start + end, rest)
                self._close()
                return True
            goes_on = in_text and depth == len(self._stack)
            item = _ITEM.match(rest) if len(stack) < DEEPEST else None
            note = NOTE.match(rest) if len(stack) < DEEPEST and not goes_on else None
            container: _Container | None = None
            if item is not None and not (goes_on and _is_weak(item, rest, popped)):
                container, at, column = self._item(line, item, end, behind, column, stack, popped)
            elif note is not None and rest.startswith(":", note.end()):
                self._know(f"^{note[1]}", "")
                container = _Container(Mark("item", f"{marker(note[1])} "), 4, "^")
                at, column = _indent(line, end + note.end() + 1, behind + note.end() + 1)
            if container is not None:
                self._enter(stack)
                stack = (*stack, container)
                opened += 1
                popped = ()
                if at >= len(line):
                    self._stack = stack
                    return self._empty_item(stack, start + len(line))
                continue
            heading = _HEADING.match(rest)
            if heading is not None:
                self._enter(stack)
                block = self._open("heading", start + end + heading.start(2), heading[2])
                block.level = len(heading[1])
                self._close()
                return True
            fence = _FENCE.match(rest)
            if fence is not None:
                self._enter(stack)
                mark = fence[1] or fence[3]
                block = self._open("code", start + len(line) + 1, "")
                block.fence = Fence((fence[2] or fence[4] or "").strip())
                block.places.clear()
                block.end = start + len(line)
                self._fence_end = (mark[0], len(mark), indent)
                return True
            break
        if not opened:
            return False
        self._stack = stack
        end, behind = _indent(line, at, column)
        if at >= len(line) or end >= len(line):
            return self._empty_item(stack, start + len(line))
        if self._define(line[end:]):
            return not stack[-1].family or self._empty_item(stack, start + len(line))
        self._open("text", start + end, line[end:])
        return True

    def _define(self, text: str) -> bool:
        """Whether a line that no paragraph is before is a definition."""
        found = definition(text)
        if found is not None:
            self._know(*found)
        return found is not None

    def _know(self, label: str, url: str) -> None:
        if self._is_trial:
            self._ahead[label] = url
        else:
            self._links.define(label, url)

    def _enter(self, stack: tuple[_Container, ...]) -> None:
        """Close what ends where something begins in these containers."""
        self._close()
        self._stack = stack

    def _empty_item(self, stack: tuple[_Container, ...], at: int) -> bool:
        self._stack = stack
        self._open("text", at, "")
        return True

    def _item(
        self,
        line: str,
        item: re.Match[str],
        end: int,
        behind: int,
        column: int,
        stack: tuple[_Container, ...],
        popped: tuple[_Container, ...],
    ) -> tuple[_Container, int, int]:
        """A list item: its container, and where its content begins."""
        family = item[1] or item[3]
        number = int(item[2]) if item[2] else 0
        if popped and popped[0].family == family and number:
            number = popped[0].number + 1
        at, at_column = end + item.end(), behind + item.end()
        content, content_column = _indent(line, at, at_column)
        if content == len(line) or content_column - at_column > 4:
            content, content_column = min(at + 1, len(line)), at_column + 1
        # A bit kinder than CommonMark: two columns are enough to stand inside "1. ".
        indent = content_column - column if item[1] else behind - column + 2
        if item[2]:
            return _Container(Mark("item", f"{number}{family} "), indent, family, number), content, content_column
        depth = sum(1 for each in stack if each.mark.kind == "item" and each.family in "-*+")
        mark = Mark("item", f"{_BULLETS[min(depth, 2)]} ")
        task = _TASK.match(line, content)
        if task is not None:
            is_done = task[1] != " "
            mark = Mark("item", "☑ " if is_done else "☐ ", is_done)
            content, content_column = task.end(), content_column + task.end() - task.start()
        return _Container(mark, indent, family), content, content_column

    # ---- leaves -----------------------------------------------------------------------------------------

    def _open(self, kind: Kind, start: int, content: str, *, glued: bool = False) -> Block:
        """A new leaf in the open containers; `glued`: it goes on the one before."""
        self._close()
        stack, last = self._stack, self._last
        shared = 0
        while shared < min(len(stack), len(last)) and stack[shared] is last[shared]:
            shared += 1
        block = Block(
            kind, start, tuple([each.mark for each in stack]), fresh=shared, content=content, links=self._links
        )
        block.places.append((0, start))
        block.end = start + len(content)
        is_sibling = shared < min(len(stack), len(last)) and stack[shared].family == last[shared].family != ""
        is_inside = any(each.family for each in stack[:shared])
        block.gap = not glued and self._has_before and (self._was_blank or not (is_sibling or is_inside))
        block.shared = shared
        block.is_first = not glued
        self._last = stack
        self._has_before = True
        self._was_blank = False
        self._leaf = block
        return block

    def _close(self) -> None:
        """The leaf gets no more."""
        if self._leaf is not None:
            if not self._is_trial:
                self._used(self._leaf)
            self.blocks.append(self._leaf)
            self._leaf = None

    def _used(self, leaf: Block) -> None:
        number = len(self.blocks)
        if leaf.kind in ("text", "heading"):
            self._links.use(number, leaf.content)
        elif leaf.table is not None:
            for line in ([leaf.table.head] if leaf.is_first else []) + [row for _, row in leaf.rows]:
                self._links.use(number, line)

    def _add_text(self, leaf: Block, text: str, at: int) -> None:
        if len(leaf.content) + len(text) >= LINE_CHARS:
            leaf = self._open("text", at, text, glued=True)
            return
        leaf.places.append((len(leaf.content) + 1, at))
        leaf.content += "\n" + text
        leaf.end = at + len(text)

    def _continue(self, text: str, at: int, is_partial: bool) -> None:
        """The next part of a line that was cut."""
        leaf = self._leaf
        if leaf is not None and leaf.kind == "code":
            self._add_code(leaf, text, at, is_partial)
        elif text:
            self._open("text", at, text, glued=True)

    def _under(self, leaf: Block, text: str, start: int) -> bool:
        """A line under a text that makes it a heading, or its last line the head of a table."""
        if _UNDERLINE.match(text) and leaf.is_first and leaf.content:
            leaf.kind = "heading"
            leaf.level = 1 if text[0] == "=" else 2
            leaf.end = start + len(text)
            self._close()
            return True
        aligns = alignments(text)
        if aligns is None:
            return False
        head_at, head_start = leaf.places[-1]
        head = leaf.content[head_at:]
        table = Table.under(head, head_start, aligns, self._links)
        if table is None:
            return False
        if head_at:
            leaf.content = leaf.content[: head_at - 1]
            leaf.end = head_start
            leaf.places.pop()
            block = self._open("table", head_start, "")
        else:
            block = leaf
            block.kind, block.content = "table", ""
        block.table = table
        block.end = start + len(text)
        return True

    def _table_row(self, leaf: Block, line: str, at: int) -> None:
        table = leaf.table
        assert table is not None
        if len(leaf.rows) >= TABLE_ROWS:
            if leaf.is_first:
                table.fix([row for _, row in leaf.rows], [start for start, _ in leaf.rows])
            leaf = self._open("table", at, "", glued=True)
            leaf.table = table
        leaf.rows.append((at, line))
        leaf.end = at + len(line)

    def _code_line(self, leaf: Block, line: str, at: int, column: int, start: int, is_partial: bool) -> None:
        mark, length, indent = self._fence_end
        rest = line[at:]
        bare = rest.strip()
        if bare and bare[0] == mark and len(bare) >= length and not bare.strip(mark):
            end, behind = _indent(line, at, column)
            if behind - column <= 3 and line.startswith(mark, end):
                if leaf.content or leaf.is_first:
                    self._seal(leaf)
                    self._close()
                else:
                    self._leaf = None
                return
        kept, _ = _skip(line, at, column, column + indent)
        self._add_code(leaf, line[kept:], start + kept, is_partial)

    def _add_code(self, leaf: Block, text: str, at: int, is_partial: bool) -> None:
        count = len(leaf.places)
        if count >= CODE_LINES or (count >= CODE_LINES_MIN and leaf.content.endswith("\n")):
            self._seal(leaf)
            fence, segment = leaf.fence, leaf.segment
            leaf = self._open("code", at, "", glued=True)
            leaf.places.clear()
            leaf.fence, leaf.segment = fence, segment + 1
        if leaf.places:
            leaf.content += "\n"
        leaf.places.append((len(leaf.content), at))
        leaf.content += text
        leaf.end = at + len(text)
        if is_partial:
            leaf.level = 1  # the last line has not ended: it is not highlighted

    def _seal(self, leaf: Block) -> None:
        if leaf.fence is not None and not self._is_trial:
            leaf.fence.segments.append(leaf.content)


def _indent(line: str, at: int, column: int) -> tuple[int, int]:
    """Where the spaces from `at` end, and at which column (a tab goes to the next multiple of 4)."""
    spaces = _SPACES.match(line, at)
    if spaces is not None:
        column += spaces.end() - at
        at = spaces.end()
    while at < len(line):
        if line[at] == " ":
            column += 1
        elif line[at] == "\t":
            column += 4 - column % 4
        else:
            break
        at += 1
    return at, column


def _skip(line: str, at: int, column: int, to: int) -> tuple[int, int]:
    """Past spaces up to a column."""
    if line.startswith(" " * (to - column), at):
        return at + max(0, to - column), max(column, to)
    while at < len(line) and column < to and line[at] in " \t":
        column += 1 if line[at] == " " else 4 - column % 4
        at += 1
    return at, column


def _is_weak(item: re.Match[str], rest: str, popped: tuple[_Container, ...]) -> bool:
    """Whether this item may not break into a paragraph: an empty one, or a number that is not 1."""
    return not rest[item.end() :].strip() or (item[2] is not None and item[2] != "1")
