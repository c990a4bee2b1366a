"""Markdown inside a line of text: emphasis, code, links, escapes, entities. Pure; cost linear in the text.

The text that the rules do not take is shown as itself: HTML, links to anything but http and https,
references that nothing defines (yet).
Each run says which part of the text it shows, so that what is selected on the screen can be copied as it was written.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from msgspec import Struct

from tui_agent.state.clean import clean_text
from tui_agent.state.markdown_links import ESCAPED, IS_LABEL, LABEL, LONGEST, NOTE, Links, is_web, marker

EM: Final = 1
STRONG: Final = 2
STRIKE: Final = 4
CODE: Final = 8
LINK: Final = 16
_WORDS: Final = ((CODE, "code"), (LINK, "link"), (STRONG, "strong"), (EM, "em"), (STRIKE, "strike"))
LOOKS: Final = tuple(" ".join(word for flag, word in _WORDS if flags & flag) for flags in range(32))

_SPECIAL: Final = re.compile(r"[\\`*_~\[\]!<&\n]|https?://")
_PLAIN_URL: Final = re.compile(r"https?://[^\s<>\"`|]{1,2000}")
_ANGLE_URL: Final = re.compile(r"<(https?://[^\s<>]{1,2000})>")
_BREAK_TAG: Final = re.compile(r"<br ?/?>")
_ENTITY: Final = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_TARGET: Final = re.compile(
    r"\(\s{0,8}(?:<([^<>\n]{0,2000})>|((?:[^\s()\\]|\\.|\([^\s()]{0,200}\)){0,2000}))"
    r"(?:\s{1,8}(?:\"[^\"\n]{0,500}\"|'[^'\n]{0,500}'))?\s{0,8}\)"
)
_TICKS: Final = re.compile("`+")
_UNFINISHED: Final = re.compile(r"[*_~`]+$")


class Run(NamedTuple):
    """Text of one look. `start` and `end`: what it shows of the source; a newline alone is a hard break."""

    text: str
    look: str
    start: int
    end: int
    link: str = ""


class _Delimiter(Struct):
    node: int
    mark: str
    count: int
    original: int
    can_open: bool
    can_close: bool


def parse_inline(text: str, *, is_open: bool = False, links: Links | None = None) -> list[Run]:
    """The runs of `text`. `is_open`: more may come, so an emphasis that has begun is shown as one already.

    `links`: what references point to.
    """
    if is_open:
        text = _UNFINISHED.sub("", text)
    return _Parser(text, is_open, links).parse()


class _Parser:
    """One text. Nodes are pieces in order; emphasis is kept as where it begins and ends among them."""

    def __init__(self, text: str, is_open: bool, links: Links | None) -> None:
        self.text = text
        self.is_open = is_open
        self.known = links if links is not None and not links.is_empty else None
        self.nodes: list[tuple[str, int, int, int, str]] = []  # text, flags, start, end, link
        self.turns: dict[int, list[int]] = {EM: [], STRONG: [], STRIKE: []}  # +node begins, ~node ends
        self.delimiters: list[_Delimiter] = []
        self.brackets: list[tuple[int, int, bool]] = []  # node, delimiters before it, is it an image
        self.links: list[tuple[int, int, str]] = []  # first node, node behind the last, target
        self.ticks: dict[int, list[int]] | None = None

    def parse(self) -> list[Run]:
        text, at = self.text, 0
        while (found := _SPECIAL.search(text, at)) is not None:
            start = found.start()
            if start > at:
                self._add(text[at:start], at)
            at = self._special(found[0], start)
        if at < len(text):
            self._add(text[at:], at)
        self._emphasize(0, is_last=True)
        return self._runs()

    def _add(self, shown: str, start: int, end: int | None = None, flags: int = 0, link: str = "") -> None:
        self.nodes.append((shown, flags, start, start + len(shown) if end is None else end, link))

    def _special(self, mark: str, at: int) -> int:
        """Take what begins at `at`; returns where to go on."""
        text = self.text
        match mark:
            case "\\":
                if (escaped := ESCAPED.match(text, at)) is not None:
                    self._add(escaped[1], at, at + 2)
                    return at + 2
                if text.startswith("\n", at + 1):
                    self._add("\n", at, at + 2)
                    return at + 2
            case "`":
                return self._code(at)
            case "*" | "_" | "~":
                return self._delimiter(mark, at)
            case "[" if (
                self.known is not None and (note := NOTE.match(text, at)) is not None and self.known.has_note(note[1])
            ):
                self._add(marker(note[1]), at, note.end())
                return note.end()
            case "[":
                self.brackets.append((len(self.nodes), len(self.delimiters), False))
            case "!" if text.startswith("[", at + 1):
                self.brackets.append((len(self.nodes), len(self.delimiters), True))
                self._add("![", at)
                return at + 2
            case "]":
                if self.brackets and (end := self._link(at)):
                    return end
            case "<":
                if (url := _ANGLE_URL.match(text, at)) is not None and is_web(url[1]):
                    self._add(url[1], at, url.end(), LINK, url[1])
                    return url.end()
                if (tag := _BREAK_TAG.match(text, at)) is not None:
                    self._add("\n", at, tag.end())
                    return tag.end()
            case "&":
                if (entity := _ENTITY.match(text, at)) is not None:
                    from html import unescape  # 2,231 names: only where a text has one

                    shown = unescape(entity[0])
                    if shown and shown != entity[0] and shown.isprintable() and clean_text(shown) == shown:
                        self._add(shown, at, entity.end())
                        return entity.end()
            case "\n":
                return self._newline(at)
            case "http://" | "https://":
                return self._url(at)
        self._add(mark, at)
        return at + len(mark)

    def _newline(self, at: int) -> int:
        is_hard = self.text.endswith("  ", 0, at)
        if self.nodes and self.nodes[-1][3] == at and self.nodes[-1][0].endswith(" "):
            shown, flags, start, _, link = self.nodes.pop()
            kept = shown.rstrip(" ")
            self._add(kept, start, start + len(kept), flags, link)
        self._add("\n" if is_hard else " ", at, at + 1)
        return at + 1

    def _url(self, at: int) -> int:
        found = _PLAIN_URL.match(self.text, at)
        before = self.text[at - 1] if at else " "
        url = found[0] if found is not None and not before.isalnum() else ""
        url = url.rstrip(".,:;!?*_~'")
        while url.endswith((")", "]")) and url.count(url[-1]) > url.count("(" if url[-1] == ")" else "["):
            url = url[:-1].rstrip(".,:;!?*_~'")
        if not is_web(url):
            self._add(self.text[at : at + 4], at)
            return at + 4
        self._add(url, at, flags=LINK, link=url)
        return at + len(url)

    def _code(self, at: int) -> int:
        run = _TICKS.match(self.text, at)
        assert run is not None
        length = len(run[0])
        if self.ticks is None:
            self.ticks = {}
            for each in reversed(list(_TICKS.finditer(self.text))):
                self.ticks.setdefault(len(each[0]), []).append(each.start())
        ends = self.ticks.get(length, [])
        while ends and ends[-1] <= at:
            ends.pop()
        if not ends and not (self.is_open and length == 1 and at + 1 < len(self.text)):
            self._add(run[0], at)
            return at + length
        end = ends[-1] if ends else len(self.text)
        inner, start = self.text[at + length : end], at + length
        if len(inner) > 2 and inner[0] in " \n" and inner[-1] in " \n" and inner.strip():
            inner, start = inner[1:-1], start + 1
        self._add(inner.replace("\n", " "), start, flags=CODE)
        return end + length if ends else end

    def _delimiter(self, mark: str, at: int) -> int:
        end = at
        while end < len(self.text) and self.text[end] == mark:
            end += 1
        before = self.text[at - 1] if at else " "
        after = self.text[end] if end < len(self.text) else " "
        is_left = not after.isspace() and (_is_word(after) or not _is_word(before))
        is_right = not before.isspace() and (_is_word(before) or not _is_word(after))
        if mark == "_":
            is_left, is_right = (
                is_left and (not is_right or not _is_word(before)),
                is_right and (not is_left or not _is_word(after)),
            )
        count = end - at
        if mark == "*" and count == 1 and before.isalnum() and after.isalnum():
            is_left = is_right = False  # 2*3*4 is arithmetic here, not an emphasis
        if (is_left or is_right) and (mark != "~" or count == 2):
            self.delimiters.append(_Delimiter(len(self.nodes), mark, count, count, is_left, is_right))
        self._add(self.text[at:end], at)
        return end

    def _link(self, at: int) -> int:
        """`](target)`, `][label]`, `][]` or `]` ends a link: where to go on, 0 when it does not."""
        node, delimiters, is_image = self.brackets.pop()
        found = _TARGET.match(self.text, at + 1)
        if found is not None:
            url, behind = ESCAPED.sub(r"\1", found[1] if found[1] is not None else found[2]), found.end()
        elif self.known is not None:
            url, behind = self._reference(self.nodes[node][2] + 1 + is_image, at)
        else:
            return 0
        if not is_web(url) or node + 1 >= len(self.nodes):
            return 0
        self._emphasize(delimiters)
        _, flags, start, end, _ = self.nodes[node]
        self.nodes[node] = ("", flags, start, end, "")
        self.links.append((node + 1, len(self.nodes), url))
        if not is_image:
            self.brackets.clear()  # no link inside a link
        self._add("", at, behind)
        return behind

    def _reference(self, start: int, at: int) -> tuple[str, int]:
        """The target of what stands in brackets from `start` to `at`, and where it ends; "": none."""
        assert self.known is not None
        named = LABEL.match(self.text, at + 1)
        label, behind = (named[1], named.end()) if named is not None else ("", at + 1)
        if not label:
            label = self.text[start:at] if at - start <= LONGEST else ""
            if IS_LABEL.fullmatch(label) is None:
                label = ""
        return (self.known.target(label) if label.strip() and len(label) <= LONGEST else ""), behind

    def _emphasize(self, floor: int, *, is_last: bool = False) -> None:
        """Pair the delimiters from `floor` on (CommonMark 0.31, "process emphasis")."""
        openers: list[_Delimiter] = []
        bottoms: dict[tuple[str, bool, int], int] = {}  # below: known to hold no opener for such a closer
        for closer in self.delimiters[floor:]:
            key = (closer.mark, closer.can_open, closer.original % 3)
            while closer.can_close and closer.count:
                place = self._opener(openers, closer, bottoms.get(key, 0))
                if place < 0:
                    bottoms[key] = len(openers)
                    break
                opener = openers[place]
                del openers[place + 1 :]
                used = 2 if min(opener.count, closer.count) >= 2 else 1
                flag = STRIKE if closer.mark == "~" else STRONG if used == 2 else EM
                self.turns[flag] += [opener.node + 1, ~closer.node]
                opener.count -= used
                closer.count -= used
                if not opener.count:
                    openers.pop()
                bottoms = {each: min(bottom, len(openers)) for each, bottom in bottoms.items()}
            if closer.can_open and closer.count:
                openers.append(closer)
        if is_last and self.is_open:
            for opener in openers:
                if opener.mark != "~" and opener.count <= 2:
                    self.turns[STRONG if opener.count == 2 else EM].append(opener.node + 1)
                    opener.count = 0
        for delimiter in self.delimiters[floor:]:
            shown, flags, start, end, link = self.nodes[delimiter.node]
            if delimiter.count < len(shown):
                self.nodes[delimiter.node] = (shown[: delimiter.count], flags, start, end, link)
        del self.delimiters[floor:]

    @staticmethod
    def _opener(openers: list[_Delimiter], closer: _Delimiter, bottom: int) -> int:
        for place in range(len(openers) - 1, bottom - 1, -1):
            opener = openers[place]
            if opener.mark != closer.mark:
                continue
            is_odd = (
                (opener.can_close or closer.can_open)
                and (opener.original + closer.original) % 3 == 0
                and (opener.original % 3 != 0 or closer.original % 3 != 0)
            )
            if not is_odd or closer.mark == "~":
                return place
        return -1

    def _runs(self) -> list[Run]:
        changes: dict[int, list[tuple[int, int]]] = {}
        for flag, turns in self.turns.items():
            for turn in turns:
                changes.setdefault(turn if turn >= 0 else ~turn, []).append((flag, 1 if turn >= 0 else -1))
        targets: dict[int, str] = {}
        for first, behind, url in self.links:
            targets[first] = url
            targets[behind] = ""
        runs: list[Run] = []
        depth = {EM: 0, STRONG: 0, STRIKE: 0}
        now, link = 0, ""
        for number, (shown, flags, start, end, own_link) in enumerate(self.nodes):
            if number in changes:
                for flag, step in changes[number]:
                    depth[flag] += step
                now = sum(flag for flag, count in depth.items() if count)
            link = targets.get(number, link)
            if shown:
                target = own_link or link
                runs.append(Run(shown, LOOKS[now | flags | (LINK if target else 0)], start, end, target))
        return _joined(runs)


def _joined(runs: list[Run]) -> list[Run]:
    """Neighbours of one look as one run, where the source is one to one."""
    joined: list[Run] = []
    for run in runs:
        if joined:
            last = joined[-1]
            if (
                last.look == run.look
                and last.link == run.link
                and last.end == run.start
                and len(last.text) == last.end - last.start
                and len(run.text) == run.end - run.start
                and "\n" not in (last.text[-1], run.text[0])
            ):
                joined[-1] = Run(last.text + run.text, run.look, last.start, run.end, run.link)
                continue
        joined.append(run)
    return joined


def _is_word(character: str) -> bool:
    """Neither space nor punctuation."""
    return character.isalnum() or not (character.isspace() or character.isascii() or not character.isprintable())
