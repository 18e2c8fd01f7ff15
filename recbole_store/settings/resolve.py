"""Settings of a run: merged and checked before anything heavy starts."""

from __future__ import annotations

from pathlib import Path

from recbole_store.errors import SettingsError
from recbole_store.settings.checks import check_rules
from recbole_store.settings.dataset_files import (
    check_columns,
    check_dataset,
    check_value_filters,
    item_features,
)
from recbole_store.settings.dataset_name import check_dataset_name
from recbole_store.settings.declared import Declared
from recbole_store.settings.defaults import plugin_defaults, recbole_defaults
from recbole_store.settings.evaluation_rules import check_evaluation
from recbole_store.settings.keys import check_keys, declared_keys
from recbole_store.settings.named_columns import check_named_columns, different_names
from recbole_store.settings.profile import Profile
from recbole_store.settings.property_files import (
    PLUGIN_MODELS,
    TOKENIZED_MODELS,
    model_folders,
    nearest,
    parse_value,
    read_properties,
    variant_file,
)


def resolve(
    model: str,
    dataset: str,
    files: list[Path],
    typed: dict[str, str],
    models: list[str] | None = None,
    profile: Profile | None = None,
    variant: str = "",
) -> dict:
    """Merge and check everything one model's run is told; the result is RecBole's config_dict.

    Later wins: RecBole's defaults, the plugin's defaults, profile, variant, property files in
    order, typed values.

    Args:
        files: property files given by the user.
        typed: keys and texts from the command line.
        models: all models of the comparison; a key of any of them may be set, and those of others
            than this model are left out.
        profile: STORE's settings; baselines take its history length alone.
        variant: named settings of the model, :func:`variant_file`.

    Raises:
        SettingsError: for the first thing that is wrong.
    """
    check_models(models or [model])
    check_dataset_name(dataset)
    merged = _merged(model, dataset, files, typed, models, profile, variant)
    everything = {**recbole_defaults(model, dataset), **merged}
    check_rules(everything)
    check_evaluation(model, everything)
    folder = check_dataset(everything, dataset)
    check_columns(everything, dataset, folder)
    if said := different_names(everything):
        raise SettingsError(said)
    check_named_columns(everything, dataset, folder)
    check_value_filters(everything, dataset, folder)
    if "selected_features" in recbole_defaults(model, dataset):  # of models such as SASRecF
        merged.update(item_features(everything, dataset, folder))
    return merged | set_by_code(model, everything)


def unchecked(
    model: str,
    dataset: str,
    files: list[Path],
    typed: dict[str, str],
    models: list[str] | None = None,
) -> dict:
    """What a run is told, with RecBole's defaults, before anything is compared with anything else.

    A profile that is yet to be chosen may be what makes it fit.
    """
    check_models(models or [model])
    return {
        **recbole_defaults(model, dataset),
        **_merged(model, dataset, files, typed, models, None, ""),
    }


def _merged(
    model: str,
    dataset: str,
    files: list[Path],
    typed: dict[str, str],
    models: list[str] | None,
    profile: Profile | None,
    variant: str,
) -> dict:
    # A name that several models use means what it means to this one.
    own, known = declared_keys([model]), declared_keys([*(models or []), model])
    whose = f" for {model}" if len(models or []) > 1 else ""
    given: dict = {}
    for place, part in [*_sources(model, profile, variant, files), ("", _read(typed, known))]:
        check_keys(part, known, place, whose)
        given.update({key: value for key, value in part.items() if key in own})
    merged = plugin_defaults(model, dataset, given.get("data_path", "dataset"))
    eval_args = {**merged["eval_args"], **given.get("eval_args", {})}  # a part may be set alone
    merged.update(given, eval_args=eval_args)
    return merged


def check_models(models: list[str]) -> None:
    """Raises SettingsError for a name that neither RecBole nor the plugin knows."""
    folders = model_folders()
    for name in models:
        if name not in folders:
            raise SettingsError(
                f"Unknown model `{name}`{nearest(name, folders)}; known: "
                f"{', '.join(sorted(folders))}."
            )


def _sources(model: str, profile: Profile | None, variant: str, files: list[Path]):
    """What property files hold, in order, each behind what an error calls it."""
    if profile:
        yield profile.place, profile.of_model(model)
    for path in [*([variant_file(model, variant)] if variant else []), *files]:
        yield f" in {path}", read_properties(path)


def _read(typed: dict[str, str], known: dict[str, Declared]) -> dict:
    """Values of what was typed; unknown keys are refused later."""
    return {
        key: parse_value(text, key in known and known[key].is_text) for key, text in typed.items()
    }


def set_by_code(model: str, settings: dict) -> dict:
    """What follows from other settings.

    Args:
        settings: with RecBole's defaults.
    """
    found = {}
    sequential = model_folders()[model] == "sequential_recommender"
    if model in PLUGIN_MODELS or (sequential and settings.get("loss_type") == "CE"):
        # Our models take no negative samples. With a full softmax RecBole refuses its own default.
        found["train_neg_sample_args"] = None
    if model in TOKENIZED_MODELS:
        found["transform"] = "user_defined"  # attaches the semantic IDs to every batch
    return found
