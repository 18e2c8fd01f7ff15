"""What a single run ends with: three of its users, and what can be done next."""

from __future__ import annotations

from pathlib import Path

from recbole_store.data.item_titles import ItemTitles, read_item_titles
from recbole_store.errors import ItemTextError
from recbole_store.experiments.results.examples import condense_examples

USERS, LAST, FIRST = 3, 3, 5  # shown, of each its last items, and of each list the first


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
    lines = []
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
    """Commands for a finished model; none of a run that left no model."""
    model = run_dir / "model"
    if not (model / "config.json").is_file():
        return []
    return [
        "Next:",
        f"  recbole-store recommend {model} --items ITEM,ITEM   what comes behind these",
        f"  recbole-store explain {model} --item ITEM           its codes, and why it is there",
        f"  recbole-store serve {model}                         a page to try it on",
    ]
