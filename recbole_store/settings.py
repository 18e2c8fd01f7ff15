"""Settings of a run: read, merged and checked before anything heavy starts.

The property files are the single source: a key exists because a property file of RecBole or of
this package lists it, and its type is the one in the comment beside it, ``# (int) meaning``.
Nothing from the command line or from a file is ever evaluated as code.
"""

from __future__ import annotations

import codecs
import difflib
import importlib.util
import re
from functools import lru_cache
from pathlib import Path

import yaml

PLUGIN_MODELS = ("STORE",)

# What the dataset loader and the command line understand although no property file lists it.
EXTRA_TYPES = {
    "benchmark_filename": "list",
    "encoding": "str",
    "use_gpu": "bool",
    "numerical_features": "list",
    "additional_feat_suffix": "list or str",
}


class SettingsError(ValueError):
    """Input that cannot lead to a run; the message is one sentence for the user."""


class _Loader(yaml.SafeLoader):
    """YAML without Python objects, reading ``1e-3`` as the number that everybody means."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+0123456789."),
)
# A date would reach RecBole as a datetime object; as text it stays what was typed.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def properties_folder() -> Path:
    """The plugin's property files: in an installed wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "properties"
    return installed if installed.is_dir() else package.parent / "properties"


@lru_cache
def recbole_folder() -> Path:
    """RecBole's package folder, found without importing it."""
    spec = importlib.util.find_spec("recbole")
    if spec is None or not spec.submodule_search_locations:
        raise SettingsError("RecBole is not installed: run `pip install recbole==1.2.1`.")
    return Path(spec.submodule_search_locations[0])


def parse_value(text: str, declared: str = ""):
    """A command-line value as YAML: ``5`` -> 5, ``[1,5]`` -> [1, 5], ``os.getpid()`` -> that text.

    What is declared a string stays what was typed: the interval ``[5,inf)`` is no list.
    """
    if declared == "str" and text not in ("null", "~", "None", ""):
        return text
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise SettingsError(f"Cannot read the value {text!r}: not valid YAML.") from error


def read_properties(path: Path) -> dict:
    """Read one property file.

    Raises:
        SettingsError: if it is missing, is not YAML, or is not a mapping of keys.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise SettingsError(f"Cannot read the property file {path}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:  # TypeError: a list as key
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}" if place else ""
        raise SettingsError(f"The property file {path}{where} is not valid YAML.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"The property file {path} must hold `key: value` lines.")
    for key in content:
        if not isinstance(key, str):
            raise SettingsError(f"The property file {path} has the key {key!r}, which is no name.")
    return content


_TYPED_LINE = re.compile(r"^(\w+):(?:.*?#\s*\(([^)]*)\))?", re.MULTILINE)


@lru_cache
def declared_types(path: Path) -> dict[str, str]:
    """Keys of a property file with the types their comments declare ("" where there is none).

    Example: ``n_levels: 2  # (int) Levels.`` -> {"n_levels": "int"}
    """
    return {key: kind or "" for key, kind in _TYPED_LINE.findall(path.read_text(encoding="utf-8"))}


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


def nearest(word: str, known) -> str:
    """`` (did you mean `x`?)`` for a word close to a known one, else an empty text."""
    by_lower = {name.lower(): name for name in known}
    match = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean `{by_lower[match[0]]}`?)" if match else ""


def known_types(models: list[str], dataset: str) -> dict[str, str]:
    """Every key that a run of these models on this dataset may set, with its declared type."""
    types = dict(EXTRA_TYPES)
    ours, theirs = properties_folder(), recbole_folder() / "properties"
    for root in (theirs, ours):
        paths = [root / "overall.yaml", root / "dataset" / f"{dataset}.yaml"]
        paths += [root / "dataset" / "sample.yaml"] + [root / "model" / f"{m}.yaml" for m in models]
        for path in paths:
            if path.is_file():
                types.update(declared_types(path))
    return types


def plugin_defaults(model: str, dataset: str) -> dict:
    """The plugin's own defaults for a model on a dataset: protocol, then model, then dataset."""
    root = properties_folder()
    merged = {}
    for name in ("overall", f"model/{model}", "dataset/sample", f"dataset/{dataset}"):
        path = root / f"{name}.yaml"
        if path.is_file():
            merged.update(read_properties(path))
    of_recbole = recbole_folder() / "properties" / "dataset" / f"{dataset}.yaml"
    if of_recbole.is_file() and not (root / "dataset" / f"{dataset}.yaml").is_file():
        del merged["load_col"]  # RecBole knows this dataset's columns
    return merged


def profile_file(name: str) -> Path:
    """The property file of a named profile, e.g. ``full``."""
    folder = properties_folder() / "profile"
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        raise SettingsError(
            f"Unknown profile `{name}`{nearest(name, known)}; known: {', '.join(known)}."
        )
    return path


_PYTHON_TYPES = {
    "int": int,
    "float": (int, float),
    "str": (str, int, float),  # RecBole's own string keys (gpu_id: 0) are often typed as numbers
    "bool": bool,
    "list": (list, tuple),
    "dict": dict,
}


def check_type(key: str, value, declared: str, none_allowed: bool = False) -> None:
    """Compare a value with its declared type, e.g. ``int or null``.

    Raises:
        SettingsError: naming key, value and what was expected.
    """
    names = [name.strip().lower() for name in re.split(r" or |,|\|", declared)]
    if value is None:
        if none_allowed or {"null", "none"} & set(names):
            return
    else:
        known = [name for name in names if name in _PYTHON_TYPES]
        if not known:
            return
        for name in known:
            is_bool = isinstance(value, bool)
            if isinstance(value, _PYTHON_TYPES[name]) and is_bool == (name == "bool"):
                return
    raise SettingsError(f"`{key}` is {value!r}, but must be of type {declared}.")


# For any other name RecBole warns and takes adam.
LEARNERS = ("adam", "adamw", "sgd", "adagrad", "rmsprop", "sparse_adam")

# STORE's keys: a test, and what it says to somebody whose value fails it.
_RANGES = {
    "n_levels": (lambda v: 1 <= v <= 16, "between 1 and 16"),
    "codebook_size": (lambda v: v >= 2, "at least 2"),
    "disambiguation_size": (lambda v: v >= 1, "at least 1"),
    "backbone_layers": (lambda v: v is None or v >= 1, "at least 1, or null for all"),
    "num_beams": (lambda v: v >= 1, "at least 1"),
    "pca_dim": (lambda v: v >= 1, "at least 1"),
    "tokenizer_epochs": (lambda v: v >= 0, "at least 0"),
    "tokenizer_batch_size": (lambda v: v >= 2, "at least 2"),
    "max_text_words": (lambda v: v >= 1, "at least 1"),
    "temperature": (lambda v: v > 0, "above 0"),
    "lora_rank": (lambda v: v >= 1, "at least 1"),
    "lora_dropout": (lambda v: 0 <= v < 1, "in [0, 1)"),
    "attribute_dropout": (lambda v: 0 <= v < 1, "in [0, 1)"),
    "collaborative_share": (lambda v: 0 <= v <= 1, "in [0, 1]"),
    "code_dropout": (lambda v: 0 <= v < 1, "in [0, 1)"),
    "MAX_ITEM_LIST_LENGTH": (lambda v: v >= 1, "at least 1"),
    "epochs": (lambda v: v >= 0, "at least 0"),
    "train_batch_size": (lambda v: v >= 1, "at least 1"),
    "eval_batch_size": (lambda v: v >= 1, "at least 1"),
    "stopping_step": (lambda v: v >= 0, "at least 0"),
    "learning_rate": (lambda v: v > 0, "above 0"),
    "code_learning_rate": (lambda v: v > 0, "above 0"),
    "tokenizer_learning_rate": (lambda v: v > 0, "above 0"),
    "warmup_steps": (lambda v: v >= 0, "at least 0"),
    "learner": (lambda v: v in LEARNERS, f"one of {', '.join(LEARNERS)}"),
    "clip_grad_norm": (lambda v: set(v) <= {"max_norm", "norm_type"}, "{max_norm: number}"),
    "tuning": (lambda v: v in ("lora", "full", "frozen"), "one of lora, full, frozen"),
    "precision": (lambda v: v in ("auto", "bf16", "fp32"), "one of auto, bf16, fp32"),
    "normalize_over": (lambda v: v in ("level", "children"), "one of level, children"),
    "tokenizer": (lambda v: v in ("palette",), "palette"),
}
# RecBole's keys without which it fails; its files declare none of its keys as "or null".
_NEVER_NULL = {"data_path", "checkpoint_dir", "metrics", "topk", "valid_metric", "eval_args"}
_NEVER_NULL |= {"seed"}
_WEIGHT = (lambda v: v >= 0, "at least 0")
_RANGES.update(
    dict.fromkeys(
        (
            "token_to_text_weight",
            "contrastive_weight",
            "decorrelation_weight",
            "align_weight",
            "reconstruct_weight",
        ),
        _WEIGHT,
    )
)
_NEVER_NULL |= set(_RANGES) - {"backbone_layers", "clip_grad_norm"}


def check_ranges(settings: dict) -> None:
    """Check single values, then those that must fit each other.

    Raises:
        SettingsError: for the first value out of range.
    """
    for key, (in_range, expected) in _RANGES.items():
        if key in settings and (settings[key] is not None or key == "backbone_layers"):
            if not in_range(settings[key]):
                raise SettingsError(f"`{key}` is {settings[key]!r}, but must be {expected}.")
    topk = settings["topk"] if isinstance(settings["topk"], list) else [settings["topk"]]
    if not topk or not all(isinstance(k, int) and k >= 1 for k in topk):
        raise SettingsError(
            f"`topk` is {settings['topk']!r}, but must hold integers of at least 1."
        )
    if "num_beams" in settings and settings["num_beams"] < max(topk):
        raise SettingsError(
            f"`num_beams` is {settings['num_beams']}, but the largest `topk` is {max(topk)}: "
            f"raise num_beams to {max(topk)} or more, since each beam yields one item."
        )
    check_valid_metric(settings, topk)


@lru_cache
def known_metrics() -> tuple[str, ...]:
    """Names of RecBole's metrics, read from its source without importing it."""
    source = (recbole_folder() / "evaluator" / "metrics.py").read_text(encoding="utf-8")
    return tuple(re.findall(r"^class (\w+)\(", source, re.MULTILINE))


# Metrics of RecBole without a cut-off.
VALUE_METRICS = ("auc", "gauc", "rmse", "mae", "logloss")

_EVAL_KEYS = ("split", "group_by", "order", "mode")
_EVAL_MODE = re.compile(r"full|labeled|(uni|pop)[1-9]\d*")


def check_eval_args(eval_args: dict) -> None:
    """RecBole ignores unknown keys of eval_args, and refuses unknown modes late."""
    for key in eval_args:
        if key not in _EVAL_KEYS:
            raise SettingsError(
                f"`eval_args` has no key `{key}`{nearest(str(key), _EVAL_KEYS)}; it has "
                f"{', '.join(_EVAL_KEYS)}."
            )
    mode = eval_args["mode"]
    for value in mode.values() if isinstance(mode, dict) else [mode]:
        if not _EVAL_MODE.fullmatch(str(value)):
            raise SettingsError(
                f"`eval_args` has the mode {value!r}, but must have full, labeled, uniN or popN."
            )


def check_item_text(pieces: dict | None) -> None:
    """Each piece of an item's text is a text itself."""
    for column, piece in (pieces or {}).items():
        if not isinstance(piece, str) or "{}" not in piece:
            raise SettingsError(
                f"`item_text` has {piece!r} for {column}, but needs a text in quotes with {{}} in "
                'the place of the value, such as "{}".'
            )


def check_valid_metric(settings: dict, topk: list[int]) -> None:
    """The metric that selects the epoch must be among those that will be computed."""
    metrics = settings["metrics"]
    metrics = metrics if isinstance(metrics, list) else [metrics]
    known = known_metrics()
    for metric in metrics:
        if str(metric).lower() not in {name.lower() for name in known}:
            raise SettingsError(
                f"`metrics` holds {metric!r}{nearest(str(metric), known)}; known: "
                f"{', '.join(known)}."
            )
    name, _, cutoff = str(settings["valid_metric"]).partition("@")
    computed = {metric.lower() for metric in metrics}
    cutoffs = {""} if name.lower() in VALUE_METRICS else {str(k) for k in topk}
    if name.lower() not in computed or cutoff not in cutoffs:
        cutoffs = ", ".join(str(k) for k in topk)
        raise SettingsError(
            f"`valid_metric` is {settings['valid_metric']}, which will not be computed: "
            f"metrics are {', '.join(metrics)} at {cutoffs}."
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


def resolve(
    model: str,
    dataset: str,
    files: list[Path],
    typed: dict[str, str],
    models: list[str] | None = None,
    profile: Path | None = None,
) -> dict:
    """Merge and check everything one model's run is told; the result is RecBole's config_dict.

    Later wins: RecBole's defaults, the plugin's defaults, property files in order, typed values.

    Args:
        files: property files given by the user.
        typed: keys and texts from the command line.
        models: all models of the comparison; a key of any of them may be set.
        profile: property file of STORE's settings; baselines take its history length alone.

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
    if model not in PLUGIN_MODELS:
        given = {key: value for key, value in given.items() if key == "MAX_ITEM_LIST_LENGTH"}
    for path in files:
        given.update(read_properties(path))
    types = known_types(models or [model], dataset)
    given.update({key: parse_value(text, types.get(key, "")) for key, text in typed.items()})
    for key, value in given.items():
        if key not in types:
            raise SettingsError(f"Unknown property `{key}`{nearest(key, types)}.")
        check_type(key, value, types[key], none_allowed=key not in _NEVER_NULL)

    merged = plugin_defaults(model, dataset)
    protocol_eval_args = merged["eval_args"]
    merged.update(given)
    if not isinstance(merged["eval_args"], dict):
        raise SettingsError(f"`eval_args` is {merged['eval_args']!r}, but must be a dict.")
    merged["eval_args"] = {**protocol_eval_args, **merged["eval_args"]}
    check_eval_args(merged["eval_args"])
    check_item_text(merged.get("item_text"))
    everything = dict(read_properties(recbole_folder() / "properties" / "overall.yaml"))
    theirs = recbole_folder() / "properties" / "model" / f"{model}.yaml"
    if theirs.is_file() and model not in PLUGIN_MODELS:
        everything.update(read_properties(theirs))
    everything.update(merged)
    check_ranges({k: v for k, v in everything.items() if k not in _RANGES or k in merged})
    check_dataset(everything, dataset)
    sequential = folders[model] == "sequential_recommender"
    if sequential and everything.get("loss_type") == "CE":
        # RecBole refuses its own default of negative sampling beside a full softmax.
        merged["train_neg_sample_args"] = None
    return merged
