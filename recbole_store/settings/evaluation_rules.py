"""What RecBole refuses late, or in words of its own, and what commands refuse besides.

Each rule takes settings with all defaults and says in a sentence what is wrong, or nothing. They
hold for this package's commands; who uses RecBole's own has its caches and its splits.
"""

from __future__ import annotations

import importlib.util

from recbole_store.errors import SettingsError
from recbole_store.settings.declared import Declared
from recbole_store.settings.defaults import recbole_defaults
from recbole_store.settings.property_files import TOKENIZED_MODELS, model_folders, nearest

_THREE = "three shares above 0, for training, validation and test"
_SPLITS = f"{{LS: valid_and_test}}, or {{RS: [8, 1, 1]}} or {{TS: [8, 1, 1]}} with {_THREE}"
_OF_LABELS = ("auc", "rmse", "mae", "logloss")  # RecBole's value-based metrics
_SAVED = ("dataset_save_path", "dataloaders_save_path")
_NEGATIVES = {
    "distribution": Declared.parse("one of uniform, popularity, none"),
    "sample_num": Declared.parse("int >= 1"),
    "alpha": Declared.parse("float"),
    "dynamic": Declared.parse("bool"),
    "candidate_num": Declared.parse("int >= 0"),
}
_SAVING = ("save_dataset", "save_dataloaders")


def three_parts(settings: dict) -> str | None:
    """Every run is trained, validated and tested, on rows of its own."""
    files = settings.get("benchmark_filename")
    if files:
        if len(files) == 3:
            return None
        return (
            f"`benchmark_filename` is {files!r}, but must name three files: for training, "
            "validation and test."
        )
    split = settings["eval_args"].get("split")
    if isinstance(split, dict) and len(split) == 1:
        ((kind, parts),) = split.items()
        if kind == "LS" and parts == "valid_and_test":
            return None
        is_shares = isinstance(parts, (list, tuple)) and all(map(_is_share, parts))
        if kind in ("RS", "TS") and is_shares and len(parts) == 3:
            return None
    return f"`eval_args` has the split {split!r}, but must have {_SPLITS}."


def _is_share(value) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 < value < float("inf")


def known_order(settings: dict) -> str | None:
    order = settings["eval_args"].get("order")
    if order not in ("TO", "RO"):
        return f"`eval_args` has the order {order!r}, but must have TO (by time) or RO (at random)."
    return None


def known_grouping(settings: dict) -> str | None:
    wanted = settings["eval_args"].get("group_by")
    if wanted is not None and str(wanted).lower() not in ("user", "none"):
        return f"`eval_args` has `group_by: {wanted}`, but must have user or none."
    return None


def labels_go_with_value_metrics(settings: dict) -> str | None:
    """AUC and its kin compare scores with labels, ranking metrics order candidates."""
    named = settings["metrics"]
    named = named if isinstance(named, list) else [named]
    by_value = [metric for metric in named if str(metric).lower() in _OF_LABELS]
    mode = settings["eval_args"].get("mode", "full")
    modes = mode.values() if isinstance(mode, dict) else [mode]
    labelled = [mode == "labeled" for mode in modes]
    if by_value and len(by_value) < len(named):
        other = next(metric for metric in named if metric not in by_value)
        return (
            f"`metrics` holds {by_value[0]}, which compares scores with labels, and {other}, which "
            "ranks: use one kind."
        )
    if by_value and not all(labelled):
        return (
            f"`metrics` holds {by_value[0]}, which compares scores with labels: set "
            "`eval_args: {mode: labeled}`."
        )
    if any(labelled) and not by_value:
        return (
            "`eval_args` has the mode labeled, whose rows are no candidates to rank: use metrics "
            f"such as AUC or LogLoss instead of {', '.join(map(str, named))}, or the mode full."
        )
    return None


def no_pickles(settings: dict) -> str | None:
    """Data sets and dataloaders that RecBole has saved are pickles."""
    for key in _SAVED:
        if settings.get(key):
            return (
                f"`{key}` is {settings[key]}, a file that RecBole unpickles, which executes what "
                "its author wrote: leave it out, the data are prepared anew in each run."
            )
    for key in _SAVING:
        if settings.get(key):
            return f"`{key}` writes a pickle, which no command here reads: leave it out."
    return None


def trackers_are_there(settings: dict) -> str | None:
    for name in ("wandb", "mlflow"):
        if settings.get(f"log_{name}") and importlib.util.find_spec(name) is None:
            return f"`log_{name}` needs {name}: `pip install {name}`, or leave it out."
    return None


def negatives_can_be_drawn(settings: dict) -> str | None:
    """What RecBole is told of negatives for training; what is left out is its default."""
    given = settings.get("train_neg_sample_args") or {}
    for key, value in given.items():
        known = _NEGATIVES.get(key)
        if known is None:
            return (
                f"`train_neg_sample_args` has no key `{key}`{nearest(key, _NEGATIVES)}; it has "
                f"{', '.join(_NEGATIVES)}."
            )
        if not known.fits(value):
            return f"`train_neg_sample_args` has {value!r} for {key}, but must have {known}."
    if given.get("dynamic") and not given.get("candidate_num"):
        return (
            "`train_neg_sample_args` has `dynamic: True`, which needs a `candidate_num` of at "
            "least 1."
        )
    return None


def heads_share_the_width(settings: dict) -> str | None:
    width, heads = settings.get("hidden_size"), settings.get("n_heads")
    if isinstance(width, int) and isinstance(heads, int) and heads > 0 and width % heads:
        return f"`hidden_size` is {width}, which `n_heads` {heads} does not divide."
    return None


RULES = (
    three_parts,
    known_order,
    known_grouping,
    labels_go_with_value_metrics,
    no_pickles,
    trackers_are_there,
    negatives_can_be_drawn,
    heads_share_the_width,
)


def check_evaluation(model: str, settings: dict) -> None:
    """Check what must hold of a command's settings for RecBole to run them.

    Raises:
        SettingsError: for the first rule that is broken.
    """
    for rule in RULES:
        if said := rule(settings):
            raise SettingsError(said)
    wanted = settings.get("transform")
    # That of semantic IDs is set by code, and is so read again in a run that goes on.
    usual = "user_defined" if model in TOKENIZED_MODELS else None
    if wanted and wanted not in (usual, recbole_defaults(model, "").get("transform")):
        raise SettingsError(
            f"`transform` is {wanted}, but {model} reads its batches as they are: leave it out."
        )
    if model_folders()[model] != "sequential_recommender" or settings.get("benchmark_filename"):
        return
    if settings["eval_args"]["order"] != "TO":
        raise SettingsError(
            f"`eval_args` has the order RO, but {model} reads histories in time order: set it to "
            "TO."
        )
