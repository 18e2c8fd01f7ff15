"""Keys that name columns of a data set's files, compared with those that are there and loaded.

RecBole leaves some of what it does not find out without a word, and fails over the rest in its own.
"""

from __future__ import annotations

from pathlib import Path

from recbole_store.errors import SettingsError
from recbole_store.settings.dataset_files import columns_of, interaction_files
from recbole_store.settings.property_files import nearest

# Files that every model may read; those of additional_feat_suffix come to them.
_FILES = ("inter", "item", "user", "kg", "link", "net")
_ALIASES = ("user_id", "item_id", "entity_id", "relation_id")
# Key -> what the columns must be that it names; nothing: any.
_NAMING = {
    "threshold": "float",
    "numerical_features": "float",
    "normalize_field": "float",
    "discretization": "float",
    "seq_len": "seq",
    **{f"alias_of_{name}": "token" for name in _ALIASES},
}


def check_named_columns(settings: dict, dataset: str, folder: Path) -> None:
    """Columns that settings name must be in the files, be loaded, and be of their kind.

    Args:
        settings: with RecBole's defaults.
        folder: of the dataset's atomic files.

    Raises:
        SettingsError: naming key and column, and what there is.
    """
    more = settings.get("additional_feat_suffix") or []
    more = [more] if isinstance(more, str) else more
    for suffix in more:
        if not (folder / f"{dataset}.{suffix}").is_file():
            raise SettingsError(
                f"`additional_feat_suffix` names {suffix}, but {folder / dataset}.{suffix} is not "
                "there."
            )
    suffixes = [*_FILES, *more]
    there = {suffix: _columns(settings, dataset, folder, suffix) for suffix in suffixes}
    for key in ("load_col", "unload_col", "unused_col"):
        for suffix, names in (settings.get(key) or {}).items():
            if key == "load_col" and names == "*" and suffix in there:
                continue
            if suffix in there and not isinstance(names, (list, tuple)):
                raise SettingsError(
                    f'`{key}` is {names!r} for {suffix}, but must be a list of columns, or "*".'
                )
            path = folder / f"{dataset}.{suffix}"
            if not there.get(suffix):
                raise SettingsError(f"`{key}` names columns of {path}, which is not there.")
            for name in names:
                _check_there(key, name, there[suffix], path)
    loaded: dict[str, str] = {}
    for suffix, columns in there.items():
        loaded |= _loaded(settings, suffix, columns)
    _check_needed(settings, loaded)
    for key, kind in _NAMING.items():
        for name in settings.get(key) or ():
            _check_there(key, name, loaded, f"what is loaded of {folder}")
            if kind not in loaded[str(name)]:
                raise SettingsError(
                    f"`{key}` names `{name}:{loaded[str(name)]}`, but needs a column of {kind}s."
                )
    for name in settings.get("discretization") or ():
        if name not in (settings.get("numerical_features") or ()):
            raise SettingsError(
                f"`discretization` names `{name}`, which has to be among `numerical_features` too."
            )
    for pair in (settings.get("preload_weight") or {}).items():
        for name in pair:
            _check_there("preload_weight", name, loaded, f"what is loaded of {folder}")
    if settings.get("threshold") is not None and len(settings["threshold"]) != 1:
        raise SettingsError(
            f"`threshold` is {settings['threshold']!r}, but must be one column and its number, "
            "such as {rating: 4}."
        )


def _columns(settings: dict, dataset: str, folder: Path, suffix: str) -> dict[str, str]:
    """Columns of the file, or files, with a suffix, and their types."""
    found: dict[str, str] = {}
    paths = [folder / f"{dataset}.{suffix}"]
    if suffix == "inter":
        paths = interaction_files(settings, dataset, folder)
    for path in paths:
        found |= columns_of(path, settings)
    return found


def _loaded(settings: dict, suffix: str, columns: dict[str, str]) -> dict[str, str]:
    """Those that RecBole reads.

    Example: load_col {inter: [user_id]} -> user_id of inter, and none of item
    """
    wanted = settings.get("load_col")
    names = "*" if wanted is None else wanted.get(suffix, ())
    left_out = (settings.get("unload_col") or {}).get(suffix, ())
    return {
        name: kind
        for name, kind in columns.items()
        if (names == "*" or name in map(str, names)) and name not in map(str, left_out)
    }


def _check_there(key: str, name, columns: dict[str, str], place) -> None:
    if str(name) not in columns:
        raise SettingsError(
            f"`{key}` names `{name}`, which {place} does not have{nearest(str(name), columns)}; "
            f"there are {', '.join(columns)}."
        )


def _check_needed(settings: dict, loaded: dict[str, str]) -> None:
    """Users, items and, where they order the rows, times must not be taken away."""
    needed = ["USER_ID_FIELD", "ITEM_ID_FIELD"]
    unused = (settings.get("unused_col") or {}).get("inter", ())
    for key in needed:
        if settings[key] in map(str, unused):
            raise SettingsError(f"`unused_col` has `{settings[key]}` (`{key}`), which is needed.")
    if settings["eval_args"]["order"] == "TO" and not settings.get("benchmark_filename"):
        needed.append("TIME_FIELD")
    for key in needed:
        if str(settings[key]) not in loaded:
            raise SettingsError(f"`unload_col` has `{settings[key]}` (`{key}`), which is needed.")
    if settings["TIME_FIELD"] in (settings.get("threshold") or ()) and "TIME_FIELD" in needed:
        raise SettingsError(
            f"`threshold` turns `{settings['TIME_FIELD']}` into labels, but it is needed as times."
        )


# What RecBole adds to the columns that are there.
_MADE = ("ITEM_LIST_LENGTH_FIELD", "POSITION_FIELD")


def different_names(settings: dict) -> str | None:
    """Columns of different meaning need different names, and so do those that RecBole adds."""
    keys = ("USER_ID_FIELD", "ITEM_ID_FIELD", "TIME_FIELD", "LABEL_FIELD", *_MADE)
    names = {f"`{key}`": settings[key] for key in keys}
    item, user = settings["ITEM_ID_FIELD"], settings["USER_ID_FIELD"]
    for key in ("LIST_SUFFIX", "NEG_PREFIX"):
        for name in (item, user):
            made = name + settings[key] if key == "LIST_SUFFIX" else settings[key] + name
            names[f"`{key}` with {name}"] = made
    taken: dict[str, str] = {}
    for said, name in names.items():
        if name in taken:
            return f"{said} and {taken[name]} are both `{name}`: two columns cannot have one name."
        taken[name] = said
    return None
