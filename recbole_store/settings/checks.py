"""What no comment beside a key can say: values with a form of their own, and keys that must fit."""

from __future__ import annotations

import re
from functools import lru_cache

from recbole_store.errors import SettingsError
from recbole_store.settings.property_files import nearest, recbole_folder

# Metrics of RecBole without a cut-off.
VALUE_METRICS = ("auc", "gauc", "rmse", "mae", "logloss")

_EVAL_KEYS = ("split", "group_by", "order", "mode")
_EVAL_MODE = re.compile(r"full|labeled|(uni|pop)[1-9]\d*")
_CLIP_KEYS = ("max_norm", "norm_type")


@lru_cache
def known_metrics() -> tuple[str, ...]:
    """Names of RecBole's metrics, read from its source without importing it."""
    source = (recbole_folder() / "evaluator" / "metrics.py").read_text(encoding="utf-8")
    return tuple(re.findall(r"^class (\w+)\(", source, re.MULTILINE))


def cutoffs(settings: dict) -> list[int]:
    """``topk`` as a list."""
    topk = settings["topk"]
    return topk if isinstance(topk, list) else [topk]


# Values with a form of their own


def eval_args(settings: dict) -> str | None:
    """RecBole ignores unknown keys of eval_args, and refuses unknown modes late."""
    for key in settings["eval_args"]:
        if key not in _EVAL_KEYS:
            return (
                f"`eval_args` has no key `{key}`{nearest(str(key), _EVAL_KEYS)}; it has "
                f"{', '.join(_EVAL_KEYS)}."
            )
    for mode in _modes(settings):
        if not _EVAL_MODE.fullmatch(str(mode)):
            return f"`eval_args` has the mode {mode!r}, but must have full, labeled, uniN or popN."
    return None


def _modes(settings: dict) -> list:
    mode = settings["eval_args"].get("mode", "full")
    return list(mode.values()) if isinstance(mode, dict) else [mode]


def separators(settings: dict) -> str | None:
    """What stands between fields, and within them; a number is accepted for other texts."""
    for key in ("field_separator", "seq_separator"):
        value = settings.get(key, " ")
        if not isinstance(value, str) or not value:
            return f'`{key}` is {value!r}, but must be a text in quotes, such as "\\t".'
    return None


def item_text(settings: dict) -> str | None:
    """Each piece of an item's text is a text itself."""
    for column, piece in (settings.get("item_text") or {}).items():
        if not isinstance(piece, str) or "{}" not in piece:
            return (
                f"`item_text` has {piece!r} for {column}, but needs a text in quotes with {{}} in "
                'the place of the value, such as "{}".'
            )
    return None


def some_cutoff(settings: dict) -> str | None:
    return None if cutoffs(settings) else "`topk` is [], but must hold an integer of at least 1."


def gradient_clipping(settings: dict) -> str | None:
    found = settings.get("clip_grad_norm")
    if found is None:
        return None
    is_number = all(type(value) in (int, float) and value > 0 for value in found.values())
    if "max_norm" not in found or not set(found) <= set(_CLIP_KEYS) or not is_number:
        return f"`clip_grad_norm` is {found!r}, but must be {{max_norm: number above 0}}."
    return None


def metrics(settings: dict) -> str | None:
    """The metric that selects the epoch must be among those that will be computed."""
    named = settings["metrics"]
    named = named if isinstance(named, list) else [named]
    known = known_metrics()
    for metric in named:
        if str(metric).lower() not in {name.lower() for name in known}:
            return (
                f"`metrics` holds {metric!r}{nearest(str(metric), known)}; known: "
                f"{', '.join(known)}."
            )
    name, _, cutoff = str(settings["valid_metric"]).partition("@")
    computed = {metric.lower() for metric in named}
    possible = {""} if name.lower() in VALUE_METRICS else {str(k) for k in cutoffs(settings)}
    if name.lower() not in computed or cutoff not in possible:
        return (
            f"`valid_metric` is {settings['valid_metric']}, which will not be computed: "
            f"metrics are {', '.join(named)} at {', '.join(map(str, cutoffs(settings)))}."
        )
    return None


# Keys that must fit each other


def enough_beams(settings: dict) -> str | None:
    most = max(cutoffs(settings))
    if settings.get("num_beams", most) < most:
        return (
            f"`num_beams` is {settings['num_beams']}, but the largest `topk` is {most}: "
            f"raise num_beams to {most} or more, since each beam yields one item."
        )
    return None


def scaler_sees_whole_batch(settings: dict) -> str | None:
    if settings.get("micro_batch_size") and settings.get("enable_scaler"):
        return (
            "`enable_scaler` scales the last micro-batch alone: leave it out, or micro_batch_size. "
            "bf16 (`precision`) needs no scaler."
        )
    return None


def _is_fused(settings: dict) -> bool:
    return bool(settings.get("item_head_weight") and settings.get("item_head_share"))


def fused_scores_are_found_by_beams(settings: dict) -> str | None:
    if _is_fused(settings) and settings.get("decoding") in ("exact", "free"):
        return (
            f"`decoding` is {settings['decoding']}, but fused scores are no sums along a path of "
            "codes: set `decoding: beam`, or `item_head_share: 0`."
        )
    return None


def vectors_are_there(settings: dict) -> str | None:
    if settings.get("item_vector_size", 1) is not None:  # which other models do not have
        return None
    needing = [key for key in ("item_head_weight", "collaborative_start") if settings.get(key)]
    needing += ["tokenizer"] if settings.get("tokenizer") == "tower" else []
    if needing:
        return (
            f"`{needing[0]}` is {settings[needing[0]]}, which needs items' vectors, but "
            "`item_vector_size` is null: set it to their width, or leave the other out."
        )
    return None


def text_head_is_the_tower(settings: dict) -> str | None:
    if settings.get("text_head_weight") and (
        settings.get("tokenizer") != "tower" or not settings.get("item_head_weight")
    ):
        return (
            "`text_head_weight` is for a head that starts as the text tower and is weighed with "
            "the item head: set `tokenizer: tower` and `item_head_weight`, or leave it out."
        )
    return None


# Gains in ranking, and the head that each needs.
_GAINS = {"likeness_weight": "text_head_weight", "together_weight": "item_head_weight"}


def gains_need_the_heads(settings: dict) -> str | None:
    for key, lacks in _GAINS.items():
        is_ours = "item_head_share" in settings  # Neighbours has a weight of the same name
        if settings.get(key) and is_ours and not (settings.get(lacks) and _is_fused(settings)):
            return (
                f"`{key}` adds to the heads' scores, which take no part in the ranking here: set "
                f"`{lacks}` and `item_head_share` above 0, or leave it out."
            )
    return None


def last_item_needs_the_head(settings: dict) -> str | None:
    if settings.get("last_item_weight") and not _is_fused(settings):
        return (
            "`last_item_weight` belongs to the item head, which takes no part in the ranking with "
            "`item_head_weight: 0` or `item_head_share: 0`: leave it out."
        )
    return None


def withheld_items_need_full_ranking(settings: dict) -> str | None:
    for key in ("cold_items", "validation_gap"):
        if settings.get(key) and any(mode != "full" for mode in _modes(settings)):
            return (
                f"`{key}` needs the ranking of the whole catalogue, but `eval_args` has the mode "
                f"{settings['eval_args']['mode']!r}: set it to full."
            )
    return None


def gap_is_repeatable(settings: dict) -> str | None:
    if settings.get("validation_gap") and not settings.get("repeatable"):
        return (
            "`validation_gap` needs `repeatable: True`: RecBole's samplers know training items "
            "alone. `filter_history` leaves seen items out."
        )
    return None


# Each takes settings with all defaults and says in a sentence what is wrong, or nothing.
RULES = (
    eval_args,
    separators,
    item_text,
    gradient_clipping,
    some_cutoff,
    enough_beams,
    metrics,
    scaler_sees_whole_batch,
    fused_scores_are_found_by_beams,
    vectors_are_there,
    text_head_is_the_tower,
    gains_need_the_heads,
    last_item_needs_the_head,
    withheld_items_need_full_ranking,
    gap_is_repeatable,
)


def check_rules(settings: dict) -> None:
    """Check what must hold of the settings as a whole.

    Raises:
        SettingsError: for the first rule that is broken.
    """
    for rule in RULES:
        if said := rule(settings):
            raise SettingsError(said)
