"""What only histories teach, new items take from the known ones with the nearest texts.

On simulated cold items of Beauty, 399 drawn with a seed that no result has, the company of the five
nearest texts' items raised the Recall@10 of ``Neighbours`` from .091 to .096 and its NDCG@10 from
.042 to .050, at the same loss of known targets; one or twenty of them were no better.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

NEIGHBOURS = 5  # of a new item
_CHUNK = 2**26  # cosines at a time


class LikeItems(NamedTuple):
    """Of each of N new items the K known ones whose texts are nearest, the nearest first."""

    item_ids: Tensor  # int64 [N, K]
    cosines: Tensor  # fp32 [N, K]


def like_by_vectors(vectors: Tensor, new: Tensor, known: Tensor) -> LikeItems:
    """By the cosine of what is known of all items' texts.

    Args:
        vectors: [n_items, D].
        new, known: item_ids, int64 [N] and [M].
    """
    unit = F.normalize(vectors, dim=-1)
    return _nearest(lambda part: unit[part] @ unit[known].T, new, known)


def like_by_words(words, new: Tensor, known: Tensor) -> LikeItems:
    """By bags of words, SciPy's CSR [n_items, V] with rows of unit length."""
    of_known = words[known.cpu().numpy()].T

    def cosines(part: Tensor) -> Tensor:
        return torch.from_numpy((words[part.cpu().numpy()] @ of_known).toarray()).to(known.device)

    return _nearest(cosines, new, known)


def _nearest(cosines, new: Tensor, known: Tensor) -> LikeItems:
    k = min(NEIGHBOURS, len(known))
    found = [cosines(part).topk(k) for part in new.split(max(1, _CHUNK // max(len(known), 1)))]
    values = torch.cat([each.values for each in found])
    return LikeItems(known[torch.cat([each.indices for each in found])], values)


@torch.no_grad()
def take_vectors(vectors: Tensor, new: Tensor, like: LikeItems, sharpness: float = 0.0) -> None:
    """Give items that no history had vectors, in place; nothing is trained.

    A new item gets the direction of its neighbours' mean, at their mean length: the mean itself is
    shorter, and known items would nearly always be preferred.

    Args:
        vectors: of all items, [n_items, D].
        new: item_ids, int64 [N].
        sharpness: power of its cosine by which a neighbour counts; 0: all count the same.
    """
    nearest = vectors[like.item_ids.to(vectors.device)]
    length = nearest.norm(dim=-1).mean(1, keepdim=True)
    # Above 0, so that a text that is like none has some neighbours at least.
    weights = like.cosines.to(vectors).clamp(min=1e-3)[..., None] ** sharpness
    mean = F.normalize((weights * nearest).mean(1), dim=-1)
    vectors[new.to(vectors.device)] = mean * length
