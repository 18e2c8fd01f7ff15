"""What a user had before: the items that leave the ranking with ``filter_history: True``.

RecBole hides them for general models only. Published figures of sequential models differ in it,
and it moves them a lot, so here it is one key for every model.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from recbole.utils import ModelType
from torch import Tensor


class SeenItems(NamedTuple):
    """Items of each user, all users' behind each other."""

    items: Tensor  # int64 [n_pairs], the users' in turn, each item once a user
    starts: Tensor  # int64 [n_users + 1]

    @classmethod
    def of_pairs(cls, users: Tensor, items: Tensor, n_users: int, n_items: int) -> SeenItems:
        """From pairs in any order, int64 [n] each; item_id 0 is none."""
        keys = (users * n_items + items)[items > 0].unique()
        counts = torch.bincount(keys // n_items, minlength=n_users)
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return cls(keys % n_items, starts)

    def of_users(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """Rows (places in ``users`` [B]) and item_ids of all pairs, int64 [n] each."""
        return _pieces(self.items, self.starts[users], self.starts[users + 1])


class EarlierTargets(NamedTuple):
    """The targets of one split, those of a user behind each other in his order."""

    items: Tensor  # int64 [n_rows]
    firsts: Tensor  # int64 [n_rows], for each row of the split: where its user's targets begin
    places: Tensor  # int64 [n_rows], and where its own target stands

    @classmethod
    def of_split(cls, split) -> EarlierTargets:
        """Of a sequential data set, whose rows are in time order for each user."""
        rows = split.inter_feat
        users, order = rows[split.uid_field].sort(stable=True)
        places = torch.empty_like(order)
        places[order] = torch.arange(len(order))
        return cls(rows[split.iid_field][order], torch.searchsorted(users, users)[places], places)

    def of_rows(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Places in ``rows`` [B] and the item_ids that their users had before in this split."""
        return _pieces(self.items, self.firsts[rows], self.places[rows])


def _pieces(values: Tensor, begins: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    """Pieces of a vector behind each other.

    Example: values [5, 6, 7, 8], begins [0, 3], ends [2, 4] -> ([0, 0, 1], [5, 6, 8])
    """
    counts = ends - begins
    pieces = torch.repeat_interleave(counts)
    step = torch.arange(len(pieces)) - (counts.cumsum(0) - counts)[pieces]
    return pieces, values[begins[pieces] + step]


def seen_before(dataset) -> SeenItems:
    """Items of each user in the splits before an evaluation's, RecBole's ``dataset``.

    Rows of sequential data are "history -> target". All targets, and the first item of each
    history, are all items that a user has there, whatever ``MAX_ITEM_LIST_LENGTH`` cut off; rows
    of benchmark files need not be one a target, so there whole histories count, for a general
    model those of the evaluation's own rows as well.
    """
    nothing = torch.zeros(0, dtype=torch.long)
    users, items = [nothing], [nothing]
    for split in [*dataset.earlier_splits, dataset]:
        rows, columns = split.inter_feat, []
        if split is not dataset:
            columns.append(rows[split.iid_field])
            if split.in_gap is not None:
                users.append(split.in_gap[0])
                items.append(split.in_gap[1])
        if history_field(split) in rows and (split is not dataset or not is_sequential(dataset)):
            histories = rows[history_field(split)]
            columns += histories.T if split.benchmark_filename_list else [histories[:, 0]]
        for column in columns:
            users.append(rows[split.uid_field])
            items.append(column)
    return SeenItems.of_pairs(
        torch.cat(users), torch.cat(items), dataset.user_num, dataset.item_num
    )


def history_field(dataset) -> str:
    """Field of the histories, in the rows of sequential data and of some benchmark files."""
    return dataset.iid_field + dataset.config["LIST_SUFFIX"]


def is_sequential(dataset) -> bool:
    """Whether the data are for a sequential model: rows "history -> target"."""
    return dataset.config["MODEL_TYPE"] == ModelType.SEQUENTIAL


def excluded_pairs(
    dataset, n_rows: int, positive_u: Tensor, positive_i: Tensor, seen: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor] | None:
    """What to hide from a batch's ranking: rows and item_ids, int64 [n] each, rows ascending.

    That is what its users had before, and what ``dataset.also_excluded`` hides from everybody, but
    never a target.

    Args:
        dataset: of the evaluation.
        n_rows: of the batch.
        positive_u, positive_i: row and item_id of each target.
        seen: rows and item_ids, in any order; None where seen items are ranked.

    Returns:
        None where nothing is hidden.
    """
    n_items = dataset.item_num
    pairs = [] if seen is None else [seen]
    if dataset.also_excluded is not None:
        rows = torch.arange(n_rows).repeat_interleave(len(dataset.also_excluded))
        pairs.append((rows, dataset.also_excluded.repeat(n_rows)))
    if not pairs:
        return None
    keys = torch.cat([rows * n_items + items for rows, items in pairs]).unique()
    targets = positive_u.cpu() * n_items + positive_i.cpu()
    keys = keys[~torch.isin(keys, targets)]
    return keys // n_items, keys % n_items


def history_pairs(dataset, interaction, index) -> tuple[Tensor, Tensor]:
    """Rows and item_ids of what the users of a batch had before.

    Args:
        dataset: of the evaluation, with ``earlier_splits``.
        interaction: B rows.
        index: their places in the data set; of a general model, which has a row a user, of no use.
    """
    if dataset.seen_items is None:
        dataset.seen_items = seen_before(dataset)
        if is_sequential(dataset) and not dataset.benchmark_filename_list:
            dataset.earlier_targets = EarlierTargets.of_split(dataset)
    pairs = [dataset.seen_items.of_users(interaction[dataset.uid_field].cpu())]
    if is_sequential(dataset):
        history = interaction[history_field(dataset)].cpu()
        rows, places = history.nonzero(as_tuple=True)
        pairs.append((rows, history[rows, places]))
    if dataset.earlier_targets is not None:
        pairs.append(dataset.earlier_targets.of_rows(torch.as_tensor(index)))
    rows, items = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    return rows, items
