"""The item head's first weights: who was read is asked for."""

import pytest
import torch
from torch import nn

from recbole_store.generator.head_start import BEST_LOGIT, start_head
from recbole_store.generator.item_head import ItemHead


@pytest.mark.parametrize(("hidden_size", "width"), [(64, 16), (24, 32)])
def test_what_is_read_is_asked_for(hidden_size, width):
    torch.manual_seed(1)
    vectors = 3 * nn.functional.normalize(torch.randn(50, width), dim=1)
    item_input = nn.Linear(width, hidden_size, bias=False)
    head = ItemHead(hidden_size, width)
    start_head(item_input, head, vectors, length=20.0)
    read = item_input(vectors)
    state = read + torch.randn(50, hidden_size)  # of the LLM's own
    scores = head(state, vectors, torch.zeros(50, dtype=torch.bool))
    assert torch.equal(scores.argmax(1), torch.arange(50))
    if width < hidden_size:  # else some of each vector is lost
        assert read.norm(dim=1).detach().numpy() == pytest.approx(20.0, rel=1e-4)
        assert 0.8 * BEST_LOGIT < scores.diagonal().min() <= scores.max() < 1.05 * BEST_LOGIT
