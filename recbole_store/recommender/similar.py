"""How like items are: by a model's own vectors, else by the words of their texts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recbole_store.recommender.catalogue import Catalogue
from recbole_store.tokenizer.nearest import WordBags


@torch.no_grad()
def likeness_to(model: nn.Module, catalogue: Catalogue, item_id: int) -> Tensor:
    """Likeness of all items to one, [n_items]; higher is liker."""
    found = model.likeness(torch.tensor([item_id], device=model.device))
    if found is not None:
        return found[0].float()
    texts = catalogue.texts()
    words = WordBags(texts[: catalogue.n_fitted + 1])(texts)
    return torch.from_numpy((words[[item_id]] @ words.T).toarray()[0])
