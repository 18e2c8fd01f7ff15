"""A finished run of each model on the planted data, and the model that it left."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from planted_store import store_settings, working_in
from planted_tiger import tiger_settings

from recbole_store.experiments.run.run import run_model
from recbole_store.settings.defaults import plugin_defaults

MODELS = ("STORE", "TIGER", "SASRecAll", "Neighbours")


class Finished(NamedTuple):
    """A run and what it said."""

    run_dir: Path
    result: dict

    @property
    def folder(self) -> Path:
        return self.run_dir / "model"

    @property
    def lists(self) -> dict[str, np.ndarray]:
        """The test's ranked lists, as the run kept them."""
        with np.load(self.run_dir / "ranked.npz") as arrays:
            return dict(arrays)


def settings_of(name: str, tiny_llm, planted) -> dict:
    """Settings under which a model learns the planted rule, as far as it can, in seconds."""
    shared = {"stopping_step": 20, "warmup_steps": 10}
    if name == "STORE":
        return store_settings(
            tiny_llm,
            planted,
            **shared,
            epochs=6,
            item_vector_size=16,
            item_head_weight=1.0,
            item_head_share=0.5,
            align_weight=0.2,
            reconstruct_weight=0.1,
            learning_rate=0.005,
            code_learning_rate=0.01,
            tokenizer_epochs=6,
            tokenizer_learning_rate=0.003,
        )
    if name == "TIGER":
        return tiger_settings(
            planted,
            **shared,
            tokenizer="rqkmeans",
            text_encoder=str(tiny_llm),
            pca_dim=16,
            codebook_size=16,
            epochs=3,
        )
    settings = tiger_settings(planted)
    keys = ("data_path", "load_col", "item_text", "MAX_ITEM_LIST_LENGTH", "topk", "valid_metric")
    settings = {key: settings[key] for key in (*keys, "show_progress", "gpu_id")}
    if name == "SASRecAll":
        settings |= {"hidden_size": 32, "inner_size": 64, "hidden_dropout_prob": 0.1, "epochs": 6}
    return settings


@pytest.fixture(scope="session")
def finished(tiny_llm, planted, tmp_path_factory):
    """``finished(name)``: the model's run, made once."""
    runs: dict[str, Finished] = {}

    def run(name: str) -> Finished:
        if name not in runs:
            folder = tmp_path_factory.mktemp(f"run_{name}")
            own = settings_of(name, tiny_llm, planted)
            settings = {**plugin_defaults(name, "planted", planted), **own}
            with working_in(folder):
                runs[name] = Finished(
                    folder / "run", run_model(name, "planted", settings, folder / "run")
                )
        return runs[name]

    return run
