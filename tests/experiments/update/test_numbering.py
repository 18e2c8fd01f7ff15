"""Items' vectors through two numberings, whether each has its own row or they share some."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recbole_store.errors import ModelFolderError
from recbole_store.experiments.update.numbering import adopt, bring_back
from recbole_store.generator.item_vectors import ItemVectors


class Items(nn.Module):
    def __init__(self, n_items: int, n_shared: int | None):
        super().__init__()
        self.item_vectors = ItemVectors(n_items, 4, 5, own_dropout=0.0, n_shared=n_shared)


@pytest.mark.parametrize("n_shared", [None, 7])
def test_an_item_keeps_its_own_vector_under_another_number(n_shared):
    """There and back; the item that the data set lacks keeps what it had."""
    finished, model = Items(6, n_shared), Items(5, n_shared)
    before = finished.item_vectors.own_vectors().clone()
    place = torch.tensor([0, 4, 1, 5, 2])
    adopt(model, finished, place)
    assert torch.equal(model.item_vectors.own_vectors(), before[place])
    with torch.no_grad():  # as a training would move them
        for table in filter(None, (model.item_vectors.own, model.item_vectors.shared)):
            table.weight.mul_(2)
    bring_back(finished, model, place)
    after = finished.item_vectors.own_vectors()
    assert torch.equal(after[place[1:]], 2 * before[place[1:]])
    assert torch.equal(after[3], before[3] * (1 if n_shared is None else 2))


def test_a_catalogue_that_has_grown_beyond_rows_of_its_own_is_trained_anew():
    with pytest.raises(ModelFolderError, match="missing in the model.*train it anew"):
        adopt(Items(6, 3), Items(6, None), torch.arange(6))
