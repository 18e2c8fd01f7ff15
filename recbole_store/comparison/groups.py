"""Which kept runs belong together: of one protocol, of the same test users, of one label."""

from __future__ import annotations

import json

from recbole_store.comparison.kept_run import KeptRun


def comparable_groups(runs: list[KeptRun]) -> list[list[KeptRun]]:
    """Runs in groups of one data set, protocol and valid metric, in order.

    The length of the history is a model's own choice.
    """
    groups: dict[str, list[KeptRun]] = {}
    for kept in runs:
        result = kept.result
        protocol = {k: v for k, v in result["protocol"].items() if k != "max_item_list_length"}
        cold = result.get("hashed_settings", {}).get("cold_items")
        terms = [result["dataset"], result["valid_metric"].lower(), protocol, cold]
        groups.setdefault(json.dumps(terms, sort_keys=True), []).append(kept)
    return list(groups.values())


def same_users(runs: list[KeptRun]) -> list[list[KeptRun]]:
    """Runs with ranks, in groups that were tested on the same users and targets, largest first."""
    groups: dict[str, list[KeptRun]] = {}
    for kept in runs:
        if kept.arrays is not None:
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
