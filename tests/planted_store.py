"""STORE on the planted data, put together by hand: what RecBole's run does before training."""

from __future__ import annotations

import contextlib
import itertools
import random
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from planted_data import next_planted, planted_items
from recbole.data import data_preparation
from recbole.data.interaction import Interaction
from recbole.utils import get_model, get_trainer, init_seed

from recbole_store.experiments.run.build import CheckedConfig, build

torch.set_num_threads(1)  # the tiny LLM has no work for two


class Prepared(NamedTuple):
    """A configuration and the data made under it."""

    settings: dict
    config: CheckedConfig
    dataset: object
    train: object
    valid: object
    test: object


def store_settings(tiny_llm, data_path, **changes) -> dict:
    """Settings under which a test's figures are exact: no dropout, no weight decay."""
    settings = {
        "data_path": str(data_path),
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "item_text": {"colour": "{}", "shape": "{}"},
        "backbone": str(tiny_llm),
        "backbone_layers": None,
        "precision": "fp32",
        "tuning": "full",
        "lora_rank": 4,
        "n_slots": 2,
        "codebook_size": 16,
        "disambiguation_size": 16,
        "pca_dim": 16,
        "MAX_ITEM_LIST_LENGTH": 6,
        "topk": [1, 5, 10],
        "valid_metric": "NDCG@10",
        "num_beams": 10,
        "dropout": 0.0,
        "item_vector_size": None,
        "weight_decay": 0.0,
        "warmup_steps": 0,
        "align_weight": 0.0,
        "item_head_weight": 0.0,
        "tokenizer_batch_size": 32,
        "token_to_text_weight": 1.0,
        "contrastive_weight": 1.0,
        "collaborative_share": 0.0,
        "train_batch_size": 16,
        "clip_grad_norm": {"max_norm": 1.0},
        "epochs": 1,
        "tokenizer_epochs": 1,
        "show_progress": False,
        "gpu_id": "",
        "checkpoint_dir": "saved",
    }
    return {**settings, **changes}


@contextlib.contextmanager
def working_in(folder):
    """RecBole writes beside the working directory and reads sys.argv; session fixtures too."""
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setattr(sys, "argv", ["pytest"])
        yield


def write_labelled(planted: Path, data_path: Path) -> Path:
    """The planted data with a label: 1 where an item is what the texts say, 0 where it is not."""
    source, folder = planted / "planted", data_path / "planted"
    folder.mkdir()
    (folder / "planted.item").write_text((source / "planted.item").read_text())
    header, *rows = (source / "planted.inter").read_text().splitlines()
    text_of = {name: text for name, *text in planted_items()}
    lines, before = [header + "\tlabel:float"], ("", "")
    for row in rows:
        user, item, _ = row.split("\t")
        is_first = before[0] != user
        follows = is_first or tuple(text_of[item]) == next_planted(*text_of[before[1]])
        lines.append(f"{row}\t{int(follows)}")
        before = (user, item)
    (folder / "planted.inter").write_text("\n".join(lines) + "\n")
    return data_path


def prepare(settings: dict, dataset_name: str = "planted") -> Prepared:
    config, dataset = build("STORE", dataset_name, settings)
    return Prepared(settings, config, dataset, *data_preparation(config, dataset))


def make_config(prepared: Prepared, **changes) -> CheckedConfig:
    """The configuration with other settings, such as leave the data as they are."""
    if not changes:
        return prepared.config
    name = prepared.config["dataset"]
    return CheckedConfig("STORE", name, config_dict={**prepared.settings, **changes})


def make_model(prepared: Prepared, semantic_ids: bool = True, **changes):
    """A STORE that was not trained, with made-up semantic IDs."""
    config = make_config(prepared, **changes)
    init_seed(config["seed"], config["reproducibility"])
    model = get_model("STORE")(config, prepared.train.dataset)
    if semantic_ids:
        model.set_semantic_ids(made_up_ids(model))
    return model


def make_trainer(prepared: Prepared, model, **changes):
    config = make_config(prepared, **changes)
    return get_trainer(config["MODEL_TYPE"], "STORE")(config, model)


def made_up_ids(model) -> torch.Tensor:
    """Distinct semantic IDs of items 1 to N, several of which share all codes but the last."""
    *sizes, last = model.item_tokenizer.sizes
    few = [range(min(size, 6)) for size in sizes]
    rows = list(itertools.product(*few, range(min(last, 3))))
    return torch.tensor(random.Random(1).sample(rows, model.n_items - 1))


def first_rows(loader, n_rows: int) -> Interaction:
    """The first rows of a loader's data, as its batches have them."""
    return loader.transform(loader.dataset, loader.dataset[torch.arange(n_rows)])


def histories_of(loader, n_rows: int) -> tuple[list[list[int]], list[int]]:
    """Item ids of the histories and of the targets of a loader's first rows."""
    rows = loader.dataset[torch.arange(n_rows)]
    lengths = rows["item_length"].tolist()
    lists = rows["item_id_list"].tolist()
    return [items[:n] for items, n in zip(lists, lengths, strict=True)], rows["item_id"].tolist()


def each_target(model, loader, n_rows: int):
    """The targets of a loader's first windows one by one: a row with the history alone, the target.

    Yields:
        RecBole's Interaction of one row, whose target is not looked at; the target's item_id.
    """
    for history, last in zip(*histories_of(loader, n_rows), strict=True):
        items = [*history, last]
        for n in range(1, len(items)):
            row = first_rows(loader, 1)
            padding = row["item_id_list"].size(1) - n
            row["item_id_list"] = torch.nn.functional.pad(torch.tensor([items[:n]]), (0, padding))
            row["item_length"] = torch.tensor([n])
            row["semantic_id_item_id_list"] = model.semantic_ids[row["item_id_list"]]
            yield row, items[n]


def naive_log_prob(model, history: list[int], items: list[int]):
    """Log-likelihood [N] of items behind one history: a full forward pass for each code."""
    ids = model.semantic_ids
    past = model.code_tokens(ids[history]).flatten(0, 1)
    prompt = model.backbone.embed(model.history_prompt)
    past = torch.cat([prompt, past]).expand(len(items), -1, -1)
    codes = ids[items]
    totals = torch.zeros(len(items))
    for level, head in enumerate(model.code_tokens.heads):
        inputs = torch.cat([past, model.code_tokens(codes[:, :level])], dim=1)
        logits = head(model.backbone(inputs)[:, -1])
        totals += logits.log_softmax(-1).gather(1, codes[:, level, None]).squeeze(1)
    return totals
