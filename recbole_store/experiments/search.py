"""A search of settings: what is listed first, then what Optuna proposes, each trial kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from recbole_store.data.file_lock import locked
from recbole_store.errors import SettingsError
from recbole_store.experiments import trials
from recbole_store.experiments.results.results_folder import replace_file
from recbole_store.experiments.results.trial_file import read_trials, score
from recbole_store.experiments.run.run_folder import is_free

SEED = 2020  # of what the search proposes
# Trials that end before one may be ended for being below their median, and epochs of it.
FIRST_TRIALS, FIRST_EPOCHS = 5, 1


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
            if settings is None or not is_free(self.run_dir(settings)):
                continue
            with self.claimed(settings) as is_ours:
                if is_ours:
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

    @contextmanager
    def claimed(self, settings: dict) -> Iterator[bool]:
        """Whether nobody else tries settings; while the block runs, nobody else begins to."""
        folder = self.run_dir(settings)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            try:
                held.enter_context(locked(folder.with_name(f"{folder.name}.trial"), wait=False))
            except BlockingIOError:
                yield False
                return
            yield True

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
        is_listed = settings is not None
        if settings is None and not self.space:  # another process took the last that waited
            self.study.tell(trial, state=self.states.FAIL)
            return False
        if settings is None:
            settings = suggest(trial, self.space)
            try:
                trial.set_user_attr("hash", self.hash_of(settings))
            except SettingsError as error:  # values of a space need not go together
                self.study.tell(trial, state=self.states.FAIL)
                print(f"\n{settings} is left out: {error}", flush=True)
                return True
            trial.set_user_attr("settings", settings)
        else:
            suggest(trial, {key: self.space[key] for key in inside(settings, self.space)})
        with self.claimed(settings) as is_ours:
            # Of several processes that were started at once each has put the list before the rest.
            if not is_ours or (is_listed and self.is_done(settings)):
                self.study.tell(trial, state=self.states.FAIL)
                return True
            self._try(trial, settings, judge)
        return True

    def _try(self, trial, settings: dict, judge) -> None:
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
