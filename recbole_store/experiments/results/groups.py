"""Which kept runs belong together: of one protocol, of the same test users, of one label."""

from __future__ import annotations

import hashlib
import json
from statistics import mean

from recbole_store.experiments.results.kept_run import SMALLER_IS_BETTER, KeptRun


def comparable_groups(runs: list[KeptRun]) -> list[list[KeptRun]]:
    """Runs in groups of one data set, protocol and valid metric.

    In order, but a data set's draws of cold items last.
    """
    datasets = list(dict.fromkeys(kept.run.dataset for kept in runs))
    groups: dict[str, list[KeptRun]] = {}
    for kept in sorted(
        runs, key=lambda kept: (datasets.index(kept.run.dataset), bool(kept.cold_share))
    ):
        terms = [kept.run.dataset, shared_terms(kept)]
        groups.setdefault(json.dumps(terms, sort_keys=True), []).append(kept)
    return list(groups.values())


def shared_terms(kept: KeptRun) -> dict:
    """What runs must have in common to be compared.

    The length of the history is a model's own choice; with cold items each seed is another draw,
    and other users are tested.
    """
    terms = {k: v for k, v in kept.result["protocol"].items() if k != "max_item_list_length"}
    terms["valid_metric"] = kept.valid_metric
    if "data_sha256" in kept.result:
        files = json.dumps(kept.result["data_sha256"], sort_keys=True)
        terms["data"] = hashlib.sha256(files.encode()).hexdigest()[:8]
    if kept.cold_share:
        terms = {k: v for k, v in terms.items() if k != "n_test"} | {"cold_items": kept.cold_share}
    return terms


def title_of(group: list[KeptRun], groups: list[list[KeptRun]]) -> str:
    """The data set, and what a group's protocol has apart from the others of it.

    Example: ``Beauty, filter_history True``
    """
    dataset = group[0].run.dataset
    others = [shared_terms(g[0]) for g in groups if g[0].run.dataset == dataset]
    terms = [
        f"{key} {value}"
        for key, value in shared_terms(group[0]).items()
        # Without a number of test users are those with cold items, of which it goes without saying.
        if any(other.get(key, ...) != value for other in others if key in other or key != "n_test")
    ]
    return ", ".join([dataset, *terms])


def same_users(runs: list[KeptRun]) -> list[list[KeptRun]]:
    """Runs with ranks, in groups that were tested on the same users and targets, largest first.

    Those with cold items are left out: each seed has other ones, and other users.
    """
    groups: dict[str, list[KeptRun]] = {}
    for kept in runs:
        if kept.arrays is not None and not kept.cold_share:
            groups.setdefault(kept.users_digest, []).append(kept)
    return sorted(groups.values(), key=len, reverse=True)


def by_label(runs: list[KeptRun]) -> dict[str, list[KeptRun]]:
    """Runs of one data set by their label, in order."""
    groups: dict[str, list[KeptRun]] = {}
    for kept in runs:
        groups.setdefault(kept.label, []).append(kept)
    return groups


def by_validation(runs: list[KeptRun]) -> list[str]:
    """Labels of runs under one protocol, best valid metric first: sorting by test is peeking.

    A label's metric is the mean over its seeds; one without it comes last.
    """
    metric = runs[0].valid_metric
    sign = 1 if metric.partition("@")[0] in SMALLER_IS_BETTER else -1

    def place(own: list[KeptRun]):
        scores = [kept.result["valid"].get(metric) for kept in own]
        known = None not in scores
        return (not known, sign * mean(scores) if known else 0)

    groups = by_label(runs)
    return sorted(groups, key=lambda label: place(groups[label]))


def still_rising(runs: list[KeptRun]) -> set[str]:
    """Labels with a run whose best evaluation was its last, when its budget ended."""
    return {kept.label for kept in runs if kept.converged is False}
