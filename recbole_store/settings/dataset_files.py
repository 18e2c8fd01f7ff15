"""What settings say of a data set's files, compared with the first lines of these."""

from __future__ import annotations

import codecs
from collections import Counter
from pathlib import Path

from recbole_store.errors import SettingsError
from recbole_store.settings.dataset_name import check_dataset_name
from recbole_store.settings.declared import is_interval
from recbole_store.settings.property_files import nearest, recbole_folder


def check_dataset(settings: dict, dataset: str) -> Path:
    """The folder of the dataset's atomic files, once its .inter is known to be there.

    Raises:
        SettingsError: naming the missing folder or file and the datasets that are there.
    """
    check_dataset_name(dataset)
    if dataset == "ml-100k":
        folder = recbole_folder() / "dataset_example" / "ml-100k"
    else:
        folder = Path(settings["data_path"]) / dataset
    if not folder.is_dir():
        parent = Path(settings["data_path"])
        local = sorted(p.name for p in parent.iterdir() if p.is_dir()) if parent.is_dir() else []
        names = sorted({*local, "ml-100k"})
        raise SettingsError(
            f"No dataset `{dataset}` in {parent}{nearest(dataset, names)}: there are "
            f"{', '.join(names)}; `data_path` names another folder."
        )
    try:
        codecs.lookup(_encoding(settings))
    except LookupError as error:
        raise SettingsError(f"`encoding` is {settings['encoding']}, which is unknown.") from error
    for path in interaction_files(settings, dataset, folder):
        if not path.is_file():
            raise SettingsError(f"The dataset {dataset} has no interactions: {path} is missing.")
        try:
            with path.open(encoding=_encoding(settings), errors="replace") as lines:
                first, second = lines.readline(), lines.readline()
        except (OSError, LookupError, UnicodeError) as error:
            said = getattr(error, "strerror", None) or f"`encoding` is {_encoding(settings)}"
            raise SettingsError(f"Cannot read {path}: {said} ({error}).") from error
        if not first.strip() or not second.strip():
            raise SettingsError(f"The dataset {dataset} has no interactions: {path} is empty.")
    return folder


def interaction_files(settings: dict, dataset: str, folder: Path) -> list[Path]:
    """The .inter, or the benchmark files in its place."""
    parts = settings.get("benchmark_filename")
    names = [f"{dataset}.{part}.inter" for part in parts] if parts else [f"{dataset}.inter"]
    return [folder / name for name in names]


def _encoding(settings: dict) -> str:
    return settings.get("encoding") or "utf-8"


def columns_of(path: Path, settings: dict) -> dict[str, str]:
    """Columns of an atomic file and their types; none where there is no file.

    Example: a first line "item_id:token<tab>price:float" -> {"item_id": "token", "price": "float"}
    """
    return dict(_first_line(path, settings)) if path.is_file() else {}


def _first_line(path: Path, settings: dict) -> list[tuple[str, str]]:
    with path.open(encoding=_encoding(settings), errors="replace") as lines:
        fields = lines.readline().rstrip("\r\n").split(settings["field_separator"])
    return [(name, kind) for name, _, kind in (field.partition(":") for field in fields)]


def check_columns(settings: dict, dataset: str, folder: Path) -> None:
    """Users, items and, where they order the rows, times must be there, and of their types.

    Args:
        settings: with RecBole's defaults.

    Raises:
        SettingsError: naming the column and what the file has.
    """
    is_split = bool(settings.get("benchmark_filename"))  # by whoever made the files
    needed = {"USER_ID_FIELD": "token", "ITEM_ID_FIELD": "token"}
    if settings["eval_args"]["order"] == "TO" and not is_split:
        needed["TIME_FIELD"] = "float"
    if "labeled" in str(settings["eval_args"].get("mode")) and not settings.get("threshold"):
        needed["LABEL_FIELD"] = "float"
    loaded = (settings.get("load_col") or {}).get("inter")
    for path in interaction_files(settings, dataset, folder):
        fields = _first_line(path, settings)
        columns = dict(fields)
        if twice := [name for name, n in Counter(name for name, _ in fields).items() if n > 1]:
            raise SettingsError(
                f"{path}, line 1: the column `{twice[0]}` is named twice; leave one of them out."
            )
        for name, kind in columns.items():
            if kind not in _TYPES:
                has = f"the type {kind!r}" if kind else "no type"
                raise SettingsError(
                    f"{path}, line 1: `{name}` has {has}; the first line names columns as "
                    "NAME:TYPE, such as user_id:token, separated as `field_separator` says, and "
                    f"types are {', '.join(_TYPES)}."
                )
        for key, kind in needed.items():
            name = settings[key]
            if name not in columns:
                raise SettingsError(
                    f"{path} has no column `{name}` (`{key}`){nearest(str(name), columns)}; it has "
                    f"{', '.join(columns)}{_WITHOUT.get(key, '')}."
                )
            if columns[name] != kind:
                raise SettingsError(
                    f"{path} has `{name}:{columns[name]}`, but `{key}` must be {kind}: write "
                    f"{name}:{kind} into its first line."
                )
            if isinstance(loaded, list) and name not in loaded:
                raise SettingsError(
                    f"`load_col` loads {', '.join(map(str, loaded))} of {path}, but `{name}` "
                    f"(`{key}`) is needed as well."
                )


_TYPES = ("token", "float", "token_seq", "float_seq")  # RecBole's
# What to do without a column.
_WITHOUT = {
    "TIME_FIELD": (
        "; the order TO needs times, and without them general models can be tested with "
        "`eval_args: {order: RO}`"
    ),
    "LABEL_FIELD": (
        "; the mode labeled needs labels, which `threshold` can make of ratings, such as "
        "{rating: 4}"
    ),
}


def check_value_filters(settings: dict, dataset: str, folder: Path) -> None:
    """``val_interval`` must fit its columns: what RecBole cannot read filters nothing.

    Args:
        settings: with RecBole's defaults.

    Raises:
        SettingsError: naming the column, and what it needs.
    """
    filters = settings.get("val_interval") or {}
    if not filters:
        return
    types: dict[str, str] = {}
    others = [folder / f"{dataset}.{part}" for part in ("item", "user")]
    for path in [*interaction_files(settings, dataset, folder), *others]:
        types.update(columns_of(path, settings))
    for column, wanted in filters.items():
        said = f"`val_interval` has {wanted!r} for {column}, "
        if column not in types:
            raise SettingsError(f"{said}but {folder} has no such column{nearest(column, types)}.")
        if types[column].startswith("float"):
            if not is_interval(wanted):
                raise SettingsError(f'{said}but needs an interval in quotes, such as "[3,inf)".')
        elif not isinstance(wanted, list):
            raise SettingsError(f"{said}a column of tokens, but needs a list of those that stay.")


def item_features(settings: dict, dataset: str, folder: Path) -> dict:
    """What a model that reads item columns (``selected_features``), as SASRecF does, has to load.

    Texts are read by the tokenizer itself, so data sets' ``load_col`` names interactions alone.

    Args:
        settings: with RecBole's defaults.
        folder: of the dataset's atomic files.

    Returns:
        ``load_col`` with these columns, and ``item_inter_num_interval``.

    Raises:
        SettingsError: the dataset's .item lacks such a column.
    """
    item_id = settings["ITEM_ID_FIELD"]
    wanted = settings["selected_features"] or []
    path = folder / f"{dataset}.item"
    there = [name for name in columns_of(path, settings) if name != item_id]
    missing = [name for name in wanted if name not in there]
    if missing or not wanted:
        raise SettingsError(
            f"`selected_features` names the item columns that the model reads, here "
            f"{', '.join(wanted) or 'none'}; {path} has {', '.join(there) or 'none'}."
        )
    columns = settings["load_col"]
    loaded = "*" if columns is None else columns.get("item", [])
    if loaded != "*":
        columns = {**columns, "item": list(dict.fromkeys([item_id, *loaded, *wanted]))}
    # Items of the .item file without interactions would be candidates for this model alone.
    interval = settings["item_inter_num_interval"]
    return {
        "load_col": columns,
        "item_inter_num_interval": "[1,inf)" if interval in (None, "[0,inf)") else interval,
    }
