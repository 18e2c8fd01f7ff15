"""Names of data sets: each is the name of a folder and of the files in it."""

from __future__ import annotations

from recbole_store.errors import SettingsError

LONGEST = 100  # bytes, so that endings and the names of runs still fit into a file's name


def check_dataset_name(name: str) -> None:
    """Refuse a name that would lead out of its folder, or that no command line could name.

    Raises:
        SettingsError: naming it.
    """
    leads_out = name in ("", ".", "..") or any(mark in name for mark in "/\\\0")
    odd = name.startswith((".", "-")) or name != name.strip() or not name.isprintable()
    if leads_out or odd or "," in name or len(name.encode("utf-8", "replace")) > LONGEST:
        raise SettingsError(
            f"{name[:LONGEST]!r} cannot be the name of a data set, which names its folder and "
            f"files: at most {LONGEST} bytes, no slashes, commas and control characters, no dot or "
            "hyphen at the start; `data_path` names the folder around it."
        )
