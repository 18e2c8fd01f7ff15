"""What is wrong with single settings, and with settings that must fit each other."""

from __future__ import annotations

import re
from functools import lru_cache

from recbole_store.errors import SettingsError
from recbole_store.settings.property_files import nearest, recbole_folder

_PYTHON_TYPES = {
    "int": int,
    "float": (int, float),
    "str": (str, int, float),  # RecBole's own string keys (gpu_id: 0) are often typed as numbers
    "bool": bool,
    "list": (list, tuple),
    "dict": dict,
}


def _is_size(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def check_type(key: str, value, declared: str, none_allowed: bool = False) -> None:
    """Compare a value with its declared type, e.g. ``int or null``.

    Raises:
        SettingsError: naming key, value and what was expected.
    """
    names = [name.strip().lower() for name in re.split(r" or |,|\|", declared)]
    if value is None:
        if none_allowed or {"null", "none"} & set(names):
            return
    else:
        known = [name for name in names if name in _PYTHON_TYPES]
        if not known:
            return
        for name in known:
            is_bool = isinstance(value, bool)
            if isinstance(value, _PYTHON_TYPES[name]) and is_bool == (name == "bool"):
                return
    raise SettingsError(f"`{key}` is {value!r}, but must be of type {declared}.")


# For any other name RecBole warns and takes adam.
LEARNERS = ("adam", "adamw", "sgd", "adagrad", "rmsprop", "sparse_adam")
# Besides, for models of semantic IDs.
OWN_LEARNERS = ("adafactor",)

# Of recbole_store.tokenizer.quantizers.registry, which is too heavy to be imported here.
TOKENIZERS = ("palette", "tower", "rqvae", "rqkmeans", "opq", "random")

# STORE's and TIGER's keys: a test, and what it says to somebody whose value fails it.
RANGES = {
    "n_levels": (lambda v: 1 <= v <= 16, "between 1 and 16"),
    "codebook_size": (lambda v: v >= 2, "at least 2, or null for the usual one"),
    "disambiguation_size": (lambda v: v >= 1, "at least 1"),
    "backbone_layers": (lambda v: v >= 1, "at least 1, or null for all"),
    "num_beams": (lambda v: v >= 1, "at least 1"),
    "pca_dim": (lambda v: v >= 1, "at least 1"),
    "tokenizer_epochs": (lambda v: v >= 0, "at least 0"),
    "tokenizer_batch_size": (lambda v: v >= 2, "at least 2"),
    "max_text_words": (lambda v: v >= 1, "at least 1"),
    "token_to_text_weight": (lambda v: v >= 0, "at least 0"),
    "contrastive_weight": (lambda v: v >= 0, "at least 0"),
    "decorrelation_weight": (lambda v: v >= 0, "at least 0"),
    "align_weight": (lambda v: v >= 0, "at least 0"),
    "reconstruct_weight": (lambda v: v >= 0, "at least 0"),
    "cosine_weight": (lambda v: v >= 0, "at least 0"),
    "text_task_share": (lambda v: 0 < v <= 1, "in (0, 1], or null for all items"),
    "prefix_weight": (lambda v: v >= 0, "at least 0"),
    "item_weight": (lambda v: v >= 0, "at least 0"),
    "text_head_weight": (lambda v: v >= 0, "at least 0"),
    "text_share": (lambda v: 0 <= v <= 1, "in [0, 1]"),
    "together_weight": (lambda v: v >= 0, "at least 0, or null for 0"),
    "likeness_weight": (lambda v: v >= 0, "at least 0, or null for 0"),
    "item_vector_size": (lambda v: v >= 1, "at least 1"),
    "collaborative_start": (lambda v: v > 0, "above 0, or null for a random start"),
    "item_dropout": (lambda v: 0 <= v < 1, "in [0, 1), or null for none"),
    "last_item_weight": (lambda v: v >= 0, "at least 0, or null for 0"),
    "own_vector_dropout": (lambda v: 0 <= v < 1, "in [0, 1)"),
    "fusion": (lambda v: 0 <= v <= 1, "in [0, 1]"),
    "temperature": (lambda v: v > 0, "above 0"),
    "lora_rank": (lambda v: v >= 1, "at least 1"),
    "lora_dropout": (lambda v: 0 <= v < 1, "in [0, 1)"),
    "attribute_dropout": (lambda v: 0 <= v < 1, "in [0, 1)"),
    "collaborative_share": (lambda v: 0 <= v <= 1, "in [0, 1]"),
    "hidden_dropout": (lambda v: 0 <= v < 1, "in [0, 1)"),
    "code_dropout": (lambda v: 0 <= v < 1, "in [0, 1)"),
    "MAX_ITEM_LIST_LENGTH": (lambda v: v >= 1, "at least 1"),
    "epochs": (lambda v: v >= 0, "at least 0"),
    "train_batch_size": (lambda v: v >= 1, "at least 1"),
    "micro_batch_size": (lambda v: v >= 1, "at least 1, or null for the whole batch"),
    "eval_batch_size": (lambda v: v >= 1, "at least 1"),
    "stopping_step": (lambda v: v >= 0, "at least 0"),
    "learning_rate": (lambda v: v > 0, "above 0"),
    "code_learning_rate": (lambda v: v > 0, "above 0"),
    "tokenizer_learning_rate": (lambda v: v > 0, "above 0"),
    "cold_items": (lambda v: 0 < v < 1, "in (0, 1), or null for none"),
    "validation_gap": (lambda v: v >= 1, "at least 1, or null for none"),
    "metric_decimal_place": (lambda v: 0 <= v <= 10, "between 0 and 10"),
    "max_hours": (lambda v: v > 0, "above 0, or null for no limit"),
    "warmup_steps": (lambda v: v >= 0, "at least 0"),
    "learner": (
        lambda v: v in LEARNERS + OWN_LEARNERS,
        f"one of {', '.join(LEARNERS + OWN_LEARNERS)}",
    ),
    "clip_grad_norm": (lambda v: set(v) <= {"max_norm", "norm_type"}, "{max_norm: number}"),
    "tuning": (lambda v: v in ("lora", "full", "frozen"), "one of lora, full, frozen"),
    "precision": (lambda v: v in ("auto", "bf16", "fp32"), "one of auto, bf16, fp32"),
    "eval_precision": (lambda v: v in ("auto", "bf16", "fp32"), "one of auto, bf16, fp32"),
    "decoding": (lambda v: v in ("beam", "exact", "free"), "one of beam, exact, free"),
    "normalize_over": (lambda v: v in ("level", "children"), "one of level, children"),
    "tokenizer": (lambda v: v in TOKENIZERS, f"one of {', '.join(TOKENIZERS)}"),
    "rqvae_hidden_sizes": (lambda v: all(_is_size(n) for n in v), "a list of integers above 0"),
    "rqvae_latent_size": (lambda v: v >= 1, "at least 1"),
    "rqvae_beta": (lambda v: v >= 0, "at least 0"),
    "rqvae_epochs": (lambda v: v >= 0, "at least 0"),
    "rqvae_batch_size": (lambda v: v >= 1, "at least 1"),
    "rqvae_learning_rate": (lambda v: v > 0, "above 0"),
    "d_model": (lambda v: v >= 1, "at least 1"),
    "d_ff": (lambda v: v >= 1, "at least 1"),
    "d_kv": (lambda v: v >= 1, "at least 1"),
    "num_heads": (lambda v: v >= 1, "at least 1"),
    "num_layers": (lambda v: v >= 1, "at least 1"),
    "num_decoder_layers": (lambda v: v >= 1, "at least 1"),
    "dropout_rate": (lambda v: 0 <= v < 1, "in [0, 1)"),
    "n_user_tokens": (lambda v: v >= 0, "at least 0"),
    "targets_per_user": (lambda v: v >= 1, "at least 1, or null for all"),
    "final_rate_share": (lambda v: 0 <= v <= 1, "in [0, 1], or null for rates that stay"),
    "decay_after_steps": (lambda v: v >= 1, "at least 1, or null for never"),
}
# RecBole's keys without which it fails; its files declare none of its keys as "or null".
_NEEDED = ("data_path", "checkpoint_dir", "metrics", "topk", "valid_metric", "eval_args", "seed")
_NULLABLE = {"backbone_layers", "clip_grad_norm", "micro_batch_size", "max_hours", "cold_items"}
_NULLABLE |= {"targets_per_user", "decay_after_steps", "codebook_size", "final_rate_share"}
_NULLABLE |= {"collaborative_start", "text_task_share", "item_dropout", "last_item_weight"}
_NULLABLE |= {"validation_gap", "together_weight", "likeness_weight"}
NEVER_NULL = {*_NEEDED, *RANGES} - _NULLABLE


def check_ranges(settings: dict) -> None:
    """Check single values, then those that must fit each other.

    Raises:
        SettingsError: for the first value out of range.
    """
    for key, (in_range, expected) in RANGES.items():
        if settings.get(key) is not None and not in_range(settings[key]):
            raise SettingsError(f"`{key}` is {settings[key]!r}, but must be {expected}.")
    topk = settings["topk"] if isinstance(settings["topk"], list) else [settings["topk"]]
    if not topk or not all(isinstance(k, int) and k >= 1 for k in topk):
        raise SettingsError(
            f"`topk` is {settings['topk']!r}, but must hold integers of at least 1."
        )
    if "num_beams" in settings and settings["num_beams"] < max(topk):
        raise SettingsError(
            f"`num_beams` is {settings['num_beams']}, but the largest `topk` is {max(topk)}: "
            f"raise num_beams to {max(topk)} or more, since each beam yields one item."
        )
    if settings.get("micro_batch_size") and settings.get("enable_scaler"):
        raise SettingsError(
            "`enable_scaler` scales the last micro-batch alone: leave it out, or micro_batch_size. "
            "bf16 (`precision`) needs no scaler."
        )
    fused = settings.get("item_weight") and settings.get("fusion")
    if fused and settings.get("decoding") in ("exact", "free"):
        raise SettingsError(
            f"`decoding` is {settings['decoding']}, but fused scores are no sums along a path of "
            "codes: set `decoding: beam`, or `fusion: 0`."
        )
    if settings.get("cosine_weight") and settings.get("tokenizer") == "random":
        raise SettingsError(
            "`cosine_weight` ties codes to texts, but `tokenizer: random` reads none: set it to 0."
        )
    has_vectors = settings.get("item_input", True) or settings.get("item_weight")
    if settings.get("collaborative_start") and not has_vectors:
        raise SettingsError(
            "`collaborative_start` is for items' own vectors, but with `item_input: False` and "
            "`item_weight: 0` there are none: leave it out."
        )
    if settings.get("text_head_weight"):
        if settings.get("tokenizer") != "tower" or not settings.get("item_weight"):
            raise SettingsError(
                "`text_head_weight` is for a head that starts as the text tower and is weighed "
                "with the item head: set `tokenizer: tower` and `item_weight`, or leave it out."
            )
    for key in ("likeness_weight", "together_weight"):
        lacks = "item_weight" if key == "together_weight" else "text_head_weight"
        if settings.get(key) and "fusion" in settings and not (settings.get(lacks) and fused):
            raise SettingsError(
                f"`{key}` adds to the heads' scores, which take no part in the ranking here: set "
                f"`{lacks}` and `fusion` above 0, or leave it out."
            )
    if settings.get("last_item_weight") and not fused:
        raise SettingsError(
            "`last_item_weight` belongs to the item head, which takes no part in the ranking with "
            "`item_weight: 0` or `fusion: 0`: leave it out."
        )
    mode = settings["eval_args"].get("mode", "full")
    modes = mode.values() if isinstance(mode, dict) else [mode]
    for key in ("cold_items", "validation_gap"):
        if settings.get(key) and any(one != "full" for one in modes):
            raise SettingsError(
                f"`{key}` needs the ranking of the whole catalogue, but `eval_args` has the mode "
                f"{mode!r}: set it to full."
            )
    if settings.get("validation_gap") and not settings.get("repeatable"):
        raise SettingsError(
            "`validation_gap` needs `repeatable: True`: RecBole's samplers know training items "
            "alone. `filter_history` leaves seen items out."
        )
    check_valid_metric(settings, topk)


def check_tokenizer(model: str, tokenizer: str | None) -> None:
    """The palette and the tower read what STORE's LLM makes of texts."""
    if tokenizer in ("palette", "tower") and model != "STORE":
        others = ", ".join(name for name in TOKENIZERS if name not in ("palette", "tower"))
        raise SettingsError(
            f"`tokenizer` is {tokenizer}, which reads what STORE's LLM makes of texts, but {model} "
            f"has none: set it to one of {others}."
        )


@lru_cache
def known_metrics() -> tuple[str, ...]:
    """Names of RecBole's metrics, read from its source without importing it."""
    source = (recbole_folder() / "evaluator" / "metrics.py").read_text(encoding="utf-8")
    return tuple(re.findall(r"^class (\w+)\(", source, re.MULTILINE))


# Metrics of RecBole without a cut-off.
VALUE_METRICS = ("auc", "gauc", "rmse", "mae", "logloss")

_EVAL_KEYS = ("split", "group_by", "order", "mode")
_EVAL_MODE = re.compile(r"full|labeled|(uni|pop)[1-9]\d*")


def check_eval_args(eval_args: dict) -> None:
    """RecBole ignores unknown keys of eval_args, and refuses unknown modes late."""
    for key in eval_args:
        if key not in _EVAL_KEYS:
            raise SettingsError(
                f"`eval_args` has no key `{key}`{nearest(str(key), _EVAL_KEYS)}; it has "
                f"{', '.join(_EVAL_KEYS)}."
            )
    mode = eval_args["mode"]
    for value in mode.values() if isinstance(mode, dict) else [mode]:
        if not _EVAL_MODE.fullmatch(str(value)):
            raise SettingsError(
                f"`eval_args` has the mode {value!r}, but must have full, labeled, uniN or popN."
            )


def check_item_text(pieces: dict | None) -> None:
    """Each piece of an item's text is a text itself."""
    for column, piece in (pieces or {}).items():
        if not isinstance(piece, str) or "{}" not in piece:
            raise SettingsError(
                f"`item_text` has {piece!r} for {column}, but needs a text in quotes with {{}} in "
                'the place of the value, such as "{}".'
            )


def check_valid_metric(settings: dict, topk: list[int]) -> None:
    """The metric that selects the epoch must be among those that will be computed."""
    metrics = settings["metrics"]
    metrics = metrics if isinstance(metrics, list) else [metrics]
    known = known_metrics()
    for metric in metrics:
        if str(metric).lower() not in {name.lower() for name in known}:
            raise SettingsError(
                f"`metrics` holds {metric!r}{nearest(str(metric), known)}; known: "
                f"{', '.join(known)}."
            )
    name, _, cutoff = str(settings["valid_metric"]).partition("@")
    computed = {metric.lower() for metric in metrics}
    cutoffs = {""} if name.lower() in VALUE_METRICS else {str(k) for k in topk}
    if name.lower() not in computed or cutoff not in cutoffs:
        cutoffs = ", ".join(str(k) for k in topk)
        raise SettingsError(
            f"`valid_metric` is {settings['valid_metric']}, which will not be computed: "
            f"metrics are {', '.join(metrics)} at {cutoffs}."
        )
