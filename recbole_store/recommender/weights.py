"""A model's tensors by name: what was trained or fitted alone, each once.

Frozen word embeddings and layers that no stage trains come from the backbone. What is known item by
item, codes and points, stands with the items.
"""

from __future__ import annotations

import torch
from scipy import sparse
from torch import Tensor, nn

from recbole_store.errors import ModelFolderError
from recbole_store.tokenizer.quantizers.base import DENSE_TOKENS

TOKENIZER = "item_tokenizer."
_OF_ITEMS = (TOKENIZER + "semantic_ids", TOKENIZER + "points")
_COMPANY = "company."


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Every tensor that makes the model, but what :func:`take_state` finds elsewhere."""
    found = {name: tensor.detach() for name, tensor in own_tensors(model).items()}
    company = getattr(model, "company", None)
    if company is not None:
        matrix = company.together
        for part in ("data", "indices", "indptr"):
            found[_COMPANY + part] = torch.from_numpy(getattr(matrix, part))
    return {name: tensor.contiguous().cpu() for name, tensor in found.items()}


@torch.no_grad()
def take_state(model: nn.Module, state: dict[str, Tensor], where: str) -> None:
    """Give a model of the same settings and as many items its tensors.

    Raises:
        ModelFolderError: some are missing, left over, or of another shape.
    """
    expected = own_tensors(model)
    company = getattr(model, "company", None)
    of_company = {name for name in state if name.startswith(_COMPANY)} if company else set()
    missing = sorted(expected.keys() - state.keys())
    left_over = sorted(state.keys() - expected.keys() - of_company)
    if missing or left_over or (company is not None and len(of_company) != 3):
        said = f"lacks {missing[0]}" if missing else f"holds {(left_over or ['no company'])[0]}"
        raise ModelFolderError(
            f"{where} is not this model's: it {said}, of {len(missing)} tensors that are missing "
            f"and {len(left_over)} that are too many."
        )
    for name, tensor in expected.items():
        if tensor.shape != state[name].shape:
            raise ModelFolderError(
                f"{where}: {name} is {tuple(state[name].shape)}, but config.json says "
                f"{tuple(tensor.shape)}."
            )
        tensor.copy_(state[name])
    if company is not None:
        parts = [state[_COMPANY + part].numpy() for part in ("data", "indices", "indptr")]
        n_items = len(parts[2]) - 1
        company.together = sparse.csr_matrix(tuple(parts), shape=(n_items, n_items))


def trained_numbers(model: nn.Module) -> int:
    """How many numbers both stages trained."""
    weights = dict(model.named_parameters())
    return sum(
        tensor.numel() for name, tensor in own_tensors(model).items() if _is_weight(name, weights)
    )


def _is_weight(name: str, weights: dict) -> bool:
    return name in weights or "_stage." in name


def own_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The model's own tensors; the LLM's by stage and by the LLM's own names."""
    kept = model.state_dict(keep_vars=True)
    once = {name for name, _ in model.named_parameters()}
    once |= {name for name, _ in model.named_buffers()}
    found = {
        name: tensor
        for name, tensor in kept.items()
        if name in once and name not in _OF_ITEMS and not name.startswith("backbone.")
    }
    backbone = getattr(model, "backbone", None)
    if backbone is not None:
        stages = ["recommender"]
        if model.item_tokenizer.reads == DENSE_TOKENS:  # else the LLM is read as it came
            stages.append("tokenizer")
        for stage in stages:
            weights = backbone.stage_weights(stage)
            found |= {f"{stage}_stage.{name}": tensor for name, tensor in weights.items()}
    return found
