"""The entries of the transcript in their order, each with its height, and a view where one is looked at.

Only some views are kept (the open answer's, and those looked at last), so that a long history costs its text.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

from tui_agent.state.changes import Change, Prepend, Remove, Reset, Stream, Upsert
from tui_agent.state.entry import Entry
from tui_agent.ui.transcript.heights import Heights
from tui_agent.ui.transcript.view import View, estimate, lead_height

MOST_VIEWS: Final = 96


class Item:
    """An entry. Pieces of the open answer are joined when its text is asked for."""

    __slots__ = ("_pieces", "_text", "day", "entry", "lead", "view")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.view: View | None = None
        self.lead: tuple[str, ...] = ()
        self.day = day_of(entry.time_s)
        self._text = entry.text
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        if self._pieces:
            self._text = "".join([self._text, *self._pieces])
            self._pieces.clear()
        return self._text

    def more(self, text: str) -> None:
        self._pieces.append(text)

    def change(self, entry: Entry) -> bool:
        """It is now so; whether the text is another."""
        is_other = entry.text != self.text
        self.entry, self._text, self.day = entry, entry.text, day_of(entry.time_s)
        return is_other


class Items:
    """`apply` takes changes; a view is made when it is asked for."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.heights = Heights()
        self.width = 80
        self.streamed: tuple[str, int] | None = None  # the last changes were only more text: its key, the first row
        self._items: dict[str, Item] = {}
        self._places: dict[str, int] = {}
        self._kept: dict[str, None] = {}  # keys with a view, those looked at last at the end
        self.folds: dict[str, bool] = {}  # what the person opened or folded in this room
        self._new_since_s: float | None = None

    def __len__(self) -> int:
        return len(self.order)

    def __contains__(self, key: str) -> bool:
        return key in self._items

    def item(self, at: int) -> Item:
        return self._items[self.order[at]]

    def by_key(self, key: str) -> Item:
        return self._items[key]

    def place(self, key: str) -> int:
        return self._places[key]

    # ---- changes ----------------------------------------------------------------------------------

    def apply(self, changes: Iterable[Change]) -> int:
        """Take changes in; returns how many entries are new at the end or near it."""
        added = 0
        changes = list(gathered(changes))
        self.streamed = None
        for change in changes:
            match change:
                case Reset(entries):
                    self._reset(entries)
                case Prepend(entries):
                    self._prepend([entry for entry in entries if entry.key not in self._items])
                case Remove(key):
                    self._remove(key)
                case Stream(key, text):
                    first = self._stream(key, text)
                    if len(changes) == 1:
                        self.streamed = (key, first)
                case Upsert(entry, after):
                    added += self._upsert(entry, after)
        return added

    def _reset(self, entries: Sequence[Entry]) -> None:
        self.order = [entry.key for entry in entries]
        self._items = {entry.key: Item(entry) for entry in entries}
        self._kept.clear()
        self._number()
        self._lead(0, len(self.order))
        self.heights = Heights([self._estimate(at) for at in range(len(self.order))])

    def _prepend(self, entries: Sequence[Entry]) -> None:
        self.order[:0] = [entry.key for entry in entries]
        self._items.update((entry.key, Item(entry)) for entry in entries)
        self._number()
        self._lead(0, len(entries))
        self.heights.insert(0, [self._estimate(at) for at in range(len(entries))])
        self._relead(len(entries))

    def _remove(self, key: str) -> None:
        if key not in self._items:
            return
        at = self._places[key]
        self.order.pop(at)
        del self._items[key]
        self._kept.pop(key, None)
        self.heights.remove(at)
        self._number()
        self._relead(at)

    def _stream(self, key: str, text: str) -> int:
        """From which row of the entry on it has changed."""
        item = self._items.get(key)
        if item is None:
            return 0
        first = 0
        item.more(text)
        if item.view is not None and not item.view.is_folded:
            first = item.view.feed(text)
            self._measured(self._places[key], item.view)
        else:
            self._forget(key)  # a folded one says how much it hides
            self.heights.set(self._places[key], self._estimate(self._places[key]))
        return first

    def _upsert(self, entry: Entry, after: str | None) -> int:
        item = self._items.get(entry.key)
        if item is not None:
            is_other = item.change(entry)
            at = self._places[entry.key]
            self._relead(at)
            self._relead(at + 1)
            if item.view is not None and not is_other and item.view.is_folded == self.is_folded(item):
                item.view.change(entry)
                self._measured(at, item.view)
            else:
                self._forget(entry.key)
                self.heights.set(at, self._estimate(at))
            return 0
        at = len(self.order) if after is None or after not in self._places else self._places[after] + 1
        self._items[entry.key] = Item(entry)
        self.order.insert(at, entry.key)
        if at == len(self.order) - 1:
            self._places[entry.key] = at
            self._lead(at, at + 1)
            self.heights.append(self._estimate(at))
        else:
            self._number()
            self._lead(at, at + 1)
            self.heights.insert(at, [self._estimate(at)])
            self._relead(at + 1)
        return 1

    def _number(self) -> None:
        self._places = {key: at for at, key in enumerate(self.order)}

    # ---- lines above an entry ---------------------------------------------------------------------------

    def mark_new_since(self, time_s: float | None) -> None:
        """A line stands above the first entry of others after this time (None: nowhere)."""
        if time_s == self._new_since_s:
            return
        self._new_since_s = time_s
        for at in range(len(self.order)):
            self._relead(at)

    def _lead_of(self, at: int) -> tuple[str, ...]:
        item = self.item(at)
        before = self.item(at - 1) if at else None
        lead: tuple[str, ...] = ("",) if before is None else ()
        if item.day and before is not None and before.day and before.day != item.day:
            lead = (*lead, item.day)
        since = self._new_since_s
        if (
            since is not None
            and (item.entry.time_s or 0) > since
            and not item.entry.is_own
            and (before is None or before.entry.is_own or (before.entry.time_s or 0) <= since)
            and not any(each.lead and each.lead[-1].startswith("new since") for each in self._before(at, since))
        ):
            lead = (*lead, time.strftime("new since %H:%M", time.localtime(since)))
        return lead

    def _before(self, at: int, since_s: float) -> Iterable[Item]:
        """The entries before this one that came after a time."""
        while at > 0:
            at -= 1
            item = self.item(at)
            if item.entry.time_s is not None and item.entry.time_s <= since_s:
                return
            yield item

    def _lead(self, first: int, behind: int) -> None:
        for at in range(first, behind):
            item = self.item(at)
            item.lead = self._lead_of(at)

    def _relead(self, at: int) -> None:
        if not 0 <= at < len(self.order):
            return
        item = self.item(at)
        lead = self._lead_of(at)
        if lead == item.lead:
            return
        change = lead_height(lead) - lead_height(item.lead)
        item.lead = lead
        if item.view is not None:
            item.view.relead(lead)
            self._measured(at, item.view)
        else:
            self.heights.set(at, self.heights[at] + change)

    # ---- views ------------------------------------------------------------------------------------------

    def is_folded(self, item: Item) -> bool:
        return self.folds.get(item.entry.key, item.entry.is_folded)

    def rows_when_open(self, at: int) -> int:
        """About how many rows its text has when it is not folded."""
        item = self.item(at)
        return estimate(item.entry, len(item.text), item.text.count("\n"), self.width, is_folded=False) - 2

    def fold(self, key: str, is_folded: bool) -> None:
        """Fold an entry or open it."""
        self.folds[key] = is_folded
        self._forget(key)
        self.heights.set(self._places[key], self._estimate(self._places[key]))

    def view(self, at: int) -> View:
        """The view of an entry at the width of now."""
        key = self.order[at]
        item = self._items[key]
        view = item.view
        if view is None:
            view = item.view = View(item.entry, item.text, self.width, lead=item.lead, is_folded=self.is_folded(item))
        elif view.width != self.width:
            if view.is_folded:
                view = item.view = View(item.entry, item.text, self.width, lead=item.lead, is_folded=True)
            else:
                view.set_width(self.width)
        self._kept.pop(key, None)
        self._kept[key] = None
        self._measured(at, view)
        return view

    def measured(self, at: int) -> None:
        """More of a view was laid out."""
        view = self.item(at).view
        if view is not None:
            self._measured(at, view)

    def _measured(self, at: int, view: View) -> None:
        self.heights.set(at, view.height)

    def tidy(self) -> None:
        """Let go of views that were not looked at for long."""
        while len(self._kept) > MOST_VIEWS:
            self._forget(next(iter(self._kept)))

    def redraw(self) -> None:
        """Highlighting or styles have changed: rows are made anew when looked at."""
        for key in list(self._kept):
            self._forget(key)

    def _forget(self, key: str) -> None:
        self._kept.pop(key, None)
        self._items[key].view = None

    def _estimate(self, at: int) -> int:
        item = self.item(at)
        text = item.text
        height = estimate(item.entry, len(text), text.count("\n"), self.width, is_folded=self.is_folded(item))
        return height + lead_height(item.lead)


def gathered(changes: Iterable[Change]) -> Iterable[Change]:
    """The same, with the pieces of a stream that follow each other joined."""
    key, pieces = "", list[str]()
    for change in changes:
        if isinstance(change, Stream):
            if pieces and change.key != key:
                yield Stream(key, "".join(pieces))
                pieces.clear()
            key = change.key
            pieces.append(change.text)
            continue
        if pieces:
            yield Stream(key, "".join(pieces))
            pieces.clear()
        yield change
    if pieces:
        yield Stream(key, "".join(pieces))


def day_of(time_s: float | None) -> str:
    """`Wednesday 25 November 2026`; nothing where the time is not known."""
    if time_s is None:
        return ""
    return _day(int(time_s) // 900)


_days: dict[int, str] = {}


def _day(quarter: int) -> str:
    """A day begins at a quarter of an hour everywhere, so a quarter names it."""
    if quarter not in _days:
        if len(_days) > 5000:
            _days.clear()
        moment = time.localtime(quarter * 900)
        _days[quarter] = time.strftime(f"%A {moment.tm_mday} %B %Y", moment)
    return _days[quarter]
