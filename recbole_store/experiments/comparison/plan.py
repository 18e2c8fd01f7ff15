"""Which runs a comparison consists of, and in what order."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from recbole_store.errors import SettingsError
from recbole_store.experiments.results.run_key import Run
from recbole_store.settings.property_files import is_path, variant_name


def parse_labels(text: str) -> list[tuple[str, str]]:
    """Example: ``"STORE,SASRec:tuned"`` -> [("STORE", ""), ("SASRec", "tuned")]

    A variant may be a property file, ``STORE:my/wide.yaml``; it is called ``wide``.

    Raises:
        SettingsError: no label, one twice, or one without a name on either side of its colon.
    """
    pairs = []
    for label in filter(None, map(str.strip, text.split(","))):
        model, colon, variant = label.partition(":")
        if not model or (colon and not variant):
            raise SettingsError(f"--model={text}: `{label}` is neither MODEL nor MODEL:variant.")
        pairs.append((model, variant))
    named = {(model, variant_name(model, variant)) for model, variant in pairs}
    if not pairs or len(named) < len(pairs):
        raise SettingsError(f"--model={text}: name each model, or MODEL:variant, once.")
    return pairs


def parse_datasets(text: str) -> list[str]:
    """Example: ``"ml-100k,Beauty"`` -> ["ml-100k", "Beauty"]"""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise SettingsError(f"--dataset={text}: name each dataset once.")
    for name in names:
        if name in (".", "..") or set(name) & set("/\\\0"):  # folders of runs and results
            raise SettingsError(
                f"--dataset={text}: `{name}` is a path, no name; --data_path names the folder that "
                "the data set lies in."
            )
    return names


def plan(
    labels: list[tuple[str, str]], datasets: list[str], first_seed: int, n_seeds: int
) -> list[Run]:
    """All runs, everything with the first seed before anything with the next.

    So a comparison that is cut short is one of all labels with fewer seeds.
    """
    return [
        Run(
            dataset,
            model,
            variant_name(model, variant),
            seed,
            variant if is_path(variant) else "",
        )
        for seed in range(first_seed, first_seed + n_seeds)
        for dataset in datasets
        for model, variant in labels
    ]


def new_run_dir(parent: Path, run: Run) -> Path:
    """A folder name that no earlier run has, even one started in the same second."""
    label = run.label.replace(":", "-")
    stem = f"{label}-{run.dataset}-seed{run.seed}-{datetime.now():%Y%m%d-%H%M%S}"
    candidate, count = parent / stem, 1
    while candidate.exists():
        count += 1
        candidate = parent / f"{stem}-{count}"
    try:
        candidate.mkdir(parents=True)
    except OSError as error:
        raise SettingsError(
            f"Cannot make the folder {candidate}: {error.strerror}; name another parent with "
            "--checkpoint_dir."
        ) from error
    return candidate
