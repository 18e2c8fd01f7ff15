"""A finished run as a comparison sees it: its result and, small, what it ranked for each user."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from recbole_store.errors import SettingsError
from recbole_store.experiments.results import slices
from recbole_store.experiments.results.list_metrics import recommended_counts
from recbole_store.experiments.results.rank_metrics import is_by_rank, per_user
from recbole_store.experiments.results.result_file import read_result
from recbole_store.experiments.results.run_key import Run

FILTERS = ("unfiltered", "filtered")  # items of the history stay candidates, or do not
CANDIDATES = "candidates"  # the test of an evaluation that does not rank the whole catalogue
LISTED = 10  # length of the lists whose coverage, Gini index and popularity are computed
_ARRAYS = {"users_digest", "depth", "target_counts", "history_lengths", "item_counts"}
SAME_DAY = "same_day"  # not known of data without times, and of older runs
_ARRAYS |= {f"{name}_{filter_name}" for name in ("ranks", "recommended") for filter_name in FILTERS}
SMALLER_IS_BETTER = ("rmse", "mae", "logloss")  # as RecBole has it


def condense(ranked: dict) -> dict[str, np.ndarray] | None:
    """A run folder's ``ranked.npz`` -> the small arrays that a results folder keeps.

    None if a user has several targets, as without leave-one-out: no rank gives its metrics then.

    Args:
        ranked: of U test users, K items each and a catalogue of n_items.

    Returns:
        ``users_digest`` (SHA-256 of raw ids of users and targets, in order), ``ranks_unfiltered``,
        ``ranks_filtered``, ``target_counts`` and ``history_lengths`` [U], ``item_counts``,
        ``recommended_unfiltered`` and ``recommended_filtered`` [n_items] (how often an item is
        among a user's first 10), ``depth`` (K: ranks up to it are complete), and where times are
        known ``same_day`` [U].
    """
    if len(np.unique(ranked["users"])) < len(ranked["users"]):
        return None
    item_counts = np.asarray(ranked["item_counts"])
    targets = np.asarray(ranked["raw_ids"])[ranked["targets"]]
    pairs = "\n".join(f"{u}\t{t}" for u, t in zip(ranked["users"], targets, strict=True))
    arrays = {
        "users_digest": np.array(hashlib.sha256(pairs.encode()).hexdigest()),
        "depth": np.array(ranked["items_unfiltered"].shape[1]),
        "target_counts": _smallest(ranked["target_counts"]),
        "history_lengths": _smallest(ranked["history_lengths"]),
        "item_counts": _smallest(item_counts),
    }
    if SAME_DAY in ranked:
        arrays[SAME_DAY] = np.asarray(ranked[SAME_DAY]).astype(np.uint8)
    for name in FILTERS:
        listed = recommended_counts(ranked[f"items_{name}"], len(item_counts), LISTED)
        arrays[f"ranks_{name}"] = _smallest(ranked[f"ranks_{name}"])
        arrays[f"recommended_{name}"] = _smallest(listed)
    return arrays


def _smallest(values: np.ndarray) -> np.ndarray:
    fits = len(values) == 0 or np.max(values) < 2**16
    return np.asarray(values).astype(np.uint16 if fits else np.int32)


@dataclass(frozen=True, eq=False)  # arrays have no one truth value
class KeptRun:
    """``result.json`` of a run and its condensed arrays; ``None`` for runs without ranks."""

    result: dict
    arrays: dict[str, np.ndarray] | None

    @classmethod
    def from_results(cls, path: Path) -> KeptRun:
        """Read ``<stem>.json`` and, where it is there, ``<stem>.npz`` of a results folder."""
        npz = path.with_suffix(".npz")
        arrays = None
        if npz.is_file():
            arrays = read_arrays(npz, _ARRAYS)
            _check_lengths(arrays, npz)
        kept = cls(read_result(path), arrays)
        if path.stem != kept.run.stem:
            raise SettingsError(f"{path} holds {kept.run}, whose file is {kept.run.stem}.json.")
        return kept

    @classmethod
    def from_run_dir(cls, run_dir: Path) -> KeptRun:
        """Read ``result.json`` and, where it is there, ``ranked.npz`` of a run folder."""
        npz = run_dir / "ranked.npz"
        arrays = condense(read_arrays(npz)) if npz.is_file() else None
        return cls(read_result(run_dir / "result.json"), arrays)

    @property
    def run(self) -> Run:
        r = self.result
        return Run(r["dataset"], r["model"], r.get("variant", ""), r["seed"])

    @property
    def label(self) -> str:
        return self.run.label

    @property
    def valid_metric(self) -> str:
        """The metric that chose the epoch, such as ``ndcg@10``."""
        return self.result["valid_metric"].lower()

    @property
    def evaluations(self) -> list[tuple[int, float]]:
        """(epoch from 1, valid metric) of each evaluation while training."""
        rows = self.result.get("curve", [])
        found = [(row["epoch"] + 1, row.get("valid_score")) for row in rows]
        return [(epoch, score) for epoch, score in found if score is not None]

    @property
    def curve(self) -> list[tuple[float, float]]:
        """(minutes since training began, valid metric) of each evaluation.

        The minutes include evaluations and, first of all, the tokenizer's stage.
        """
        seconds = self.result.get("store", {}).get("tokenizer_s") or 0.0
        points = []
        for row in self.result.get("curve", []):
            seconds += row.get("train_s", 0.0) + row.get("valid_s", 0.0)
            if row.get("valid_score") is not None:
                points.append((seconds / 60, row["valid_score"]))
        return points

    @property
    def converged(self) -> bool | None:
        """Whether training went on past its best evaluation, as with early stopping.

        False: the best was the last one, so a larger budget of epochs or hours, or a longer
        schedule, might have given a better one. None: the result does not say.
        """
        said = self.result.get("converged")
        scores = [score for _, score in self.evaluations]
        if said is not False or len(scores) < 2:
            return said
        smaller = self.valid_metric.partition("@")[0] in SMALLER_IS_BETTER
        return scores[-1] != (min if smaller else max)(scores)

    @property
    def is_filtered(self) -> bool:
        """Whether items of the history were left out where the run was validated and tested."""
        protocol = self.result["protocol"]
        return bool(protocol.get("filter_history", protocol.get("history_filtered", False)))

    @property
    def own_slice(self) -> str:
        """The slice that the run's ``test`` metrics are of.

        ``candidates/all`` if its evaluation ranked sampled or labelled candidates.
        """
        if CANDIDATES in self.result.get("tests", {}):
            return f"{CANDIDATES}/all"
        return f"{FILTERS[self.is_filtered]}/all"

    @property
    def lacks_ranks(self) -> bool:
        """Whether ranks should be here but are not: of one target a user, among all items."""
        split = self.result["protocol"].get("eval_args", {}).get("split", {})
        ranked_all = CANDIDATES not in self.result.get("tests", {})
        return self.arrays is None and "LS" in split and ranked_all

    @property
    def users_digest(self) -> str | None:
        """Which users and targets the run was tested on; None without ranks.

        A draw of cold items has slices of its own, even if all its users stay.
        """
        if self.arrays is None:
            return None
        digest = str(self.arrays["users_digest"])
        return f"{digest}, draw {self.run.seed}" if self.cold_share else digest

    @property
    def cold_share(self) -> float | None:
        """``cold_items`` of the run, the share of test items that it withheld."""
        return self.result.get("hashed_settings", {}).get("cold_items")

    @cached_property
    def masks(self) -> dict[str, np.ndarray]:
        """Slices of the test users; see :mod:`recbole_store.experiments.results.slices`."""
        names = ("target_counts", "history_lengths", "item_counts")
        return slices.user_slices(*(self.arrays[name] for name in names), self.arrays.get(SAME_DAY))

    def per_user(self, slice_name: str, metric: str) -> np.ndarray | None:
        """A metric of each test user in a slice such as ``filtered/target=tail``.

        None if the ranks do not tell: there are none, or the cut-off is beyond their depth.
        """
        filter_name, _, part = slice_name.partition("/")
        if self.arrays is None or filter_name not in FILTERS or part not in self.masks:
            return None
        if not is_by_rank(metric) or int(metric.partition("@")[2]) > int(self.arrays["depth"]):
            return None
        return per_user(self.arrays[f"ranks_{filter_name}"][self.masks[part]], metric)


def _check_lengths(arrays: dict[str, np.ndarray], path: Path) -> None:
    """One entry a user, or one an item, whole numbers all of them."""
    users = ("target_counts", "history_lengths", SAME_DAY, *(f"ranks_{name}" for name in FILTERS))
    items = ("item_counts", *(f"recommended_{name}" for name in FILTERS))
    for names in (users, items):
        for name in filter(arrays.__contains__, names):
            values, first = arrays[name], arrays[names[0]]
            if values.ndim != 1 or values.shape != first.shape or values.dtype.kind not in "iu":
                raise SettingsError(
                    f"{path}: `{name}` must be {first.size} whole numbers, as `{names[0]}` is, "
                    f"not {values.dtype}{list(values.shape)}. Run that model again."
                )
    if arrays["depth"].shape or arrays["depth"].dtype.kind not in "iu":
        raise SettingsError(f"{path}: `depth` is no whole number. Run that model again.")


def read_arrays(path: Path, needed: set[str] = frozenset()) -> dict[str, np.ndarray]:
    """All arrays of a ``.npz`` file.

    Raises:
        SettingsError: it cannot be read, or has not all that are needed.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = dict(arrays)
    except Exception as error:  # a flipped byte may break the zip, the packing or numpy's header
        said = str(error).rstrip(".") or type(error).__name__
        said = "it holds objects instead of arrays" if "pickled" in said else said
        raise SettingsError(f"Cannot read {path}: {said}. Run that model again.") from error
    if missing := needed - found.keys():
        raise SettingsError(f"{path} has no array `{min(missing)}`: run that model again.")
    return found
