"""The tree of heights agrees with a plain list, whatever is done to it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tui_agent.ui.transcript.heights import Heights

HEIGHT = st.integers(0, 9)
STEP = st.one_of(
    st.tuples(st.just("append"), HEIGHT),
    st.tuples(st.just("set"), st.integers(0, 50), HEIGHT),
    st.tuples(st.just("cut"), st.integers(0, 50)),
    st.tuples(st.just("insert"), st.integers(0, 50), st.lists(HEIGHT, max_size=5)),
    st.tuples(st.just("remove"), st.integers(0, 50)),
)


@settings(max_examples=200)
@given(st.lists(HEIGHT, max_size=40), st.lists(STEP, max_size=20))
def test_sums_and_finds_are_those_of_a_list(start, steps) -> None:
    tree, plain = Heights(start), list(start)
    for name, *values in steps:
        if name == "append":
            tree.append(values[0])
            plain.append(values[0])
        elif name == "set" and values[0] < len(plain):
            tree.set(*values)
            plain[values[0]] = values[1]
        elif name == "cut":
            tree.cut(values[0])
            del plain[values[0] :]
        elif name == "insert" and values[0] <= len(plain):
            tree.insert(*values)
            plain[values[0] : values[0]] = values[1]
        elif name == "remove" and values[0] < len(plain):
            tree.remove(values[0])
            del plain[values[0]]
    assert [tree[at] for at in range(len(tree))] == plain
    assert [tree.before(at) for at in range(len(plain) + 1)] == [sum(plain[:at]) for at in range(len(plain) + 1)]
    rows = [(at, inside) for at, height in enumerate(plain) for inside in range(height)]
    assert [tree.find(row) for row in range(tree.total)] == rows
