"""What a single run ends with: a verdict, three of its users, and what can be done next."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np

from recbole_store.data.item_titles import ItemTitles, read_item_titles
from recbole_store.errors import ItemTextError
from recbole_store.experiments.report.answer import answer, sentence
from recbole_store.experiments.results.examples import condense_examples
from recbole_store.experiments.results.kept_run import KeptRun, read_arrays
from recbole_store.experiments.results.rank_metrics import per_user
from recbole_store.experiments.results.significance import (
    METRIC,
    Pair,
    family_pairs,
    paired_difference,
    verdict,
)

POPULAR = "the most popular items"
SEEN_SAID = (
    "Lists of tests may repeat what a user had (--filter_history=True leaves it out); those of "
    "`recommend` do not."
)
USERS, LAST, FIRST = 3, 3, 5  # shown, of each its last items, and of each list the first


def answer_on(kept: KeptRun, run_dir: Path, beside: list[KeptRun]) -> str | None:
    """Of one run: against what stands beside it, and against the most popular items.

    None for a run of which no user's ranks are known, and for one with cold items.

    Args:
        beside: runs under the same protocol.
    """
    if kept.cold_share:
        return None
    said = [_beside(kept, beside)]
    if said == [None] or not any(one.run.model == "Pop" for one in [kept, *beside]):
        pair = against_popularity(kept, run_dir)
        said.append(pair and sentence(pair) + ".")
    return " ".join(filter(None, said)) or None


def _beside(kept: KeptRun, beside: list[KeptRun]) -> str | None:
    pairs = family_pairs([kept, *beside])
    if any(pair.a == kept.label for pair in pairs):
        return answer([kept, *beside], pairs=pairs)
    return next((sentence(turned(pair)) + "." for pair in pairs if pair.b == kept.label), None)


def turned(pair: Pair) -> Pair:
    """A pair of a family, seen from the other side."""
    said = {"ahead": "behind", "behind": "ahead"}.get(pair.verdict, pair.verdict)
    return replace(pair, a=pair.b, b=pair.a, difference=-pair.difference, verdict=said)


def against_popularity(kept: KeptRun, run_dir: Path) -> Pair | None:
    """A run against items ranked by their training interactions, under the run's own filter."""
    own = kept.per_user(kept.own_slice, METRIC)
    path = run_dir / "ranked.npz"
    if own is None or len(own) < 2 or not path.is_file():
        return None
    ranks = read_arrays(path).get("ranks_by_popularity")
    if ranks is None:
        return None
    theirs = per_user(np.asarray(ranks), METRIC)
    difference, error, p = paired_difference(own, theirs)
    rising = (kept.label,) if kept.converged is False else ()
    return Pair(
        kept.label,
        POPULAR,
        difference,
        error,
        p,
        len(own),
        p_holm=p,
        verdict=verdict(difference, p),
        still_rising=rising,
    )


def users_shown(run_dir: Path, dataset: str, data_path: Path, is_filtered: bool) -> list[str]:
    """Lines on a few users of the test; none of a run that kept no lists.

    Args:
        data_path: folder of the data sets, whose titles are shown.
        is_filtered: whether the run's own lists leave out items of the history.
    """
    found = condense_examples(run_dir, is_filtered)
    if found is None:
        return []
    users = range(min(USERS, len(found["users"])))
    histories = [[raw for raw in found["histories"][n] if raw][-LAST:] for n in users]
    lists = [[raw for raw in found["lists"][n] if raw][:FIRST] for n in users]
    shown = {raw for part in histories + lists for raw in part} | set(map(str, found["targets"]))
    titles = _titles(data_path, dataset, shown)
    lines = [] if is_filtered else [SEEN_SAID]
    for n, history, listed in zip(users, histories, lists, strict=True):
        lines.append(f"User {found['users'][n]} had {_named(history, titles)}")
        rank, target = int(found["ranks"][n]), str(found["targets"][n])
        lines += [
            f"  {place}  {titles.title(raw)}" + ("   <- what came next" if raw == target else "")
            for place, raw in enumerate(listed, start=1)
        ]
        if target not in listed:
            at = f"place {rank}" if rank else "not in the list"
            lines.append(f"  what came next: {titles.title(target)} ({at})")
    return lines


def _titles(data_path: Path, dataset: str, raw_ids: set[str]) -> ItemTitles:
    try:
        return read_item_titles(data_path, dataset, raw_ids)
    except ItemTextError:  # of data without texts; ids are shown
        return ItemTitles()


def _named(raw_ids: list[str], titles: ItemTitles) -> str:
    return ", then ".join(titles.title(raw) for raw in raw_ids) or "nothing"


def next_steps(run_dir: Path) -> list[str]:
    """Commands for a finished model, to be typed as they stand; none of a run without a model."""
    model = run_dir / "model"
    if not (model / "config.json").is_file():
        return []
    items, first = _asked(run_dir)
    behind = f"--items {shlex.quote(items)}"
    steps = [
        (f"recommend {model} {behind}", "what comes behind these"),
        (f"explain {model} --item {shlex.quote(first)} {behind}", "why an item is there"),
        (f"serve {model}", "a page to try it on"),
    ]
    width = max(len(words) for words, _ in steps)
    return ["Next:", *(f"  recbole-store {words:{width}}   {what}" for words, what in steps)]


def _asked(run_dir: Path) -> tuple[str, str]:
    """A user's last two items, and the first that the model gives them; ITEM where none are kept.

    Ids with a comma cannot be typed in a list.
    """
    found = condense_examples(run_dir, is_filtered=False)
    for history, listed in zip(found["histories"], found["lists"], strict=True) if found else ():
        last = [str(raw) for raw in history if raw and "," not in raw][-2:]
        if last and listed[0]:
            return ",".join(last), str(listed[0])
    return "ITEM,ITEM", "ITEM"
