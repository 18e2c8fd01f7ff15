"""Figures as text."""

from __future__ import annotations

import math

from recbole_store.experiments.report.page.estimates import Estimate

NONE = "–"
_NAMES = {"ndcg": "NDCG", "mrr": "MRR", "map": "MAP", "auc": "AUC", "gauc": "GAUC"}
_PLAIN = {
    "fit_s": "training, s",
    "test_s": "test, s",
    "itemcoverage": "item coverage",
    "averagepopularity": "average popularity",
    "shannonentropy": "Shannon entropy",
    "giniindex": "Gini index",
    "tailpercentage": "tail share",
    "certain_topk": "certain top",
}
_COUNTS = ("items", "distinct", "largest_group", "dead_codes", "items_without_text")


def is_missing(value: float | None) -> bool:
    """None or NaN."""
    return value is None or math.isnan(value)


def metric_name(metric: str) -> str:
    """``ndcg@10`` -> ``NDCG@10``; ``collision_rate`` -> ``collision rate``"""
    name, at, cutoff = metric.partition("@")
    fallback = name.capitalize() if at else name.replace("_", " ")
    return (_NAMES.get(name) or _PLAIN.get(name, fallback)) + at + cutoff


def figure(value: float | None) -> str:
    """Four decimals, as RecBole rounds; counts without.

    Example: 0.06159 -> "0.0616", 1.0 -> "1.0000", 1682 -> "1,682"
    """
    if is_missing(value):
        return NONE
    is_count = abs(value) >= 2 and float(value).is_integer()
    return f"{value:,.0f}" if is_count or abs(value) >= 1000 else f"{value:.4f}"


def of_metric(metric: str, value: float | None) -> str:
    """A metric's value: counts of items, which are means over seeds, with one decimal at most.

    Example: ("dead_codes", 0.0) -> "0", ("averagepopularity@10", 184.8237) -> "184.8"
    """
    name = metric.partition("@")[0]
    if is_missing(value) or name not in (*_COUNTS, "averagepopularity"):
        return figure(value)
    return f"{value:,.1f}".removesuffix(".0" if name in _COUNTS else "")


def signed(value: float) -> str:
    """``-0.0102`` -> ``−0.0102`` with the sign that is as wide as a figure"""
    return f"{value:+.4f}".replace("-", "−")


def spread(estimate: Estimate | None, deviation: float | None) -> str:
    """What stands below a mean: ``±0.0110 · sd 0.0021``"""
    parts = [f"±{estimate.error:.4f}"] if estimate else []
    parts += [] if is_missing(deviation) else [f"sd {deviation:.4f}"]
    return " · ".join(parts)


def minutes(seconds: float | None) -> str:
    """``90.0`` -> ``1.5``; ``0.5`` -> ``<0.1``"""
    if is_missing(seconds):
        return NONE
    return "<0.1" if seconds < 3 else f"{seconds / 60:.1f}"


def count(number: float | None) -> str:
    """``7301952`` -> ``7.3M``"""
    if is_missing(number):
        return NONE
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return f"{number:.0f}"


def listed(words: list[str]) -> str:
    """``["a", "b", "c"]`` -> ``a, b and c``"""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def sentence(text: str) -> str:
    """``items in order`` -> ``Items in order.``"""
    return text[:1].upper() + text[1:].rstrip(".") + "."


def probability(p: float) -> str:
    """Three decimals, ``<0.001`` below."""
    return NONE if is_missing(p) else "<0.001" if p < 0.001 else f"{p:.3f}"
