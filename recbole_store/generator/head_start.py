"""The item head starts by asking for items like those read, not at random.

Who had an item often has its like next, by text or by company. From random weights the way from an
item's vector through the LLM to the head's query is noise, and epochs go by until it lets through
what the vectors know. So an item is first read along orthonormal directions, strongly enough that
the LLM's state keeps them, and the query asks along the same ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recbole_store.generator.item_head import ItemHead

# Of an item whose vector is just what the query asks for. A softmax over ten thousand items that is
# neither flat nor certain has its best logits some ten above the others.
BEST_LOGIT = 16.0


@torch.no_grad()
def start_head(item_input: nn.Linear, head: ItemHead, vectors: Tensor, length: float) -> None:
    """Set the weights of both.

    Args:
        item_input: D -> H.
        head: H -> D.
        vectors: of the items, [N, D].
        length: what the LLM reads of an item's vector shall have, on average.
    """
    usual = vectors.norm(dim=-1).mean()
    nn.init.orthogonal_(item_input.weight)
    head.query.weight.copy_(item_input.weight.T)
    head.query.bias.zero_()
    # The norm makes states sqrt(H) long, and a query in the vectors' directions is as long at most.
    head.norm.weight.fill_(BEST_LOGIT / (item_input.out_features**0.5 * usual))
    item_input.weight *= length / usual
