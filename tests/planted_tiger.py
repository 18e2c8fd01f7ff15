"""TIGER on the planted data, put together by hand: what RecBole's run does before training."""

from __future__ import annotations

import torch
from planted_store import Prepared, made_up_ids
from recbole.data import data_preparation
from recbole.utils import get_model, init_seed

from recbole_store.experiments.run.build import CheckedConfig, build


def tiger_settings(data_path, **changes) -> dict:
    """A tiny T5 on random codes, without dropout, so that a test's figures are exact."""
    settings = {
        "data_path": str(data_path),
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "item_text": {"colour": "{}", "shape": "{}"},
        "tokenizer": "random",
        "n_slots": 2,
        "codebook_size": 16,
        "disambiguation_size": 16,
        "d_model": 32,
        "d_ff": 64,
        "d_kv": 8,
        "num_heads": 4,
        "num_layers": 2,
        "num_decoder_layers": 2,
        "dropout_rate": 0.0,
        "n_user_tokens": 7,
        "MAX_ITEM_LIST_LENGTH": 6,
        "topk": [1, 5, 10],
        "valid_metric": "NDCG@10",
        "num_beams": 10,
        "precision": "fp32",
        "train_batch_size": 64,
        "epochs": 1,
        "show_progress": False,
        "gpu_id": "",
        "checkpoint_dir": "saved",
    }
    return {**settings, **changes}


def prepare(settings: dict, dataset_name: str = "planted") -> Prepared:
    config, dataset = build("TIGER", dataset_name, settings)
    return Prepared(settings, config, dataset, *data_preparation(config, dataset))


def make_model(prepared: Prepared, semantic_ids: bool = True, **changes):
    """A TIGER that was not trained, with made-up semantic IDs."""
    config = prepared.config
    if changes:
        settings = {**prepared.settings, **changes}
        config = CheckedConfig("TIGER", prepared.config["dataset"], config_dict=settings)
    init_seed(config["seed"], config["reproducibility"])
    model = get_model("TIGER")(config, prepared.train.dataset)
    if semantic_ids:
        model.set_semantic_ids(made_up_ids(model))
    return model


@torch.no_grad()
def naive_log_prob(model, user: int, history: list[int], items: list[int]):
    """Log-likelihood [N] of items behind one history: a full forward pass of T5 for each code."""
    ids, offsets = model.semantic_ids, model.vocabulary.offsets
    tokens = (ids[history] + offsets + 1).flatten().tolist()
    if model.n_user_tokens:
        tokens = [1 + sum(model.item_tokenizer.sizes) + user % model.n_user_tokens, *tokens]
    embeddings = model.t5.shared.weight
    totals = torch.zeros(len(items))
    for level, size in enumerate(model.item_tokenizer.sizes):
        written = torch.cat(
            [torch.zeros(len(items), 1).long(), ids[items][:, :level] + offsets[:level] + 1], 1
        )
        output = model.t5(
            input_ids=torch.tensor(tokens).expand(len(items), -1), decoder_input_ids=written
        )
        start = 1 + int(offsets[level])
        hidden = output.last_hidden_state[:, -1] / embeddings.size(1) ** 0.5
        logits = hidden @ embeddings[start : start + size].T
        totals += logits.log_softmax(-1).gather(1, ids[items][:, level, None]).squeeze(1)
    return totals
