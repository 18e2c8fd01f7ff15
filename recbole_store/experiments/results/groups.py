"""Which kept runs belong together: of one protocol, of the same test users, of one label."""

from __future__ import annotations

import hashlib
import json

from recbole_store.experiments.results.kept_run import KeptRun


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
    terms["valid_metric"] = kept.result["valid_metric"].lower()
    if "data_sha256" in kept.result:
        files = json.dumps(kept.result["data_sha256"], sort_keys=True)
        terms["data"] = hashlib.sha256(files.encode()).hexdigest()[:8]
    if kept.cold_share:
        terms = {k: v for k, v in terms.items() if k != "n_test"} | {"cold_items": kept.cold_share}
    return terms


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


def unconverged(groups: dict[str, list[KeptRun]]) -> set[str]:
    """Labels with a run that ended before its early stopping."""
    return {
        label
        for label, runs in groups.items()
        if any(r.result.get("converged") is False for r in runs)
    }
