"""Which keys a run may set, and what each may hold.

A key exists because a property file of RecBole or of this package lists it. What it may hold stands
in the comment beside it there, :mod:`recbole_store.settings.declared`, and nowhere else.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from recbole_store.errors import SettingsError
from recbole_store.settings.declared import ANYTHING, Declared, comment_of
from recbole_store.settings.property_files import (
    PLUGIN_MODELS,
    nearest,
    properties_folder,
    read_properties,
    recbole_folder,
)

_KEY = re.compile(r"^([\w-]+):")

# Former keys, and what they have become.
RENAMED = {
    "n_levels": "n_slots",
    "max_text_words": "max_text_tokens",
    "item_weight": "item_head_weight",
    "fusion": "item_head_share",
    "item_input": "item_vector_size",
    "code_dropout": "dropout",
    "hidden_dropout": "dropout",
    "own_vector_dropout": "dropout",
}

# Words of the command line that are no properties.
_WORDS = ("model", "dataset", "seeds", "config_files", "profile", "run_dir", "resume", "beside")
_WORDS += ("results", "again", "replace")

# Keys of a data set's own file besides those of RecBole's properties/dataset/sample.yaml, which
# name columns, separators and filters: how its texts are put together, how its rows were split.
_ALSO_OF_DATA = frozenset(("item_text", "encoding", "eval_args", "metrics", "topk", "valid_metric"))


@lru_cache
def declared_in(path: Path) -> dict[str, Declared]:
    """Keys of a property file and what their comments say; anything where there is no comment.

    Example: ``n_slots: 2  # (int >= 1) Levels.`` -> {"n_slots": an integer of at least 1}

    Raises:
        ValueError: a comment is not understood, though it is ours.
    """
    found: dict[str, Declared] = {}
    is_ours = path.is_relative_to(properties_folder())
    for line in path.read_text(encoding="utf-8").splitlines():
        if key := _KEY.match(line):
            comment = comment_of(line)
            try:
                found[key[1]] = ANYTHING if comment is None else Declared.parse(comment)
            except ValueError as error:
                if is_ours:
                    raise ValueError(f"{path}, `{key[1]}`: {error}") from error
                found[key[1]] = ANYTHING
    return found


@lru_cache
def _theirs(path: Path) -> dict[str, Declared]:
    """The same of a file of RecBole's, which says of no key that it may be null.

    Numbers and switches may not, unless they are. A comment that RecBole's own value contradicts,
    such as an int of 0.001, says nothing.
    """
    values, found = read_properties(path), {}
    for key, known in declared_in(path).items():
        is_plain = all(form.type in ("bool", "int", "float") for form in known.forms)
        value = values.get(key)
        known = Declared(known.forms, allows_null=value is None or not is_plain)
        found[key] = known if known.fits(value) else ANYTHING
    return found


@lru_cache
def _shared(path: Path) -> dict[str, Declared]:
    """Keys of a model of RecBole's that properties/recbole_models.yaml says more of."""
    values = read_properties(path)
    shared = declared_in(properties_folder() / "recbole_models.yaml")
    return {k: known for k, known in shared.items() if k in values and known.fits(values[k])}


def model_files(model: str) -> list[Path]:
    """The plugin's property files of a model: its own, and those of the tokenizers it may have."""
    own = properties_folder() / "model" / f"{model}.yaml"
    if not own.is_file():
        return []
    tokenizer = declared_in(own).get("tokenizer", ANYTHING)
    kinds = [kind for form in tokenizer.forms for kind in form.choices]
    paths = [properties_folder() / "tokenizer" / f"{kind}.yaml" for kind in kinds]
    return [own, *(path for path in paths if path.is_file())]


def declared_keys(models: list[str]) -> dict[str, Declared]:
    """Every key that a run of these models may set; where two use one name, the last one's.

    RecBole's files come first; properties/recbole.yaml and recbole_models.yaml complete what they
    say.
    """
    ours, theirs = properties_folder(), recbole_folder() / "properties"
    found: dict[str, Declared] = {}
    for name in ("overall", "dataset/sample"):
        found.update(_theirs(theirs / f"{name}.yaml"))
    for name in ("recbole", "overall", "dataset/sample"):
        found.update(declared_in(ours / f"{name}.yaml"))
    for model in models:
        if (path := theirs / "model" / f"{model}.yaml").is_file():
            found.update(_theirs(path) | _shared(path))
        for path in model_files(model):
            found.update(declared_in(path))
    return found


def check_keys(given: dict, known: dict[str, Declared], place: str = "", whose: str = "") -> None:
    """Compare keys and values with what may be set.

    Args:
        place: as for :meth:`Declared.check`.
        whose: such as " for TIGER", where models may differ in what a value may be.

    Raises:
        SettingsError: for the first key that is unknown, or value that does not fit.
    """
    for key, value in given.items():
        if key not in known and RENAMED.get(key) in known:
            raise SettingsError(f"The property `{key}`{place} has become `{RENAMED[key]}`.")
        if key not in known:
            raise SettingsError(
                f"Unknown property `{key}`{place}{nearest(key, [*known, *_WORDS])}."
            )
        known[key].check(key, value, place + whose)


def check_values(settings: dict, known: dict[str, Declared]) -> None:
    """Compare the values of known keys with what they may hold; other keys are left alone.

    Raises:
        SettingsError: for the first value that does not fit.
    """
    for key, value in settings.items():
        if key in known:
            known[key].check(key, value)


def data_keys() -> frozenset[str]:
    """Keys that describe data, and so may stand in a data set's own property file."""
    sample = recbole_folder() / "properties" / "dataset" / "sample.yaml"
    return _ALSO_OF_DATA.union(declared_in(sample))


def check_data_keys(given: dict, path: Path) -> None:
    """Check what a data set's own property file sets.

    It comes with the data, from whoever made them: it describes them, and chooses no folders,
    which RecBole would load pickles from, and no settings of models.

    Raises:
        SettingsError: for the first key that is unknown or describes no data, or wrong value.
    """
    known, of_data = declared_keys(list(PLUGIN_MODELS)), data_keys()
    for key in given:
        if key in known and key not in of_data:
            raise SettingsError(
                f"The data set's own {path} sets `{key}`, which does not describe data: take it "
                f"out of the file, and set it with --{key}=VALUE or in a file of --config_files."
            )
    check_keys(given, {key: known[key] for key in of_data}, f" in {path}")
