"""What in RecBole's data sets lets no run start, before RecBole says so in its own words, or later.

What the files' first lines show is refused by :mod:`recbole_store.settings.dataset_files` already.
"""

from __future__ import annotations

from pathlib import Path

from recbole.utils import InputType, ModelType

from recbole_store.errors import SettingsError

_PARTS = ("train on", "validate on", "test on")


def check_caches(config) -> None:
    """RecBole looks for data that it has saved, and unpickles what it finds.

    Raises:
        SettingsError: there are such files where this run would look.
    """
    folder, name = Path(config["checkpoint_dir"]), config["dataset"]
    found = [*folder.glob(f"{name}-*Dataset.pth"), *folder.glob(f"{name}-for-*-dataloader.pth")]
    if found:
        raise SettingsError(
            f"{found[0]} holds data that RecBole has saved, which it would unpickle, and that "
            "executes what its author wrote: move the file, or name another folder with "
            "--run_dir or `checkpoint_dir`."
        )


def check_data(config, dataset) -> None:
    """Check a data set once it is filtered.

    Raises:
        SettingsError: it has one item, or lacks the labels or negatives that its model learns from.
    """
    name = config["dataset"]
    if dataset.item_num - 1 < 2:
        raise SettingsError(
            f"{name} has one item: there is nothing to choose from. It takes two or more, after "
            "filters such as `item_inter_num_interval`."
        )
    learns_labels = config["MODEL_TYPE"] in (ModelType.CONTEXT, ModelType.DECISIONTREE)
    draws_none = config["train_neg_sample_args"]["distribution"] == "none"
    if config["MODEL_INPUT_TYPE"] == InputType.PAIRWISE and draws_none:
        raise SettingsError(
            f"{config['model']} learns from pairs of items, but `train_neg_sample_args` draws no "
            "negatives: leave it out, or set {distribution: uniform, sample_num: 1}."
        )
    label = config["LABEL_FIELD"]
    if learns_labels and draws_none and label not in dataset.inter_feat:
        raise SettingsError(
            f"{config['model']} learns from labels, but {name} has no column `{label}`: set "
            "`threshold`, such as {rating: 4}, which makes them of ratings, or "
            "`train_neg_sample_args: {distribution: uniform, sample_num: 1}`, which draws "
            "negatives."
        )


def check_splits(config, splits: list) -> None:
    """Each split needs rows.

    Raises:
        SettingsError: one has none, and why that may be.
    """
    if len(splits) != len(_PARTS):
        raise SettingsError(
            f"{config['dataset']} is split into {len(splits)} parts, but it takes three: for "
            "training, validation and test."
        )
    for part, purpose in zip(splits, _PARTS, strict=True):
        if len(part.inter_feat) == 0:
            raise SettingsError(
                f"{config['dataset']} leaves no rows to {purpose}: {_remedy(config)}."
            )


def _remedy(config) -> str:
    if config["benchmark_filename"]:
        return "its benchmark files are the training, validation and test rows"
    for key in ("cold_items", "validation_gap"):
        if config[key]:
            return f"`{key}` is {config[key]}, lower it"
    if "LS" in config["eval_args"]["split"]:
        fewest = 4 if config["MODEL_TYPE"] == ModelType.SEQUENTIAL else 3
        return (
            f"leave-one-out takes a user's last two interactions, so that some user needs at least "
            f"{fewest}, after filters"
        )
    return f"`eval_args` has the split {config['eval_args']['split']}, which needs more rows"
