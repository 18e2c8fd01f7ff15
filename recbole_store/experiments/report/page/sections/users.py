"""A few users: what they had, what came next, and what each model recommended."""

from __future__ import annotations

from recbole_store.experiments.report.page.blocks import (
    Block,
    Cell,
    Example,
    Paragraph,
    Section,
    Table,
    missing,
)
from recbole_store.experiments.report.page.examples import (
    SHOWN_ITEMS,
    ItemNames,
    Lists,
    chosen_users,
    example_lists,
)
from recbole_store.experiments.report.page.formats import listed
from recbole_store.experiments.report.page.subject import FILTERS, Subject


def users(subject: Subject, names: ItemNames) -> Section:
    """The same users under every model whose run folder is there."""
    title, section_id = "Users", f"{subject.slug}-users"
    found: list[Lists] = []
    without = []
    for label in subject.labels:
        runs = subject.data.of(label)
        of_label = [lists for run in runs if (lists := example_lists(run, subject.own_filter))]
        found += of_label[:1]
        without += [] if of_label else [label]
    if not found:
        said = "No users are shown: no run folder with ranked.npz and histories.npz is there."
        return Section(section_id, title, [missing(said)])
    chosen = chosen_users(found)
    if not chosen:
        said = "No users are shown: the runs kept no example users in common."
        return Section(section_id, title, [missing(said)])
    said = f"Each model's first seed; {subject.own_filter}: {FILTERS[subject.own_filter]}. "
    said += (
        "Half of the users are those on whom the models differ most, if they differ; the others "
        "are drawn at random."
    )
    blocks: list[Block] = [Paragraph(said)]
    if without:
        blocks.append(missing(f"Their run folders are gone or lack the lists: {listed(without)}."))
    blocks += [
        _example(f"{section_id}-{n}", user, found, names) for n, user in enumerate(chosen, 1)
    ]
    return Section(section_id, title, blocks)


def _example(table_id: str, user: str, found: list[Lists], names: ItemNames) -> Example:
    first = found[0]
    row = first.users.index(user)
    (target,) = first.names(first.targets[row : row + 1])
    columns = [_column(lists, lists.users.index(user), target, names) for lists in found]
    return Example(
        user,
        _said(user, found),
        [names.title(raw_id) for raw_id in first.names(first.histories[row])],
        names.title(target),
        Table(
            table_id,
            f"The first {SHOWN_ITEMS} of each model; the target is highlighted",
            ["", *[lists.label for lists in found]],
            [
                [Cell(str(place + 1)), *[column[place] for column in columns]]
                for place in range(SHOWN_ITEMS)
            ],
            wide=True,
        ),
    )


def _column(lists: Lists, row: int, target: str, names: ItemNames) -> list[Cell]:
    raw_ids = lists.names(lists.ranked[row, :SHOWN_ITEMS])
    cells = [
        Cell(
            names.title(raw_id),
            lists.semantic_ids.get(raw_id, ("", ""))[0],
            "target" if raw_id == target else "",
            foreign=True,
        )
        for raw_id in raw_ids
    ]
    return cells + [Cell("")] * (SHOWN_ITEMS - len(cells))


def _said(user: str, found: list[Lists]) -> str:
    ranks = [(lists.label, int(lists.ranks[lists.users.index(user)])) for lists in found]
    said = [f"{label} {rank}" for label, rank in ranks if rank]
    lost = [label for label, rank in ranks if not rank]
    parts = [f"Rank of the target: {', '.join(said)}."] if said else []
    parts += [f"Not among those kept: {listed(lost)}."] if lost else []
    return " ".join(parts)
