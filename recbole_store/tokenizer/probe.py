"""What a tokenizer's vectors are worth, before a recommender is trained on them.

Nearest neighbours of validation users' histories, by the tokenizer's own vectors and by a bag of
words of the same texts. A tokenizer that finds less than the bag of words has lost what the texts
said, and no recommender behind it can know better.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recbole_store.tokenizer.nearest import bags_of_words, decayed, likeness, unit_rows

DECAY = 0.5  # weight of each item of a history, of that of the next one
CUTOFF = 10
USERS = 8192  # at most; a standard error of Recall@10 of .003
USERS_PER_PASS = 512
WORDS = "words"  # the bag of words that all others are held against


class Histories(NamedTuple):
    """Validation users."""

    item_seq: np.ndarray  # item_ids [B, T], right-padded by 0
    lengths: np.ndarray  # [B]
    targets: np.ndarray  # item_ids [B]

    def first(self, n_users: int) -> Histories:
        return Histories(*(part[:n_users] for part in self))


def target_ranks(vectors, histories: Histories) -> np.ndarray:
    """Rank of each target among all items, from 1; items of the history take no part.

    Args:
        vectors: rows of unit length by item_id, padding's first; array or CSR.
    """
    n_items, ranks = vectors.shape[0], []
    for start in range(0, len(histories.targets), USERS_PER_PASS):
        part = Histories(*(p[start : start + USERS_PER_PASS] for p in histories))
        scores = likeness(decayed(part.item_seq, part.lengths, DECAY, n_items), vectors)
        rows = np.arange(len(part.targets))
        of_target = scores[rows, part.targets]
        scores[rows[:, None], part.item_seq] = -np.inf  # padding as well
        scores[:, 0] = -np.inf
        # Of equal scores half are taken to be ahead: that of no likeness at all is widely shared.
        ahead = (scores > of_target[:, None]).sum(1)
        level = (scores == of_target[:, None]).sum(1)
        ranks.append(1 + ahead + np.maximum(level - 1, 0) // 2)
    return np.concatenate(ranks) if ranks else np.zeros(0, dtype=int)


def measures(ranks: np.ndarray) -> dict[str, float]:
    """Example: ranks [1, 30] -> {"recall@10": 0.5, "ndcg@10": 0.5}"""
    if not len(ranks):
        return {}
    hit = ranks <= CUTOFF
    gain = np.where(hit, 1 / np.log2(ranks + 1), 0.0)
    return {f"recall@{CUTOFF}": float(hit.mean()), f"ndcg@{CUTOFF}": float(gain.mean())}


def probe(
    representations: dict[str, np.ndarray],
    texts: list[str],
    histories: Histories,
    is_tail: np.ndarray,
    known: np.ndarray,
) -> dict[str, dict]:
    """Nearest neighbours by each representation and by words.

    Args:
        representations: by name, [n_items, D]; the known items' mean is taken off.
        texts: of all items, by item_id.
        histories: of validation.
        is_tail: bool [n_items].
        known: bool [n_items], without padding and cold items.

    Returns:
        name -> ``all`` and ``tail``, each with ``recall@10`` and ``ndcg@10``; ``words`` first.

    Example: {"words": {"all": {"recall@10": 0.08, ...}, "tail": {...}}, "points": {...}}
    """
    histories = histories.first(USERS)
    vectors = {WORDS: bags_of_words(texts)}
    for name, found in representations.items():
        centred = np.where(known[:, None], found - found[known].mean(0), 0.0)
        vectors[name] = unit_rows(centred)
    report = {}
    for name, found in vectors.items():
        ranks = target_ranks(found, histories)
        of_tail = ranks[is_tail[histories.targets]]
        report[name] = {"all": measures(ranks), "tail": measures(of_tail)}
    return report


def verdict(report: dict[str, dict]) -> list[str]:
    """The probe's lines for a log; one says so if the tokenizer's vectors lose to words.

    Args:
        report: of :func:`probe`, of at least one user.
    """
    key = f"recall@{CUTOFF}"
    lines = [
        f"    {name}: Recall@{CUTOFF} {parts['all'][key]:.4f}"
        + (f", of rare items {parts['tail'][key]:.4f}" if parts["tail"] else "")
        for name, parts in report.items()
    ]
    lines.insert(0, "  What came next is among the items nearest to the history, by")
    names = [name for name in report if name != WORDS]
    best = max(names, key=lambda name: report[name]["all"][key], default=None)
    if best is not None and report[best]["all"][key] < report[WORDS]["all"][key]:
        lines.append(
            f"  A bag of words finds more than the tokenizer's {best}: texts count for less here "
            "than they could."
        )
    return lines
