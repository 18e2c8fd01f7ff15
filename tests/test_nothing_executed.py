"""Where files are read that could execute something: a list, and a reason for each."""

from __future__ import annotations

import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "recbole_store"

# What may run what a file's author wrote.
EXECUTES = re.compile(
    r"\b(?:c?[Pp]ickle|dill|joblib|marshal|shelve)\b|torch\.load\(|\bnp\.load\(|read_pickle"
    r"|yaml\.(?:load|unsafe_load|full_load)\(|(?<![\w.])(?:eval|exec|compile|__import__)\("
    r"|trust_remote_code|weights_only=False|allow_pickle=True|shell=True|os\.system"
)
# File -> what it may hold of that, and why.
ALLOWED = {
    # RecBole's checkpoints hold its Config: unpickled where a person names the file, or where this
    # process wrote it.
    "plugin/checkpoints.py": {"pickle", "torch.load(", "weights_only=False"},
    # Data sets that RecBole saved, by RecBole's own routes alone: our commands refuse them.
    "plugin/compatibility.py": {"pickle"},
    "plugin/patches.py": {"pickle", "np.load("},  # mends RecBole's: allow_pickle=False
    "plugin/plugin_trainer.py": {"pickle"},  # words
    "settings/evaluation_rules.py": {"pickle"},  # words of a refusal
    "experiments/run/continuation.py": {"pickle"},  # words
    "experiments/run/build.py": {"pickle"},  # the error that is told of
    "experiments/results/kept_run.py": {"np.load("},  # allow_pickle=False
    "llm/loading.py": {"trust_remote_code"},  # False
    "llm/reinitialise.py": {"trust_remote_code"},  # False
    "settings/plain_yaml.py": {"yaml.load("},  # by a SafeLoader
    "tokenizer/tensor_file.py": {"pickle"},  # words
}


def test_nothing_else_is_read_that_could_execute():
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if held := set(EXECUTES.findall(path.read_text(encoding="utf-8"))):
            found[path.relative_to(PACKAGE).as_posix()] = held
    assert found == ALLOWED


def test_arrays_are_read_without_pickles():
    for name, held in ALLOWED.items():
        text = (PACKAGE / name).read_text(encoding="utf-8")
        if "np.load(" in held:
            calls = re.findall(r"np\.load\([^)]*\)", text)
            assert calls and all("allow_pickle=False" in call for call in calls), name
        if "trust_remote_code" in held:
            said = re.findall(r'trust_remote_code"?(.*)', text)
            assert said and all(re.match(r"(: |=)False\b", rest) for rest in said), name
