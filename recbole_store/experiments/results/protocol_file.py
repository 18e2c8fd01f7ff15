"""protocol.json: under which conditions the figures were measured, data set by data set."""

from __future__ import annotations

from recbole_store.experiments.results import significance, slices
from recbole_store.experiments.results.kept_run import KeptRun

# What no setting changes.
FIXED = {
    "metrics": (
        "RecBole's evaluator, mean over test users with one target each; from ranks where a slice "
        "or more than four decimals are wanted"
    ),
    "unfiltered": "every item of the catalogue is a candidate, those of the user's history too",
    "filtered": "items of the user's history are no candidates, but the target always is",
    "ties": "items with equal scores in the order in which torch.topk gives them, for every model",
    "truncation": (
        "a model reads the last `max_item_list_length` items of a history; history lengths are "
        "counted before that"
    ),
    "selection": "the epoch with the best valid metric is tested; test figures choose nothing",
    "converged": (
        "early stopping ended the training, or an evaluation after the best one was worse; if the "
        "best was the last, it was still rising when its budget or its planned schedule ended"
    ),
    "families": significance.FAMILIES,
    "slices": slices.DEFINITIONS,
}

# Settings that belong to the protocol; what is not set is left out.
_SETTINGS = ("cold_items", "max_hours", "filter_training")
_OF_A_RUN = ("protocol_hash", "result_version", "git_commit", "versions", "hardware")


def conditions(runs: list[KeptRun]) -> dict:
    """What holds for all runs of each data set, and what for one run alone.

    Returns:
        ``fixed``; ``datasets``: name -> the protocol's entries that all its runs share, the data's
        checksums, the slices' bounds; ``runs``: ``dataset/stem`` -> the rest.
    """
    by_dataset: dict[str, list[KeptRun]] = {}
    for kept in runs:
        by_dataset.setdefault(kept.run.dataset, []).append(kept)
    content = {"fixed": FIXED, "datasets": {}, "runs": {}}
    for dataset, of_dataset in by_dataset.items():
        terms = [_terms(kept) for kept in of_dataset]
        shared = _shared(terms)
        content["datasets"][dataset] = shared
        for kept, own in zip(of_dataset, terms, strict=True):
            run, result = kept.run, kept.result
            of_run = {"label": run.label, "seed": run.seed}
            of_run |= {key: result[key] for key in _OF_A_RUN if key in result}
            of_run["converged"] = kept.converged
            of_run |= {key: value for key, value in own.items() if key not in shared}
            content["runs"][f"{dataset}/{run.stem}"] = of_run
    return content


def _terms(kept: KeptRun) -> dict:
    result = kept.result
    terms = {**result["protocol"], "valid_metric": result["valid_metric"]}
    settings = result.get("hashed_settings", {})
    terms |= {key: settings[key] for key in _SETTINGS if key in settings}
    if "data_sha256" in result:
        terms["data_sha256"] = result["data_sha256"]
    if kept.arrays is not None:
        terms["users_digest"] = kept.users_digest
        terms["slice_bounds"] = slice_bounds(kept)
    return terms


def slice_bounds(kept: KeptRun) -> dict[str, str]:
    """Slice -> which users of a run with ranks it holds."""
    head, mid = slices.popularity_bounds(kept.arrays["item_counts"])
    short, medium = slices.history_bounds(kept.arrays["history_lengths"])
    return {
        "target=head": f"at least {head} training interactions",
        "target=mid": f"at least {mid}",
        "target=tail": f"less than {mid}",
        "history=short": f"at most {short} items",
        "history=medium": f"at most {medium}",
        "history=long": f"more than {medium}",
    }


def _shared(terms: list[dict]) -> dict:
    """Entries that all runs have alike."""
    first, *others = terms
    return {
        key: value
        for key, value in first.items()
        if all(own.get(key, ...) == value for own in others)
    }
