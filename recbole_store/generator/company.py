"""What items gain that were together with the last ones of a history, or are like them."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from recbole_store.generator.like_items import LikeItems
from recbole_store.tokenizer.nearest import by_both_totals, decayed

DECAY = 0.5  # weight of each item of a history, of that of the next one


class Company:
    """How much company items had in training histories.

    Args:
        counts: how often histories put items together, CSR [n_items, n_items].
        decay: of an item's weight with each step back in the history.
    """

    def __init__(self, counts, decay: float = DECAY):
        # SciPy's: a history weighs a few items, and an item has company with a few hundred.
        self.together, self.decay = by_both_totals(counts), decay

    def __call__(self, item_seq: Tensor, lengths: Tensor) -> Tensor:
        """Summed company of all items with those of histories [B, T], fp32 [B, n_items]."""
        found = self.of_few(item_seq, lengths)
        return torch.from_numpy(found.toarray()).to(item_seq.device)

    def of_few(self, item_seq: Tensor, lengths: Tensor):
        """The same as SciPy's CSR [B, n_items]: most items have had no company with a history's."""
        n_items = self.together.shape[0]
        weights = decayed(item_seq.cpu().numpy(), lengths.cpu().numpy(), self.decay, n_items)
        return weights @ self.together

    def grow(self, n_new: int) -> None:
        """Make room for items behind all others, which have had no company yet."""
        n_items = self.together.shape[0] + n_new
        self.together = self.together.copy()
        self.together.resize(n_items, n_items)

    def take_from(self, new: Tensor, like: LikeItems) -> None:
        """Give items that no history had the mean company of those with the nearest texts.

        Args:
            new: their item_ids, int64 [N].
        """
        n_items, n_like = self.together.shape[0], like.item_ids.size(1)
        new, nearest = new.cpu().numpy(), like.item_ids.cpu().numpy()
        others = np.setdiff1d(np.arange(n_items), new)
        # A matrix that leaves every other item as it is, and puts its like in a new one's place.
        rows = np.concatenate([others, np.repeat(new, n_like)])
        columns = np.concatenate([others, nearest.ravel()])
        shares = np.repeat(np.float32([1, 1 / n_like]), [len(others), nearest.size])
        stand_in = sparse.csr_matrix((shares, (rows, columns)), shape=(n_items, n_items))
        self.together = (stand_in @ self.together @ stand_in.T).tocsr()


def likeness_to_history(vectors: Tensor, item_seq: Tensor, lengths: Tensor) -> Tensor:
    """Summed cosines of all items to those of histories, later ones weighing more, [B, n_items].

    Args:
        vectors: of unit length, [n_items, D].
        item_seq: item_ids [B, T], right-padded by 0.
        lengths: [B].
    """
    return summed_history(vectors[item_seq], item_seq, lengths) @ vectors.T


def summed_history(vectors: Tensor, item_seq: Tensor, lengths: Tensor) -> Tensor:
    """Sum of the vectors of histories' items [B, T, D], later ones weighing more, [B, D]."""
    place = torch.arange(item_seq.size(1), device=item_seq.device)
    age = lengths[:, None] - 1 - place
    weights = torch.where((age >= 0) & (item_seq > 0), DECAY ** age.clamp(min=0).float(), 0.0)
    return (weights[..., None] * vectors).sum(1)
