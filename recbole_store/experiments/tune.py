"""``recbole-store tune``: settings are searched, each judged on validation alone.

First come the settings that ``properties/trials/MODEL-VARIANT.yaml`` lists, then as many as
``--trials`` asks for from a space of values, by Optuna: what was tried tells where to look next
(TPE), and a training that stays below the median of the others at the same epoch is ended early.

What comes of a trial is kept in ``results/trials/<dataset>/<stem>.json`` and not tried again,
unless the model's other settings, the data or the versions are not what they were. The search
itself is in a journal beside it, so that it goes on where it was, and several processes may share
it. With ``--trained=RUN`` the listed settings that change the ranking alone are judged on that
run's model.
"""

from __future__ import annotations

import sys
from pathlib import Path

from recbole_store.errors import InputError, RunError, SettingsError
from recbole_store.experiments import trials
from recbole_store.experiments.processes import Terminated, exit_status, terminating
from recbole_store.experiments.results.trial_file import score
from recbole_store.experiments.search import Search
from recbole_store.settings.arguments import Parser
from recbole_store.settings.keys import declared_keys
from recbole_store.settings.property_files import (
    PLUGIN_MODELS,
    nearest,
    properties_folder,
    read_list,
)

GAP = "--validation_gap=1"


def parser() -> Parser:
    """``tune --model=MODEL``; other words are settings of all trials."""
    p = Parser(
        prog="recbole-store tune",
        description="Search settings, judged on validation metrics; --key=value holds for all.",
        allow_abbrev=False,
    )
    p.add_argument("--model", required=True)
    p.add_argument("--dataset", default="ml-100k")
    p.add_argument("--results", type=Path, default=Path("results"))
    p.add_argument(
        "--trials", type=int, default=0, metavar="N", help="how many behind those listed (0)"
    )
    p.add_argument(
        "--space",
        type=Path,
        metavar="FILE",
        help="what may be chosen, key by key (properties/space/MODEL.yaml)",
    )
    p.add_argument(
        "--trained", type=Path, help="folder of a run; judges the listed rankings on its model"
    )
    p.add_argument(
        "--list",
        type=Path,
        metavar="FILE",
        help="a YAML list of settings to begin with (properties/trials/MODEL-VARIANT.yaml)",
    )
    p.add_argument("--only", help="numbers in the list, from 1 (all): --only=1,3")
    return p


def _listed(arguments, stem: str) -> dict[int, dict]:
    path = arguments.list or properties_folder() / "trials" / f"{stem}.yaml"
    if not path.is_file() and arguments.trials and not arguments.list:
        return {}  # the search begins with what it proposes
    listed = trials.chosen(read_list(path), arguments.only)
    if arguments.trained:
        listed = {n: keys for n, keys in listed.items() if keys.keys() <= trials.RANKING_KEYS}
        if not listed:
            raise SettingsError(f"{path}: none of these trials changes the ranking alone.")
    return listed


def _space(arguments) -> dict:
    if not arguments.trials:
        return {}
    from recbole_store.experiments.space import read_space

    ((model, _),) = trials.parse_labels(arguments.model)
    path = arguments.space or properties_folder() / "space" / f"{model}.yaml"
    space, known = read_space(path), declared_keys([model])
    for key in space:
        if key not in known:
            raise SettingsError(f"{path}: {model} has no key `{key}`{nearest(key, known)}.")
    return space


def _words(label: str, passed_on: list[str]) -> list[str]:
    """With the gap that makes validation like the test, unless something is said of it."""
    ((model, _),) = trials.parse_labels(label)
    is_said = any(word.startswith("--validation_gap") for word in passed_on)
    passed_on = [word for word in passed_on if word != "--validation_gap=null"]
    return passed_on if is_said or model not in PLUGIN_MODELS else [*passed_on, GAP]


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 a trial failed, 2 bad input, 130 or 143 interrupted."""
    arguments, passed_on = parser().parse_known_args(argv)
    try:
        stem = trials.stem_of(arguments.model)
        listed = _listed(arguments, stem)
        trials.conditions(passed_on)
        passed_on = _words(arguments.model, passed_on)
        space = _space(arguments)
        try:
            search = Search(arguments.model, arguments.dataset, passed_on, arguments.results, space)
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"A search needs {error.name}: `pip install optuna`, or this package's extra tune."
            ) from error
        for settings in listed.values():
            search.hash_of(settings)  # refuses what is wrong, before anything runs
        search.take_up()
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2

    def judge(settings: dict, is_hopeless) -> dict | None:
        if arguments.trained:
            return trials.rank_trial(*search.which, settings, passed_on, arguments.trained)
        run_dir = search.run_dir(settings)
        return trials.run_trial(*search.which, settings, passed_on, run_dir, is_hopeless)

    waiting = search.waiting()
    for settings in listed.values():
        if not search.is_done(settings) and settings not in waiting:
            search.enqueue(settings)
    status, n_new = 0, arguments.trials
    try:
        with terminating():
            while True:
                is_listed = bool(search.waiting())
                if not is_listed and n_new < 1:
                    break
                n_new -= not is_listed
                try:
                    search.next(judge)
                except RunError as error:
                    print(f"A trial failed: {error}\nThe others go on.", file=sys.stderr)
                    status = 1
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, Terminated) as stop:
        print(f"\nStopped: {len(_today(search))} trials are kept.")
        return exit_status(stop)
    for trial in sorted(_today(search), key=score, reverse=True):
        how = ", ranked again" if trial.get("ranked_again") else ""
        print(f"{score(trial):.4f}  {trial['epochs']:3d} epochs  {trial['settings']}{how}")
    return status


def _today(search: Search) -> list[dict]:
    """What is kept and would come out the same today."""
    return [t for t in search.kept() if t.get("protocol_hash") == search.hash_of(t["settings"])]


if __name__ == "__main__":
    sys.exit(main())
