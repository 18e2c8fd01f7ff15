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

import hashlib
import json
import sys
from pathlib import Path

from recbole_store.data.file_lock import locked
from recbole_store.errors import InputError, RunError, SettingsError
from recbole_store.experiments import trials
from recbole_store.experiments.processes import Terminated, exit_status, terminating
from recbole_store.experiments.results.results_folder import replace_file
from recbole_store.experiments.results.trial_file import read_trials, score
from recbole_store.experiments.run.run_folder import is_free
from recbole_store.settings.arguments import Parser
from recbole_store.settings.keys import declared_keys
from recbole_store.settings.property_files import (
    PLUGIN_MODELS,
    nearest,
    properties_folder,
    read_list,
)

SEED = 2020  # of what the search proposes
# Trials that end before one may be ended for being below their median, and epochs of it.
FIRST_TRIALS, FIRST_EPOCHS = 5, 1
GAP = "--validation_gap=1"


class Search:
    """Trials of one label on one data set, under the same conditions.

    Args:
        label: of the model.
        passed_on: words that hold for all trials.
        folder: of the results.
        space: see :mod:`recbole_store.experiments.space`; empty: only what is listed.

    Raises:
        SettingsError: the settings are wrong, or what is kept is no list of trials.
        ModuleNotFoundError: Optuna is not installed.
    """

    def __init__(self, label: str, dataset: str, passed_on: list[str], folder: Path, space: dict):
        import optuna
        from optuna.storages.journal import JournalFileBackend

        self.which, self.passed_on, self.space = (label, dataset), passed_on, space
        self.terms = trials.conditions(passed_on)
        self.kept_in = folder / "trials" / dataset / f"{trials.stem_of(label)}.json"
        read_trials(self.kept_in)  # refused now, not behind the first trial
        self.own_hash = self.hash_of({})
        self.states = optuna.trial.TrialState
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.kept_in.parent.mkdir(parents=True, exist_ok=True)
        journal = JournalFileBackend(str(self._beside("journal")))
        self.study = optuna.create_study(
            storage=optuna.storages.JournalStorage(journal),
            study_name=f"{label} on {dataset}: {self.own_hash}",
            load_if_exists=True,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(FIRST_TRIALS, FIRST_EPOCHS),
        )

    def _beside(self, what: str) -> Path:
        return self.kept_in.with_name(f".{self.kept_in.stem}.{what}")

    def hash_of(self, settings: dict) -> str:
        return trials.hash_of(*self.which, settings, self.passed_on)

    def kept(self) -> list[dict]:
        """What is kept under these conditions."""
        return [t for t in read_trials(self.kept_in) if sorted(t["conditions"]) == self.terms]

    def is_done(self, settings: dict) -> bool:
        wanted = self.hash_of(settings)
        return any(
            t["settings"] == settings and t.get("protocol_hash") == wanted for t in self.kept()
        )

    def keep(self, trial: dict) -> None:
        """Write a trial down in the place of what was known of the same settings."""
        with locked(self._beside("lock")):
            same = (trial["settings"], sorted(trial["conditions"]))
            others = [
                t
                for t in read_trials(self.kept_in)
                if (t["settings"], sorted(t["conditions"])) != same
            ]
            replace_file(self.kept_in, (json.dumps([*others, trial], indent=1) + "\n").encode())

    def take_up(self) -> None:
        """Tell the study what is kept, and let what died with its process be tried again."""
        import optuna

        from recbole_store.experiments.space import inside

        known = {t.user_attrs.get("hash") for t in self.study.get_trials(deepcopy=False)}
        for trial in self.kept():
            if trial.get("protocol_hash") in known or score(trial) is None:
                continue
            params = inside(trial["settings"], self.space)
            self.study.add_trial(
                optuna.trial.create_trial(
                    params=params,
                    distributions={key: self.space[key] for key in params},
                    value=score(trial),
                    user_attrs={"settings": trial["settings"], "hash": trial.get("protocol_hash")},
                )
            )
        for trial in self.study.get_trials(states=(self.states.RUNNING,)):
            settings = trial.user_attrs.get("settings")
            if settings is not None and is_free(self.run_dir(settings)):
                self.study.tell(trial.number, state=self.states.FAIL)
                self.enqueue(settings)

    def enqueue(self, settings: dict) -> None:
        """Let settings be tried before anything that the search proposes."""
        from recbole_store.experiments.space import inside

        attributes = {"settings": settings, "hash": self.hash_of(settings)}
        self.study.enqueue_trial(inside(settings, self.space), user_attrs=attributes)

    def waiting(self) -> list[dict]:
        found = self.study.get_trials(states=(self.states.WAITING,), deepcopy=False)
        return [t.user_attrs.get("settings") for t in found]

    def run_dir(self, settings: dict) -> Path:
        name = hashlib.sha256(self.hash_of(settings).encode()).hexdigest()[:12]
        return self._beside("runs") / name

    def next(self, judge) -> bool:
        """Try what comes next; returns whether there was anything.

        Args:
            judge: settings, and what says by the scores so far whether they are hopeless -> what is
                kept of a trial, or None for one that was ended early.

        Raises:
            RunError: the trial failed.
        """
        import optuna

        from recbole_store.experiments.space import inside, suggest

        # By what is known, so that a search that goes on proposes no settings for a second time.
        n_known = len(self.study.get_trials(deepcopy=False))
        self.study.sampler = optuna.samplers.TPESampler(seed=SEED + n_known)
        trial = self.study.ask()
        settings = trial.user_attrs.get("settings")
        if settings is None and not self.space:  # another process took the last that waited
            self.study.tell(trial, state=self.states.FAIL)
            return False
        if settings is None:
            settings = suggest(trial, self.space)
            trial.set_user_attr("settings", settings)
            trial.set_user_attr("hash", self.hash_of(settings))
        else:
            suggest(trial, {key: self.space[key] for key in inside(settings, self.space)})
        print(f"\n=== {self.which[0]}, trial {trial.number}: {settings} ===", flush=True)

        def is_hopeless(scores: dict[int, float]) -> bool:
            for epoch, value in scores.items():
                if epoch not in reported:
                    reported.add(epoch)
                    trial.report(value, epoch)
            return trial.should_prune()

        reported: set[int] = set()
        try:
            found = judge(settings, is_hopeless)
        except BaseException:
            self.study.tell(trial, state=self.states.FAIL)
            raise
        if found is None:
            self.study.tell(trial, state=self.states.PRUNED)
            print("Ended early: below the median of the others.", flush=True)
        else:
            self.keep(found)
            self.study.tell(trial, score(found))
        return True


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
