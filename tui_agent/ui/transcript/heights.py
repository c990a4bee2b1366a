"""Heights in a row: the sum before each and which one covers a row, in logarithmic time. Pure."""

from __future__ import annotations

from collections.abc import Iterable


class Heights:
    """A Fenwick tree over a list of heights (rows, at least 0)."""

    def __init__(self, heights: Iterable[int] = ()) -> None:
        self._heights: list[int] = list(heights)
        self._tree: list[int] = []  # [i]: the sum of the heights that end at i and are covered by it
        self._build()

    def _build(self) -> None:
        tree = self._heights[:]
        for at in range(len(tree)):
            above = at | (at + 1)
            if above < len(tree):
                tree[above] += tree[at]
        self._tree = tree

    def __len__(self) -> int:
        return len(self._heights)

    def __getitem__(self, at: int) -> int:
        return self._heights[at]

    @property
    def total(self) -> int:
        return self.before(len(self._heights))

    def before(self, at: int) -> int:
        """The sum of the first `at`."""
        total, at, tree = 0, at - 1, self._tree
        while at >= 0:
            total += tree[at]
            at = (at & (at + 1)) - 1
        return total

    def find(self, row: int) -> tuple[int, int]:
        """Which one covers this row, and how far into it the row is. Past the end: the last one."""
        place, rest, tree = 0, max(0, row), self._tree
        step = 1 << max(0, len(tree).bit_length() - 1)
        while step:
            ahead = place + step
            if ahead <= len(tree) and tree[ahead - 1] <= rest:
                rest -= tree[ahead - 1]
                place = ahead
            step >>= 1
        if place >= len(tree):
            last = max(0, len(tree) - 1)
            return last, row - self.before(last)
        return place, rest

    def set(self, at: int, height: int) -> None:
        change = height - self._heights[at]
        if not change:
            return
        self._heights[at] = height
        while at < len(self._tree):
            self._tree[at] += change
            at |= at + 1

    def append(self, height: int) -> None:
        at = len(self._heights)
        self._heights.append(height)
        low = at & (at + 1)
        total, below = height, at - 1
        while below >= low:
            total += self._tree[below]
            below = (below & (below + 1)) - 1
        self._tree.append(total)

    def cut(self, length: int) -> None:
        """Keep only the first ones."""
        del self._heights[length:]
        del self._tree[length:]

    def insert(self, at: int, heights: Iterable[int]) -> None:
        """Put some in (linear)."""
        self._heights[at:at] = heights
        self._build()

    def remove(self, at: int) -> None:
        """Take one out (linear)."""
        del self._heights[at]
        self._build()
