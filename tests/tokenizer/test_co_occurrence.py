"""What histories put together, on histories whose answer is known."""

import numpy as np
import pytest
import torch

from recbole_store.tokenizer.co_occurrence import co_occurrence, collaborative_factors
from recbole_store.tokenizer.losses import collaborative_positives, contrastive_loss


def rows_of(sequences: list[list[int]], max_items: int):
    """RecBole's rows of some users: (histories, lengths, targets)."""
    histories, lengths, targets = [], [], []
    for items in sequences:
        for place in range(1, len(items)):
            seen = items[max(place - max_items, 0) : place]
            histories.append(seen + [0] * (max_items - len(seen)))
            lengths.append(len(seen))
            targets.append(items[place])
    return np.array(histories), np.array(lengths), np.array(targets)


def test_nearer_items_count_more():
    counts = co_occurrence(*rows_of([[1, 2, 3]], max_items=4), n_items=4).toarray()
    assert counts[1, 2] == counts[2, 1] == counts[2, 3] == 1.0
    assert counts[1, 3] == counts[3, 1] == 0.5
    assert counts[0].sum() == 0, "padding goes with nothing"


def test_items_further_apart_than_the_reach_are_not_together():
    counts = co_occurrence(*rows_of([list(range(1, 9))], max_items=8), n_items=9).toarray()
    assert counts[1, 6] == pytest.approx(1 / 5)
    assert counts[1, 7] == 0


def two_circles() -> torch.Tensor:
    """Factors of 20 items of which 1-10 are seen together, 11-19 too, and 20 never."""
    rng = np.random.default_rng(3)
    groups = [np.arange(1, 11), np.arange(11, 20)]
    sequences = [list(rng.choice(groups[user % 2], size=6)) for user in range(80)]
    counts = co_occurrence(*rows_of(sequences, max_items=6), n_items=21)
    return collaborative_factors(counts, n_factors=4, seed=0)


def test_items_seen_together_are_alike():
    factors = two_circles()
    similarity = factors @ factors.T
    assert similarity[1:11, 1:11].mean() > 0.5 > similarity[1:11, 11:20].mean() + 0.3
    assert factors[20].abs().max() < 1e-6, "an item without company has no direction"
    assert torch.equal(factors, two_circles()), "seeded, so the same each time"


def test_positives_share_the_attention_and_leave_unknown_items_alone():
    factors = two_circles()[[1, 2, 11, 20]]
    positives = collaborative_positives(factors, share=0.5, temperature=0.1)
    assert torch.allclose(positives.sum(-1), torch.ones(4), atol=1e-6)
    assert positives[0, 1] > 10 * positives[0, 2]
    assert torch.equal(positives[3], torch.tensor([0.0, 0.0, 0.0, 1.0]))


def test_the_loss_is_lower_when_items_seen_together_are_near():
    factors = two_circles()[[1, 2, 11, 12]]
    positives = collaborative_positives(factors, share=0.7, temperature=0.1)
    near = factors[:, None]  # one slot, placed as the histories say
    apart = near[[0, 2, 1, 3]]  # items of different circles have changed places
    assert contrastive_loss(near, near, 0.1, positives) < contrastive_loss(
        apart, apart, 0.1, positives
    )
