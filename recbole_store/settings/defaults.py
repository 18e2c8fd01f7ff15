"""What holds where nothing is said: RecBole's defaults, the plugin's, and a data set's own."""

from __future__ import annotations

from pathlib import Path

from recbole_store.errors import SettingsError
from recbole_store.settings.checks import eval_args, item_text
from recbole_store.settings.keys import check_data_keys, model_files
from recbole_store.settings.property_files import (
    PLUGIN_MODELS,
    properties_folder,
    read_properties,
    recbole_folder,
)


def _merged(paths: list[Path]) -> dict:
    merged: dict = {}
    for path in paths:
        if path.is_file():
            merged.update(read_properties(path))
    return merged


def recbole_defaults(model: str, dataset: str) -> dict:
    """RecBole's own, of all models, of this one, and of the data set."""
    own = () if model in PLUGIN_MODELS else (f"model/{model}",)
    names = ("overall", *own, "dataset/sample", f"dataset/{dataset}")
    return _merged([recbole_folder() / "properties" / f"{name}.yaml" for name in names])


def shipped_defaults(model: str) -> dict:
    """The plugin's own, whatever the data: the protocol that all models share, and the model's."""
    root = properties_folder()
    return _merged([root / "overall.yaml", *model_files(model), root / "dataset" / "sample.yaml"])


def dataset_properties(dataset: str, data_path: str | Path = "dataset") -> dict:
    """What is known of a data set: from here, and from its own ``DATA_PATH/NAME/NAME.yaml``.

    Raises:
        SettingsError: its own file cannot be read, or sets what describes no data.
    """
    known = _merged([properties_folder() / "dataset" / f"{dataset}.yaml"])
    own = Path(data_path) / dataset / f"{dataset}.yaml"
    if own.is_file():
        found = read_properties(own)
        check_data_keys(found, own)
        for rule in (eval_args, item_text):
            if said := rule({"eval_args": {}, **found}):
                raise SettingsError(f"{own}: {said}")
        known.update(found)
    return known


def plugin_defaults(model: str, dataset: str, data_path: str | Path = "dataset") -> dict:
    """The plugin's defaults for a model on a data set; the data set's win.

    Raises:
        SettingsError: as :func:`dataset_properties`.
    """
    shipped, of_data = shipped_defaults(model), dataset_properties(dataset, data_path)
    # Of the protocol a data set may set a part alone, as the command line may.
    protocol = {**shipped["eval_args"], **of_data.get("eval_args", {})}
    return {**shipped, **of_data, "eval_args": protocol}
