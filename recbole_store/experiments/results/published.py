"""Figures that others published for a data set: ``properties/published/<dataset>.yaml``."""

from __future__ import annotations

from recbole_store.errors import SettingsError
from recbole_store.settings.property_files import properties_folder, read_properties

_KEYS = {"model", "recall@10", "ndcg@10", "filtered", "source"}


def published_figures(dataset: str) -> list[dict]:
    """The entries of a data set's file, best NDCG@10 first; none where there is no such file.

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
        if entry["filtered"] not in (True, False, None):
            raise SettingsError(f"{path}: `filtered` of {entry['model']} must be a bool or null.")
    return sorted(entries, key=lambda entry: -(entry["ndcg@10"] or 0))
