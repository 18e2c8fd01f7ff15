"""What the command line asks for, once its words are understood: one run, or a comparison."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from recbole_store.errors import SettingsError
from recbole_store.experiments.comparison.plan import plan
from recbole_store.experiments.results.run_key import Run
from recbole_store.experiments.run.logs import NORMAL, QUIET
from recbole_store.experiments.run.run_folder import (
    SETTINGS,
    read_identity,
)
from recbole_store.plugin.profiles.auto import profile_of
from recbole_store.settings.profile import AUTO, Profile
from recbole_store.settings.property_files import is_path, variant_name
from recbole_store.settings.resolve import resolve

SEED = 2020  # RecBole's default
LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Request:
    """The command line, understood.

    Attributes:
        labels: (model, variant) pairs.
        typed: properties and their texts.
        compared_with: models of the comparison that this run is part of.
        begun: what the folder says of the run that goes on in it; None: a run that is asked for.
        table: whether to print one at the end.
        verbosity: QUIET, NORMAL or VERBOSE of :mod:`recbole_store.experiments.run.logs`.
        json_to: where one JSON object is written at the end, instead of tables; None: nowhere.
    """

    labels: list[tuple[str, str]]
    datasets: list[str]
    n_seeds: int
    files: list[Path]
    profile: str | None
    typed: dict[str, str]
    compared_with: list[str]
    run_dir: Path | None
    beside: Path | None
    results: Path | None
    again: bool
    replace: bool
    table: bool
    verbosity: str = NORMAL
    json_to: TextIO | None = None
    begun: dict | None = None

    def say(self, line: str) -> None:
        """Print a line on what goes on, unless that was not wanted."""
        if self.verbosity != QUIET:
            print(line, flush=True)

    def of_folder(self, folder: Path) -> Request:
        """The request of a run that was cut off, from its folder.

        It is kept where it was to be kept when it began, unless another results folder is named.

        Raises:
            SettingsError: the folder holds no run.
        """
        begun = read_identity(folder)
        return replace(
            self,
            labels=[(begun["model"], begun["variant"])],
            datasets=[begun["dataset"]],
            n_seeds=1,
            files=[folder / SETTINGS],
            compared_with=begun["models"],
            run_dir=folder,
            results=self.results or (Path(begun["results"]) if "results" in begun else None),
            begun=begun,
        )

    @property
    def is_single(self) -> bool:
        return len(self.labels) * len(self.datasets) * self.n_seeds == 1

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys([model for model, _ in self.labels] + self.compared_with))


def resolve_all(request: Request) -> dict[Run, dict]:
    """Runs in their order, each with its settings.

    Raises:
        SettingsError: for the first thing that is wrong with any of them.
    """
    resolved = {
        (dataset, model, variant_name(model, variant)): resolve(
            model,
            dataset,
            request.files,
            request.typed,
            request.models,
            profile_for(request, dataset, (model, variant)),
            "" if request.begun else variant,  # its settings are in the folder
        )
        for dataset in request.datasets
        for model, variant in request.labels
    }
    seed = next(iter(resolved.values())).get("seed", SEED)
    if seed + request.n_seeds - 1 > LARGEST_SEED:
        raise SettingsError(
            f"`seed` is {seed}, and --seeds={request.n_seeds} would go on beyond {LARGEST_SEED}: "
            "lower one of them."
        )
    runs = plan(request.labels, request.datasets, seed, request.n_seeds)
    return {
        run: {**resolved[run.dataset, run.model, run.variant], "seed": run.seed} for run in runs
    }


def profile_for(request: Request, dataset: str, label: tuple[str, str]) -> Profile | None:
    """The profile of a model's run on a data set; a run that goes on keeps its own."""
    if request.begun:
        kept = request.begun.get("profile")
        return Profile.of_kept(kept) if kept else None
    about = (request.files, request.typed, request.models)
    return profile_of(request.profile, label, dataset, *about)


def names_run(profile: str | None) -> bool:
    """Whether a run is called after the profile that was asked for: it is another one then."""
    return profile is not None and profile != AUTO and not is_path(profile)
