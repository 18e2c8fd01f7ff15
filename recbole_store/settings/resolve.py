"""Settings of a run: merged and checked before anything heavy starts."""

from __future__ import annotations

import codecs
from pathlib import Path

from recbole_store.errors import SettingsError
from recbole_store.settings.checks import (
    NEVER_NULL,
    RANGES,
    check_eval_args,
    check_item_text,
    check_ranges,
    check_tokenizer,
    check_type,
)
from recbole_store.settings.property_files import (
    PLUGIN_MODELS,
    TOKENIZED_MODELS,
    known_types,
    model_folders,
    nearest,
    parse_value,
    plugin_defaults,
    read_properties,
    recbole_folder,
    variant_file,
)


def check_dataset(settings: dict, dataset: str) -> Path:
    """The folder of the dataset's atomic files, once its .inter is known to be there.

    Raises:
        SettingsError: naming the missing folder or file and the datasets that are there.
    """
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
        codecs.lookup(settings.get("encoding") or "utf-8")
    except LookupError as error:
        raise SettingsError(f"`encoding` is {settings['encoding']}, which is unknown.") from error
    parts = settings.get("benchmark_filename")
    files = [f"{dataset}.{p}.inter" for p in parts] if parts else [f"{dataset}.inter"]
    for name in files:
        path = folder / name
        if not path.is_file():
            raise SettingsError(f"The dataset {dataset} has no interactions: {path} is missing.")
        with path.open(encoding=settings.get("encoding") or "utf-8", errors="replace") as lines:
            if not lines.readline().strip() or not lines.readline().strip():
                raise SettingsError(f"The dataset {dataset} has no interactions: {path} is empty.")
    return folder


def with_recbole_defaults(model: str, settings: dict) -> dict:
    """Settings with RecBole's defaults, general and of the model, for keys that they leave open."""
    everything = dict(read_properties(recbole_folder() / "properties" / "overall.yaml"))
    theirs = recbole_folder() / "properties" / "model" / f"{model}.yaml"
    if theirs.is_file() and model not in PLUGIN_MODELS:
        everything.update(read_properties(theirs))
    return {**everything, **settings}


def item_features(model: str, everything: dict, dataset: str, folder: Path) -> dict:
    """What a model that reads item columns (``selected_features``), as SASRecF does, has to load.

    Texts are read by the tokenizer itself, so data sets' ``load_col`` names interactions alone.

    Args:
        everything: settings with RecBole's defaults.
        folder: of the dataset's atomic files.

    Returns:
        ``load_col`` with these columns, and ``item_inter_num_interval``; nothing for other models.

    Raises:
        SettingsError: the dataset's .item lacks such a column.
    """
    if "selected_features" not in with_recbole_defaults(model, {}):
        return {}
    format_of = read_properties(recbole_folder() / "properties" / "dataset" / "sample.yaml")
    # Items of the .item file without interactions would be candidates for this model alone.
    interval = everything.get("item_inter_num_interval") or "[1,inf)"
    everything = {**format_of, **everything}
    item_id = everything["ITEM_ID_FIELD"]
    wanted = everything["selected_features"] or []
    path = folder / f"{dataset}.item"
    header = []
    if path.is_file():
        with path.open(encoding=everything.get("encoding") or "utf-8", errors="replace") as lines:
            header = lines.readline().rstrip("\r\n").split(everything["field_separator"])
    there = [name for field in header if (name := field.split(":")[0]) != item_id]
    missing = [name for name in wanted if name not in there]
    if missing or not wanted:
        raise SettingsError(
            f"{model} reads item columns that `selected_features` names, here "
            f"{', '.join(wanted) or 'none'}; {path} has {', '.join(there) or 'none'}."
        )
    columns = everything["load_col"]
    loaded = "*" if columns is None else columns.get("item", [])
    if loaded != "*":
        columns = {**columns, "item": list(dict.fromkeys([item_id, *loaded, *wanted]))}
    return {"load_col": columns, "item_inter_num_interval": interval}


def resolve(
    model: str,
    dataset: str,
    files: list[Path],
    typed: dict[str, str],
    models: list[str] | None = None,
    profile: Path | None = None,
    variant: str = "",
) -> dict:
    """Merge and check everything one model's run is told; the result is RecBole's config_dict.

    Later wins: RecBole's defaults, the plugin's defaults, profile, variant, property files in
    order, typed values.

    Args:
        files: property files given by the user.
        typed: keys and texts from the command line.
        models: all models of the comparison; a key of any of them may be set.
        profile: property file of STORE's settings; baselines take its history length alone.
        variant: named settings of the model, :func:`variant_file`.

    Raises:
        SettingsError: for the first thing that is wrong.
    """
    folders = model_folders()
    for name in models or [model]:
        if name not in folders:
            raise SettingsError(
                f"Unknown model `{name}`{nearest(name, folders)}; known: "
                + ", ".join(sorted(folders))
                + "."
            )
    given = read_properties(profile) if profile else {}
    if model != "STORE":
        given = {key: value for key, value in given.items() if key == "MAX_ITEM_LIST_LENGTH"}
    if variant:
        given.update(read_properties(variant_file(model, variant)))
    for path in files:
        given.update(read_properties(path))
    types = known_types(models or [model], dataset)
    given.update({key: parse_value(text, types.get(key, "")) for key, text in typed.items()})
    for key, value in given.items():
        if key not in types:
            raise SettingsError(f"Unknown property `{key}`{nearest(key, types)}.")
        check_type(key, value, types[key], none_allowed=key not in NEVER_NULL)

    merged = plugin_defaults(model, dataset, given.get("data_path", "dataset"))
    protocol_eval_args = merged["eval_args"]
    merged.update(given)
    if not isinstance(merged["eval_args"], dict):
        raise SettingsError(f"`eval_args` is {merged['eval_args']!r}, but must be a dict.")
    merged["eval_args"] = {**protocol_eval_args, **merged["eval_args"]}
    check_eval_args(merged["eval_args"])
    check_item_text(merged.get("item_text"))
    everything = with_recbole_defaults(model, merged)
    # A baseline may use a name of STORE's for something else: its own defaults are its own affair.
    check_ranges({k: v for k, v in everything.items() if k not in RANGES or k in merged})
    if model in TOKENIZED_MODELS:
        check_tokenizer(model, merged["tokenizer"])
    folder = check_dataset(everything, dataset)
    merged.update(item_features(model, everything, dataset, folder))
    sequential = folders[model] == "sequential_recommender"
    if sequential and everything.get("loss_type") == "CE":
        # RecBole refuses its own default of negative sampling beside a full softmax.
        merged["train_neg_sample_args"] = None
    return merged
