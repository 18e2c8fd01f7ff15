"""The table item_id -> semantic ID: disambiguation, checks, statistics, a readable file."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import torch
from torch import Tensor

from recbole_store.data.formula_cells import harmless
from recbole_store.errors import DisambiguationOverflow


def usual_codebook_size(n_items: int, n_slots: int) -> int:
    """Codes of each level for a catalogue: a power of two, for twice as many tuples as items.

    At least 64, as far as that leaves eight items to a code, and at most ``n_items``.

    Example: 1,682 items, two slots -> 64; 12,101 -> 256
    """
    enough = 2 ** math.ceil(math.log2(2 * n_items) / n_slots)
    return min(max(enough, min(64, n_items // 8)), n_items)


def disambiguate(codes: Tensor, size: int) -> Tensor:
    """Append the level that tells items with the same codes apart.

    Items count up from 0 within their tuple, in the order given, so an item whose codes are its
    own has 0.

    Args:
        codes: int64 [N, L].
        size: number of codes of the new level.

    Returns:
        Semantic IDs, int64 [N, L + 1], all different.

    Example:
        [[3, 1], [2, 5], [3, 1]] -> [[3, 1, 0], [2, 5, 0], [3, 1, 1]]

    Raises:
        DisambiguationOverflow: a tuple is shared by more than ``size`` items.
    """
    _, group, counts = torch.unique(codes, dim=0, return_inverse=True, return_counts=True)
    largest = int(counts.max())
    if largest > size:
        raise DisambiguationOverflow(
            f"{largest} items share the codes {codes[group == counts.argmax()][0].tolist()}, but "
            f"`disambiguation_size` is {size}: raise it to {largest} or more, or raise "
            f"`codebook_size` or `n_slots`."
        )
    order = torch.argsort(group, stable=True)
    starts = counts.cumsum(0) - counts
    rank = torch.empty_like(group)
    rank[order] = torch.arange(len(group), device=group.device) - starts[group[order]]
    return torch.cat([codes, rank[:, None]], dim=1)


def statistics(semantic_ids: Tensor, codebook_size: int) -> dict:
    """What to know of a table [N, L + 1] of semantic IDs, before and after disambiguation.

    Returns:
        ``distinct``: distinct tuples before disambiguation; ``collision_rate``: share of items
        that share theirs; ``largest_group``: most items on one tuple; ``utilisation``,
        ``dead_codes`` and ``entropy_bits``: per level, share of codes in use, number of the others,
        and entropy of the codes' frequencies.
    """
    codes = semantic_ids[:, :-1]
    _, counts = torch.unique(codes, dim=0, return_counts=True)
    utilisation, dead, entropy = [], [], []
    for level in codes.T:
        share = torch.bincount(level, minlength=codebook_size).double() / len(codes)
        used = share[share > 0]
        utilisation.append(len(used) / codebook_size)
        dead.append(codebook_size - len(used))
        entropy.append(float(-(used * used.log2()).sum()))
    return {
        "items": len(codes),
        "distinct": len(counts),
        "collision_rate": float(counts[counts > 1].sum() / len(codes)),
        "largest_group": int(counts.max()),
        "utilisation": utilisation,
        "dead_codes": dead,
        "entropy_bits": entropy,
    }


def write_table(path: Path, raw_ids: list[str], semantic_ids: Tensor, texts: list[str]) -> None:
    """Write raw item id, codes and text of every item, tab-separated, one item a line.

    What a spreadsheet would take for a formula gets an apostrophe before it.
    """
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["item_id", "semantic_id", "text"])
        for raw_id, codes, text in zip(raw_ids, semantic_ids.tolist(), texts, strict=True):
            writer.writerow([harmless(raw_id), " ".join(map(str, codes)), harmless(text)])
