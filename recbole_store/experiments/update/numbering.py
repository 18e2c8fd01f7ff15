"""One model, two numberings of its items: that of its folder, and that of a data set read anew."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from recbole_store.errors import ModelFolderError
from recbole_store.recommender.weights import own_tensors

# Tables with a row an item.
_BY_ITEM = ("item_vectors.own.weight", "item_vectors.rows", "item_embedding.weight")


@torch.no_grad()
def adopt(model: nn.Module, finished: nn.Module, place: Tensor) -> None:
    """Give a model that was just built all that a finished one has learnt.

    Args:
        place: for each item_id of ``model`` that of ``finished``, int64 [n_items]; 0 for padding.

    Raises:
        ModelFolderError: sizes that depend on the number of items differ.
    """
    theirs = own_tensors(finished)
    for name, tensor in own_tensors(model).items():
        found = theirs.get(name)
        if found is not None and name in _BY_ITEM:
            found = found[place]
        if found is None or tensor.shape != found.shape:
            is_there = "missing" if found is None else str(tuple(found.shape))
            raise ModelFolderError(
                f"{name} is {is_there} in the model, but {tuple(tensor.shape)} for this catalogue: "
                "train it anew."
            )
        tensor.copy_(found)
    if hasattr(model, "item_tokenizer"):
        model.item_tokenizer.points.copy_(finished.points[place])
        model.set_semantic_ids(finished.semantic_ids[place][1:])


@torch.no_grad()
def bring_back(finished: nn.Module, model: nn.Module, place: Tensor) -> None:
    """The way back, after training: items that the data do not have any more keep what they had."""
    trained = own_tensors(model)
    for name, tensor in own_tensors(finished).items():
        if name in _BY_ITEM:
            tensor[place[1:]] = trained[name][1:]
        else:
            tensor.copy_(trained[name])
    company = getattr(finished, "company", None)
    if company is not None:
        company.together = renumbered(model.company.together, place.cpu().numpy(), finished.n_items)


def renumbered(matrix: sparse.csr_matrix, place: np.ndarray, n_items: int) -> sparse.csr_matrix:
    """A matrix of items x items in another numbering, CSR [n_items, n_items].

    Example: matrix [[0, 0], [0, 5]], place [0, 3], n_items 4 -> 5 in row and column 3
    """
    entries = matrix.tocoo()
    rows, columns = place[entries.row], place[entries.col]
    found = sparse.csr_matrix((entries.data, (rows, columns)), shape=(n_items, n_items))
    found.sum_duplicates()
    return found.astype(matrix.dtype)
