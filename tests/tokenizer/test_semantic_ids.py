"""The table item -> semantic ID: disambiguation, statistics, the readable file."""

from __future__ import annotations

import csv
import math

import pytest
import torch

from recbole_store.errors import DisambiguationOverflow
from recbole_store.tokenizer.semantic_ids import (
    disambiguate,
    statistics,
    usual_codebook_size,
    write_table,
)


@pytest.mark.parametrize(
    ("n_items", "n_slots", "size"),
    [(1682, 2, 64), (12101, 2, 256), (12101, 3, 64), (1682, 1, 1682), (60, 2, 16), (3, 1, 3)],
)
def test_usual_codebook_sizes(n_items, n_slots, size):
    assert usual_codebook_size(n_items, n_slots) == size
    assert usual_codebook_size(n_items + 1, n_slots) >= size


def test_disambiguate_a_worked_example():
    codes = torch.tensor([[3, 1], [2, 5], [3, 1], [3, 1]])
    expected = [[3, 1, 0], [2, 5, 0], [3, 1, 1], [3, 1, 2]]
    assert disambiguate(codes, 3).tolist() == expected


@pytest.mark.parametrize("seed", range(4))
def test_disambiguated_ids_are_unique_and_count_up_within_their_codes(seed):
    codes = torch.randint(4, (50, 2), generator=torch.Generator().manual_seed(seed))
    semantic_ids = disambiguate(codes, 50)
    assert torch.equal(semantic_ids[:, :2], codes)
    assert len(semantic_ids.unique(dim=0)) == 50
    seen: dict[tuple, int] = {}
    for first, second, rank in semantic_ids.tolist():
        assert rank == seen.get((first, second), 0)
        seen[first, second] = rank + 1


def test_overflow_names_the_codes_and_the_remedy():
    codes = torch.tensor([[0, 9], [4, 2], [4, 2], [4, 2]])
    assert disambiguate(codes, 3)[:, 2].tolist() == [0, 0, 1, 2]
    with pytest.raises(DisambiguationOverflow) as error:
        disambiguate(codes, 2)
    message = str(error.value)
    assert "3 items share the codes [4, 2]" in message
    assert "`disambiguation_size` is 2" in message
    assert "raise it to 3 or more" in message
    assert message.endswith(".")


def test_statistics_by_hand():
    semantic_ids = torch.tensor([[0, 1, 0], [0, 1, 1], [0, 2, 0], [1, 1, 0]])
    found = statistics(semantic_ids, codebook_size=4)
    assert (found["items"], found["distinct"], found["largest_group"]) == (4, 3, 2)
    assert found["collision_rate"] == pytest.approx(0.5)
    assert found["utilisation"] == [0.5, 0.5]
    # Frequencies 3:1 on both levels.
    bits = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    assert found["entropy_bits"] == pytest.approx([bits, bits])


def test_statistics_without_collisions():
    found = statistics(disambiguate(torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]]), 2), 2)
    assert (found["distinct"], found["largest_group"], found["collision_rate"]) == (4, 1, 0.0)
    assert found["utilisation"] == [1.0, 1.0]
    assert found["entropy_bits"] == pytest.approx([1.0, 1.0])


def test_table_can_be_read_again(tmp_path):
    raw_ids = ["i7", "x y", "42"]
    texts = ["Alien (1979)", 'says "hi"\tthere', ""]
    path = tmp_path / "semantic_ids.tsv"
    write_table(path, raw_ids, torch.tensor([[3, 1, 0], [2, 5, 0], [3, 1, 1]]), texts)
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, delimiter="\t")
    assert header == ["item_id", "semantic_id", "text"]
    codes = ["3 1 0", "2 5 0", "3 1 1"]
    assert rows == [list(row) for row in zip(raw_ids, codes, texts, strict=True)]
