"""Trials of settings that change the ranking alone: one trained model, validated under each."""

from __future__ import annotations

from pathlib import Path

from recbole.utils import get_model, get_trainer

from recbole_store.errors import SettingsError
from recbole_store.experiments.results.result_file import read_result
from recbole_store.experiments.run.build import build, split
from recbole_store.experiments.run.continuation import BEST
from recbole_store.experiments.run.fingerprint import protocol_hash
from recbole_store.plugin.checkpoints import load_weights


def rank_again(
    model_name: str, dataset: str, own: dict, others: dict, run_dir: Path
) -> tuple[dict, dict]:
    """Validation metrics of a finished run's best epoch under other settings of its ranking.

    Args:
        own: the run's settings, as of :func:`recbole_store.settings.resolve.resolve`.
        others: the trial's; they differ in keys of ``trials.RANKING_KEYS``.
        run_dir: holds ``result.json`` and the weights of the run's best epoch.

    Returns:
        the run's result, and the validation metrics.

    Raises:
        SettingsError: ``run_dir`` holds no such run, or the settings are wrong.
        DamagedState: the weights are damaged.
    """
    result = read_result(run_dir / "result.json")
    weights = run_dir / BEST
    if not weights.is_file():
        raise SettingsError(f"{run_dir} holds no weights of a finished run: {BEST} is missing.")
    if result.get("protocol_hash") != protocol_hash(model_name, dataset, own):
        raise SettingsError(f"The run in {run_dir} had other settings, data or versions.")
    settings = {**others, "checkpoint_dir": str(run_dir), "show_progress": False}
    config, data = build(model_name, dataset, settings)
    train_data, valid_data, _ = split(model_name, config, data)
    model = get_model(model_name)(config, train_data._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], model_name)(config, model)
    load_weights(weights, model)
    valid = trainer.evaluate(valid_data, load_best_model=False)
    return result, dict(valid)
