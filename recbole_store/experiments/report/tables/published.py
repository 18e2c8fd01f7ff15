"""Figures that others published for a data set, to stand below one's own."""

from __future__ import annotations

from recbole_store.errors import SettingsError
from recbole_store.experiments.report.tables.layout import Table
from recbole_store.settings.property_files import properties_folder, read_properties

_KEYS = {"model", "recall@10", "ndcg@10", "filtered", "source"}
_FILTERED = {True: "yes", False: "no", None: "not said"}


def published_figures(dataset: str) -> list[dict]:
    """The entries of ``properties/published/<dataset>.yaml``; none where there is no such file.

    Raises:
        SettingsError: an entry has other keys than the table shows, or a figure that is none.
    """
    path = properties_folder() / "published" / f"{dataset}.yaml"
    if not path.is_file():
        return []
    entries = read_properties(path).get("figures", [])
    for entry in entries:
        if set(entry) != _KEYS:
            raise SettingsError(f"{path}: an entry needs {', '.join(sorted(_KEYS))}, not {entry}.")
        for key in ("recall@10", "ndcg@10"):
            if entry[key] is not None and not 0 < entry[key] < 1:
                raise SettingsError(f"{path}: {key} of {entry['model']} is no share: {entry[key]}.")
        if entry["filtered"] not in _FILTERED:
            raise SettingsError(f"{path}: `filtered` of {entry['model']} must be a bool or null.")
    return entries


HEADER = ["model", "from", "history filtered", "Recall@10", "NDCG@10"]
NOTE = "Measured by others, under conditions that may differ; filtering alone moves figures."


def published_rows(dataset: str) -> list[list[str]]:
    """Published figures under :data:`HEADER`, best NDCG@10 first; none where none are known."""
    return [
        [e["model"], e["source"], _FILTERED[e["filtered"]], _share(e["recall@10"])]
        + [_share(e["ndcg@10"])]
        for e in sorted(published_figures(dataset), key=lambda e: -(e["ndcg@10"] or 0))
    ]


def published_table(dataset: str) -> Table | None:
    """Published figures as a table for README and terminal; None where none are known."""
    rows = published_rows(dataset)
    if not rows:
        return None
    return Table(f"{dataset}: published figures", HEADER, rows, [NOTE], n_text_columns=3)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
