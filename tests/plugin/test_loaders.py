"""Batches of rows of similar length: every row once, little padding, a random order."""

from __future__ import annotations

import torch
from recbole.data.interaction import Interaction

from recbole_store.llm.length_batches import POOL, similar_lengths
from recbole_store.plugin.loaders import SimilarLengths


def padding(lengths: torch.Tensor, batches) -> float:
    """Cells of the padded batches a real one."""
    return sum(len(b) * int(lengths[b].max()) for b in batches) / int(lengths.sum())


def test_every_row_once_and_little_padding():
    torch.manual_seed(0)
    lengths = torch.randint(1, 51, (1003,))
    batches = similar_lengths(lengths, 8)
    assert sorted(torch.cat(batches).tolist()) == list(range(1003))
    assert {len(b) for b in batches} == {8, 1003 % 8}
    assert padding(lengths, torch.arange(1003).split(8)) > 1.6
    assert padding(lengths, batches) < 1.1


def test_batches_come_in_random_order_and_mix_within_their_pool_only():
    torch.manual_seed(0)
    lengths = torch.randint(1, 51, (4 * POOL * 4,))
    first, second = similar_lengths(lengths, 4), similar_lengths(lengths, 4)
    assert [b.tolist() for b in first] != [b.tolist() for b in second]
    for number, batch in enumerate(first):
        assert {int(row) // (4 * POOL) for row in batch} == {number // POOL}
    longest = [int(lengths[b].max()) for b in first[:POOL]]
    assert longest not in (sorted(longest), sorted(longest, reverse=True))


def test_rows_may_stand_for_others():
    items = torch.tensor([40, 10, 30, 20])
    batches = similar_lengths(torch.tensor([9, 1, 8, 2]), 2, items)
    assert sorted(sorted(b.tolist()) for b in batches) == [[10, 20], [30, 40]]


class Loader:
    shuffle, sampler = True, "the sampler"

    def __init__(self, lengths):
        self.batches = [Interaction({"n": n, "id": n * 100}) for n in lengths.split(4)]

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches)


def test_a_loader_s_rows_stay_whole():
    torch.manual_seed(1)
    lengths = torch.randint(1, 30, (POOL * 4 * 2 + 7,))
    loader = SimilarLengths(Loader(lengths), "n")
    batches = list(loader)
    assert len(batches) == len(loader) == 2 * POOL + 2
    assert (loader.shuffle, loader.sampler) == (True, "the sampler")
    rows = torch.cat([batch["n"] for batch in batches])
    assert sorted(rows.tolist()) == sorted(lengths.tolist())
    assert torch.equal(torch.cat([batch["id"] for batch in batches]), rows * 100)
    ranges = [int(batch["n"].max() - batch["n"].min()) for batch in batches[:POOL]]
    assert sum(ranges) / POOL < 3
