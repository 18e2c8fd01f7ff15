"""Whitening, of catalogues that are large enough for it and of those that are not."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from recbole_store.tokenizer import whitening
from recbole_store.tokenizer.nearest import unit_rows
from recbole_store.tokenizer.whitening import KEPT_SPREAD, Whitening


def states(n_items: int, width: int = 48) -> torch.Tensor:
    """Groups of ten texts each, in the larger components; noise in all of them."""
    drawn = torch.Generator().manual_seed(0)
    groups = torch.randn(n_items // 10, width, generator=drawn)
    spread = torch.linspace(3, 0.1, width)
    noise = torch.randn(n_items, width, generator=drawn)
    return groups.repeat_interleave(10, 0) * spread + 0.3 * noise + 5


def fitted(vectors: torch.Tensor) -> torch.Tensor:
    made = Whitening(vectors.size(1), 3, len(vectors))
    made.fit(vectors)
    return made(vectors)


def test_many_texts_have_all_components_at_one_variance(monkeypatch):
    monkeypatch.setattr(whitening, "FEW_ITEMS", 400)
    found = fitted(states(400))
    assert_close(found.T @ found / 400, torch.eye(48), atol=1e-3, rtol=0)


def test_of_few_texts_larger_components_stay_larger(monkeypatch):
    vectors = states(400)
    monkeypatch.setattr(whitening, "FEW_ITEMS", 400)
    whitened = fitted(vectors)
    monkeypatch.setattr(whitening, "FEW_ITEMS", 401)
    found = fitted(vectors)
    variances = (found**2).mean(0)
    assert_close(found.T @ found / 400, variances.diag(), atol=1e-3, rtol=0)
    assert variances.mean().item() == pytest.approx(1, abs=1e-3)
    assert (variances[:-1] > variances[1:]).all()
    blocks = vectors.unflatten(1, (3, -1))
    scale = (blocks - blocks.mean(0)).square().mean((0, 2)).sqrt().repeat_interleave(16)
    deviations = torch.linalg.svdvals(vectors / scale - (vectors / scale).mean(0))
    expected = (deviations[0] / deviations[20]) ** (2 * KEPT_SPREAD)
    assert (variances[0] / variances[20]).item() == pytest.approx(expected.item(), rel=1e-3)
    assert_close(found / variances.sqrt(), whitened, atol=1e-3, rtol=1e-3)


def test_few_texts_keep_what_they_have_in_common(monkeypatch):
    """Forty texts in 39 components of the same variance are all equally unlike."""
    vectors = states(40)

    def of_group(vectors: torch.Tensor) -> float:
        unit = unit_rows(vectors.numpy())
        likeness = torch.from_numpy(unit @ unit.T).fill_diagonal_(-1)
        return (likeness.argmax(1) // 10 == torch.arange(40) // 10).float().mean().item()

    kept = of_group(fitted(vectors))
    monkeypatch.setattr(whitening, "FEW_ITEMS", 0)
    assert kept > 0.95 > of_group(fitted(vectors)) + 0.2
