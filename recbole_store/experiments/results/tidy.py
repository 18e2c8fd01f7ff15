"""A kept run as figures: {(slice, metric): value}, one row of results.csv each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Real

from recbole_store.errors import SettingsError
from recbole_store.experiments.results.kept_run import FILTERS, LISTED, KeptRun
from recbole_store.experiments.results.list_metrics import list_metrics
from recbole_store.experiments.results.rank_metrics import PER_USER

SLICED = ("recall", "ndcg", "mrr")  # of parts of the users; hit is recall, precision recall / k
# Figures of earlier versions that have lost their meaning.
RETIRED = ("retokenized_same",)
DECIMALS = 4  # to which RecBole rounds metrics, unless `metric_decimal_place` says otherwise


def figures(kept: KeptRun) -> dict[tuple[str, str], float]:
    """All figures of a run; slice "" for what is no slice's, ``valid`` for the best epoch's.

    Metrics of all users are RecBole's. What its evaluator was not asked for, or only gives rounded,
    comes from the ranks and the lists where the run has them.
    """
    found = {("", name): value for name, value in _of_the_run(kept.result)}
    if kept.converged is not None:
        found["", "converged"] = int(kept.converged)
    found |= {("valid", name): value for name, value in kept.result["valid"].items()}
    for slice_name, metrics in recbole_figures(kept).items():
        found |= {(slice_name, name): value for name, value in metrics.items()}
    found |= _from_ranks(kept)
    for name, shares in kept.result.get("certain_topk", {}).items():
        found |= {(f"{name}/all", f"certain_topk@{k}"): share for k, share in shares.items()}
    for slice_name, metrics in (kept.result.get("cold") or {}).get("metrics", {}).items():
        found |= {(slice_name, name): value for name, value in metrics.items()}
    return {k: v for k, v in found.items() if v is not None and not math.isnan(v)}


def recbole_figures(kept: KeptRun) -> dict[str, dict[str, float]]:
    """What RecBole's evaluator gave for all test users, by slice."""
    tests = kept.result.get("tests", {})
    given = {f"{name}/all": dict(metrics) for name, metrics in tests.items()}
    return given | {kept.own_slice: dict(kept.result["test"])}


def cutoffs(kept: KeptRun) -> list[int]:
    """The run's ``topk``."""
    topk = kept.result.get("settings", {}).get("topk") or []
    return topk if isinstance(topk, list) else [topk]


def _from_ranks(kept: KeptRun) -> dict[tuple[str, str], float]:
    if kept.arrays is None:
        return {}
    found = {}
    for filter_name in FILTERS:
        for part, mask in kept.masks.items():
            slice_name = f"{filter_name}/{part}"
            found[slice_name, "n_users"] = int(mask.sum())
            names = PER_USER if part == "all" else SLICED
            for metric in [f"{name}@{k}" for name in names for k in cutoffs(kept)]:
                values = kept.per_user(slice_name, metric)
                if values is not None:
                    found[slice_name, metric] = float(values.mean())
        recommended = kept.arrays[f"recommended_{filter_name}"]
        k = min(LISTED, int(kept.arrays["depth"]))
        lists = list_metrics(recommended, kept.arrays["item_counts"], k)
        found |= {(f"{filter_name}/all", name): value for name, value in lists.items()}
    return found


def check_ranks(kept: KeptRun) -> None:
    """The ranks must give the metrics that RecBole's evaluator gave.

    Raises:
        SettingsError: they differ by more than RecBole's rounding.
    """
    decimals = kept.result.get("settings", {}).get("metric_decimal_place")
    half_a_digit = 0.6 * 10.0 ** -(DECIMALS if decimals is None else decimals)
    for slice_name, metrics in recbole_figures(kept).items():
        for metric, value in metrics.items():
            if metric.partition("@")[0] not in PER_USER:
                continue
            values = kept.per_user(slice_name, metric)
            if value is None or values is None:
                continue
            if abs(values.mean() - value) > half_a_digit:
                raise SettingsError(
                    f"The ranks of {kept.run} give {metric} {values.mean():.4f} ({slice_name}), "
                    f"but RecBole's evaluator gave {value:.4f}: one of them is wrong."
                )


def _of_the_run(result: dict) -> Iterator[tuple[str, float]]:
    """Times, sizes and statistics of the semantic IDs."""
    for part in ("times", "sizes", "store"):
        for name, value in result.get(part, {}).items():
            if name not in RETIRED:
                yield from _numbers(name, value)


def _numbers(name: str, value) -> Iterator[tuple[str, float]]:
    """Numbers as they are, lists (one number a level) by their mean, dicts by cut-off.

    Example: ("utilisation", [1.0, 0.5]) -> ("utilisation", 0.75)
    """
    if isinstance(value, bool):
        yield name, int(value)
    elif isinstance(value, Real):
        yield name, value
    elif isinstance(value, list) and value and all(isinstance(v, Real) for v in value):
        yield name, sum(value) / len(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, Real):
                yield f"{name}@{key}", inner
