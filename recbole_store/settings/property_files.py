"""Property files: where they are and what they hold.

Nothing in a file or from the command line is ever evaluated as code.
"""

from __future__ import annotations

import difflib
import importlib.util
from functools import lru_cache
from pathlib import Path

from recbole_store.errors import RecBoleMissing, SettingsError
from recbole_store.settings.plain_yaml import read_yaml

PLUGIN_MODELS = ("STORE", "SASRecAll", "TIGER", "Neighbours", "TextTower")
TOKENIZED_MODELS = ("STORE", "TIGER")  # those that read items' texts and generate semantic IDs


def properties_folder() -> Path:
    """The plugin's property files: in an installed wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "properties"
    return installed if installed.is_dir() else package.parent / "properties"


@lru_cache
def recbole_folder() -> Path:
    """RecBole's package folder, found without importing it.

    Raises:
        RecBoleMissing: there is none.
    """
    spec = importlib.util.find_spec("recbole")
    if spec is None or not spec.submodule_search_locations:
        # Its dependencies are this package's own, but for its ray, which has no wheel everywhere.
        raise RecBoleMissing("RecBole is not installed: `pip install --no-deps recbole==1.2.1`.")
    return Path(spec.submodule_search_locations[0])


def parse_value(text: str, is_text: bool = False):
    """A command-line value as YAML: ``5`` -> 5, ``[1,5]`` -> [1, 5], ``os.getpid()`` -> that text.

    Args:
        is_text: whether it stays what was typed, unless that is null: the interval ``[5,inf)`` is
            no list.
    """
    if is_text and text not in ("null", "~", "None", ""):
        return text
    try:
        return read_yaml(text)
    except ValueError as error:
        raise SettingsError(f"Cannot read the value {text!r}: {error}.") from error


def read_properties(path: Path) -> dict:
    """Read one property file.

    Raises:
        SettingsError: if it is missing, is not YAML, or is not a mapping of keys.
    """
    content = _read_file(path, "property file")
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"The property file {path} must hold `key: value` lines.")
    for key in content:
        if not isinstance(key, str):
            raise SettingsError(f"The property file {path} has the key {key!r}, which is no name.")
    return content


def _read_file(path: Path, what: str):
    """What a YAML file says.

    Raises:
        SettingsError: it cannot be read, or is none.
    """
    try:
        return read_yaml(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"Cannot read the {what} {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"The {what} {path} is not valid YAML: it is no UTF-8.") from error
    except ValueError as error:
        raise SettingsError(f"The {what} {path} cannot be read: {error}.") from error


@lru_cache
def model_folders() -> dict[str, str]:
    """Every model name RecBole or this plugin knows -> RecBole's folder of models it lives in."""
    known = {}
    models = recbole_folder() / "model"
    for properties in (recbole_folder() / "properties" / "model").glob("*.yaml"):
        for source in models.glob(f"*/{properties.stem.lower()}.py"):
            known[properties.stem] = source.parent.name
    known.update({name: "sequential_recommender" for name in PLUGIN_MODELS})
    return known


def nearest(word, known) -> str:
    """`` (did you mean `x`?)`` for a word close to a known one, else an empty text."""
    by_lower = {name.lower(): name for name in known}
    match = difflib.get_close_matches(str(word).lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean `{by_lower[match[0]]}`?)" if match else ""


def variants_of(model: str) -> list[str]:
    """Names of the variants that property files describe for a model, e.g. ``tuned``."""
    files = (properties_folder() / "variant").glob(f"{model}-*.yaml")
    return sorted(file.stem.removeprefix(f"{model}-") for file in files)


def is_path(name: str) -> bool:
    """Whether a variant or profile is given as a property file instead of by its name."""
    return name.lower().endswith((".yaml", ".yml"))


def variant_name(model: str, variant: str) -> str:
    """What a variant is called that may be given as a property file.

    Example: STORE, ``my/STORE-wide.yaml`` -> ``wide``; STORE, ``amazon`` -> ``amazon``
    """
    return Path(variant).stem.removeprefix(f"{model}-") if is_path(variant) else variant


def variant_file(model: str, variant: str) -> Path:
    """The property file of a model's variant: ``properties/variant/MODEL-VARIANT.yaml``, or its own
    path.

    Raises:
        SettingsError: there is no such variant; the message lists those there are.
    """
    if is_path(variant):
        return Path(variant)
    known = variants_of(model)
    if variant not in known:
        has = f"there are {', '.join(known)}" if known else f"{model} has none"
        raise SettingsError(
            f"Unknown variant `{model}:{variant}`{nearest(variant, known)}; {has}. A property file "
            f"of your own is `{model}:FILE.yaml`."
        )
    return properties_folder() / "variant" / f"{model}-{variant}.yaml"


def read_list(path: Path) -> list[dict]:
    """A YAML file that lists settings, one trial an entry.

    Raises:
        SettingsError: it is missing or is no list of settings.
    """
    content = _read_file(path, "trials")
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise SettingsError(f"The trials {path} must be a list of `{{key: value}}` entries.")
    return content
