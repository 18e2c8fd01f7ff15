"""Trials of settings that change the ranking alone: one trained model, validated under each."""

from __future__ import annotations

import json
from pathlib import Path

from recbole.data import data_preparation
from recbole.utils import get_model, get_trainer

from recbole_store.property_files import SettingsError
from recbole_store.protocol import protocol_hash
from recbole_store.run import build
from recbole_store.settings import resolve


def rank_again(
    model_name: str, variant: str, dataset: str, typed: dict, changes: dict, run_dir: Path
) -> tuple[dict, dict]:
    """Validation metrics of a finished run's checkpoint under other settings of its ranking.

    Args:
        typed: keys and texts that the run was told, as for :func:`recbole_store.settings.resolve`.
        changes: the same of the trial; keys of :data:`recbole_store.trials.RANKING_KEYS`.
        run_dir: holds ``result.json`` and the checkpoint of the run's best epoch.

    Returns:
        the run's result, and the validation metrics.

    Raises:
        SettingsError: ``run_dir`` holds no such run, or the settings are wrong.
    """
    own = resolve(model_name, dataset, [], typed, variant=variant)
    try:
        result = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))
        (checkpoint,) = run_dir.glob("*.pth")
    except (OSError, ValueError) as error:
        raise SettingsError(f"{run_dir} holds no finished run: {error}.") from error
    if result["protocol_hash"] != protocol_hash(model_name, dataset, own):
        raise SettingsError(f"The run in {run_dir} had other settings, data or versions.")
    settings = resolve(model_name, dataset, [], {**typed, **changes}, variant=variant)
    settings = {**settings, "checkpoint_dir": str(run_dir), "show_progress": False}
    config, data = build(model_name, dataset, settings)
    train_data, valid_data, _ = data_preparation(config, data)
    model = get_model(model_name)(config, train_data._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], model_name)(config, model)
    valid = trainer.evaluate(valid_data, load_best_model=True, model_file=str(checkpoint))
    return result, dict(valid)
