"""The trie of existing items: which codes may follow a prefix."""

from __future__ import annotations

import itertools
import random

import pytest
import torch

from recbole_store.generator import code_trie
from recbole_store.generator.code_trie import CodeTrie

ROOT_NODE = torch.tensor(0)

# Four items; prefixes in order: [0], [2] / [0 1], [0 3], [2 1] / the items.
CODES = torch.tensor([[2, 1, 0], [0, 3, 0], [0, 1, 1], [0, 1, 0]])
ITEM_IDS = torch.tensor([7, 5, 9, 4])


def allowed_codes(trie: CodeTrie, level: int, node: int) -> list[int]:
    children = trie.children(level, torch.tensor(node))
    return children.codes[children.mask == 0].tolist()


def walk(trie: CodeTrie, codes: list[int]) -> int:
    """The node behind a prefix."""
    node = ROOT_NODE
    for level, code in enumerate(codes):
        children = trie.children(level, node[None, None])
        places = ((children.codes[0, 0] == code) & (children.mask[0, 0] == 0)).nonzero()
        assert len(places) == 1, f"{codes} is no prefix"
        node = children.follow(torch.tensor([[0]]), places)[1][0, 0]
    return int(node)


def random_codes(n_items: int, sizes: list[int], seed: int) -> torch.Tensor:
    """Distinct rows, in no order."""
    rows = list(itertools.product(*(range(size) for size in sizes)))
    return torch.tensor(random.Random(seed).sample(rows, n_items))


def test_children_of_a_worked_example():
    trie = CodeTrie(CODES, ITEM_IDS)
    assert (trie.n_levels, len(trie)) == (3, 4)
    assert allowed_codes(trie, 0, 0) == [0, 2]
    assert allowed_codes(trie, 1, walk(trie, [0])) == [1, 3]
    assert allowed_codes(trie, 1, walk(trie, [2])) == [1]
    assert allowed_codes(trie, 2, walk(trie, [0, 1])) == [0, 1]
    assert allowed_codes(trie, 2, walk(trie, [0, 3])) == [0]
    assert int(trie.items(torch.tensor(walk(trie, [2, 1, 0])))) == 7
    assert int(trie.items(torch.tensor(walk(trie, [0, 1, 1])))) == 9


@pytest.fixture(params=["lists", "tables"])
def form(request, monkeypatch):
    """Every level as lists of children, or, where they are not too few, as a table."""
    room = 0 if request.param == "lists" else 10**6
    monkeypatch.setattr(code_trie, "TABLE_BYTES", room)
    return request.param


def test_children_of_many_nodes_at_once(form):
    trie = CodeTrie(CODES, ITEM_IDS)
    children = trie.children(1, torch.tensor([[0, 1], [1, 0]]))
    logits = torch.arange(4.0).expand(2, 2, 4) + 10
    mask = -torch.inf
    if form == "lists":  # codes 1 and 3, code 1
        assert children.logits(logits).tolist() == [
            [[11, 13], [11, mask]],
            [[11, mask], [11, 13]],
        ]
    else:
        only_1, both = [mask, 11, mask, mask], [mask, 11, mask, 13]
        assert children.logits(logits).tolist() == [[both, only_1], [only_1, both]]
    # What is no child may be looked up all the same.
    assert ((children.codes >= 0) & (children.codes < 4)).all()


def test_following_children(form):
    """User 0 goes on from [0] by 3 and from [2] by 1; user 1 from [0] by 1, and again."""
    trie = CodeTrie(CODES, ITEM_IDS)
    children = trie.children(1, torch.tensor([[0, 1], [1, 0]]))
    parent = torch.tensor([[0, 1], [1, 1]])
    place = torch.tensor([[1, 0], [0, 0]] if form == "lists" else [[3, 1], [1, 1]])
    codes, nodes = children.follow(parent, place)
    assert codes.tolist() == [[3, 1], [1, 1]]
    assert nodes.tolist() == [[1, 2], [0, 0]]


def test_two_items_with_the_same_codes_are_refused():
    with pytest.raises(ValueError, match="unique, but 2 of 4 repeat one"):
        CodeTrie(torch.tensor([[1, 2], [1, 2], [1, 2], [3, 4]]), torch.arange(1, 5))


def test_a_negative_code_is_refused():
    with pytest.raises(ValueError, match="negative"):
        CodeTrie(torch.tensor([[1, 2], [0, -1]]), torch.arange(2))


def test_codes_too_large_for_one_sorting_key():
    """Eleven levels of about 2^20 codes: 220 bits a semantic ID."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(2**20, (500, 11), generator=generator)
    codes[1::2, :9] = codes[::2, :9]  # pairs that only their last levels tell apart
    trie = CodeTrie(codes, torch.arange(500))
    ranked = [int(item) for item in trie.items(torch.arange(500))]
    assert ranked == sorted(range(500), key=lambda row: codes[row].tolist())


def test_memory_of_an_item(form):
    """Four levels of 256 codes: a few bytes a prefix, whatever types the codes come in."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(256, (20_000, 4), generator=generator).unique(dim=0)
    trie = CodeTrie(codes, torch.arange(len(codes)))
    tables = [array for table in trie._table if table for array in table]
    arrays = [trie._item, *trie._first_child, *trie._code, *tables]
    assert trie.n_bytes == sum(array.numel() * array.element_size() for array in arrays)
    assert bool(tables) == (form == "tables")
    if form == "lists":
        assert trie.n_bytes < 16 * len(trie)


def test_a_table_costs_little_or_is_not_made():
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(64, (50_000, 3), generator=generator).unique(dim=0)
    trie = CodeTrie(codes, torch.arange(len(codes)))
    made = [table is not None for table in trie._table]
    assert made == [True, True, False]  # 1 x 64, 64 x 64 and 4,096 x 64 cells of 8 bytes
    for table in filter(None, trie._table):
        assert sum(array.nbytes for array in table) <= code_trie.TABLE_BYTES * len(trie)


@pytest.mark.parametrize(
    ("codes", "item_ids"),
    [
        (torch.zeros(0, 2, dtype=torch.long), torch.zeros(0, dtype=torch.long)),
        (torch.tensor([[1, 2]]), torch.tensor([1, 2])),
        (torch.tensor([1, 2]), torch.tensor([1, 2])),
    ],
)
def test_shapes_that_make_no_trie_are_refused(codes, item_ids):
    with pytest.raises(ValueError, match=r"codes \[N, L\]"):
        CodeTrie(codes, item_ids)


@pytest.mark.parametrize(
    ("n_items", "sizes"),
    [(1, [4, 4]), (9, [9]), (40, [7, 3, 11]), (64, [4, 4, 4]), (25, [1, 30, 2])],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_random_tries_agree_with_sets_of_prefixes(n_items, sizes, seed, form):
    codes = random_codes(n_items, sizes, seed)
    item_ids = torch.randperm(1000, generator=torch.Generator().manual_seed(seed))[:n_items]
    trie = CodeTrie(codes, item_ids)
    rows = codes.tolist()
    for level in range(len(sizes)):
        for prefix in {tuple(row[:level]) for row in rows}:
            follows = sorted({row[level] for row in rows if tuple(row[:level]) == prefix})
            node = walk(trie, list(prefix))
            assert allowed_codes(trie, level, node) == follows
    assert sorted(trie.items(torch.arange(n_items)).tolist()) == sorted(item_ids.tolist())
    for row, item_id in zip(rows, item_ids.tolist(), strict=True):
        assert int(trie.items(torch.tensor(walk(trie, row)))) == item_id


def test_nodes_of_a_level_are_numbered_without_gaps():
    codes = random_codes(30, [5, 6, 4], seed=3)
    trie = CodeTrie(codes, torch.arange(1, 31))
    for level in range(1, 4):
        prefixes = {tuple(row[:level]) for row in codes.tolist()}
        nodes = {walk(trie, list(prefix)) for prefix in prefixes}
        assert nodes == set(range(len(prefixes)))
