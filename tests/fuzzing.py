"""Inputs that nobody thought of: each gives a result, or one sentence of ours, and nothing else.

``FUZZ=100 pytest -k fuzz`` tries a hundred times as many, other ones each time.
"""

from __future__ import annotations

import os
import traceback

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from recbole_store.errors import LONGEST, InputError, RunError

TIMES = int(os.environ.get("FUZZ", "1"))

# Characters that files, terminals, parsers and models trip over.
ODD = "\0\t\n\r\x0b\x0c\x1b\x85\xa0\u200b\u202e\u2028\ufeff\ufffd\udfff\ud800"
ODD += "😀é中١\"'`{}[]:,#&*!|>%@=+-\\/<"
texts = st.one_of(st.text(max_size=20), st.text(st.sampled_from(ODD), max_size=8))
numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, 1, -1, 2**31, 2**63, 2**64, 10**400, 1e308, 1e-320, 0.5]),
)
# What JSON and YAML can say.
trees = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=6,
)


def fuzzed(examples: int):
    """How often a test tries; always the same inputs, unless FUZZ asks for more."""
    return settings(
        max_examples=examples * TIMES,
        deadline=None,
        database=None,
        derandomize=TIMES == 1,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate] if TIMES == 1 else list(Phase),
    )


def told(call, *args, **kwargs):
    """The result of a call, or None if it was refused in one sentence."""
    try:
        return call(*args, **kwargs)
    except (InputError, RunError) as error:
        is_sentence(str(error))
        return None


def is_sentence(said: str) -> None:
    assert said and said.isprintable() and len(said) <= LONGEST + 10, said


def runs_of(main, words: list[str], capsys) -> int:
    """The exit status of a command, which says in one sentence why it is 1 or 2."""
    capsys.readouterr()
    try:
        status = main(words)
    except SystemExit as stopped:
        status = stopped.code
    err = capsys.readouterr().err
    assert status in (0, 1, 2), (status, err)
    assert traceback.__name__.title() not in err, err
    if status == 2:
        *_, last = err.rstrip("\n").split("\n")
        assert last.startswith("error: "), err
        is_sentence(last)
    return status


def with_odd_bytes(content: bytes):
    """A file's content with a few bytes changed, left out or put in, or cut off."""
    place = st.integers(0, max(len(content) - 1, 0))
    pieces = st.one_of(st.binary(max_size=6), texts.map(lambda t: t.encode("utf-8", "replace")))
    change = st.tuples(place, st.integers(0, 8), pieces)

    def changed(changes) -> bytes:
        found = content
        for start, n_bytes, piece in changes:
            found = found[:start] + piece + found[start + n_bytes :]
        return found

    several = st.lists(change, min_size=1, max_size=3).map(changed)
    return st.one_of(several, several, place.map(lambda end: content[:end]), st.binary(max_size=40))


@st.composite
def with_odd_parts(draw, tree):
    """A tree of dicts and lists, in which a part or two are something else, or missing."""
    for _ in range(draw(st.integers(1, 2))):
        tree = _changed(draw, tree)
    return tree


def _changed(draw, tree):
    is_leaf = not isinstance(tree, (dict, list)) or not tree
    if is_leaf or draw(st.integers(0, 5)) == 0:
        return draw(trees)
    if isinstance(tree, dict):
        key = draw(st.sampled_from(sorted(tree)))
        rest = {name: part for name, part in tree.items() if name != key}
        return rest if draw(st.integers(0, 4)) == 0 else {**rest, key: _changed(draw, tree[key])}
    place = draw(st.integers(0, len(tree) - 1))
    return [*tree[:place], _changed(draw, tree[place]), *tree[place + 1 :]]
