"""What a user had before: the items that leave the ranking with ``filter_history: True``.

RecBole hides them for general models only. Published figures of sequential models differ in it,
and it moves them a lot, so here it is one key for every model.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
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
        counts = self.starts[users + 1] - self.starts[users]
        rows = torch.repeat_interleave(counts)
        ends = counts.cumsum(0)
        place = torch.arange(len(rows)) - (ends - counts)[rows]
        return rows, self.items[self.starts[users][rows] + place]


def seen_in_splits(splits: list, n_users: int, n_items: int) -> SeenItems:
    """Items of each user in RecBole's data sets of the splits before an evaluation's.

    Rows of sequential data are "history -> target". All targets, and the first item of each
    history, are all items that a user has there, whatever ``MAX_ITEM_LIST_LENGTH`` cut off; rows
    of benchmark files need not be one a target, so there whole histories count.
    """
    users, items = [], []
    for split in splits:
        rows = split.inter_feat
        columns = [rows[split.iid_field]]
        if history_field(split) in rows:
            histories = rows[history_field(split)]
            columns += histories.T if split.benchmark_filename_list else [histories[:, 0]]
        for column in columns:
            users.append(rows[split.uid_field])
            items.append(column)
    nothing = torch.zeros(0, dtype=torch.long)
    return SeenItems.of_pairs(
        torch.cat(users or [nothing]), torch.cat(items or [nothing]), n_users, n_items
    )


def history_field(dataset) -> str | None:
    """Field of the histories in a sequential data set's rows."""
    return getattr(dataset, f"{dataset.iid_field}_list_field", None)


def hidden_pairs(
    dataset, interaction, positive_u: Tensor, positive_i: Tensor, filter_history: bool = True
) -> tuple[Tensor, Tensor] | None:
    """What to hide from a batch's ranking: rows and item_ids, int64 [n] each, rows ascending.

    That is all a user had in the splits before, and the row's own history, never a target; and the
    items that ``dataset.also_hidden`` hides from everybody.

    Args:
        dataset: of the evaluation, with ``earlier_splits``.
        interaction: B rows.
        positive_u, positive_i: row and item_id of each target.

    Returns:
        None where nothing is hidden.
    """
    n_rows, n_items = len(interaction), dataset.item_num
    pairs = []
    if filter_history:
        pairs.append(_history_pairs(dataset, interaction))
    if dataset.also_hidden is not None:
        rows = torch.arange(n_rows).repeat_interleave(len(dataset.also_hidden))
        pairs.append((rows, dataset.also_hidden.repeat(n_rows)))
    if not pairs:
        return None
    keys = torch.cat([rows * n_items + items for rows, items in pairs]).unique()
    targets = positive_u.cpu() * n_items + positive_i.cpu()
    keys = keys[~torch.isin(keys, targets)]
    return keys // n_items, keys % n_items


def _history_pairs(dataset, interaction) -> tuple[Tensor, Tensor]:
    """Rows and item_ids of what the users had before."""
    if dataset.seen_items is None:
        dataset.seen_items = seen_in_splits(
            dataset.earlier_splits, dataset.user_num, dataset.item_num
        )
    rows, items = dataset.seen_items.of_users(interaction[dataset.uid_field].cpu())
    if history_field(dataset) in interaction:
        history = interaction[history_field(dataset)].cpu()
        own_rows, places = history.nonzero(as_tuple=True)
        rows = torch.cat([rows, own_rows])
        items = torch.cat([items, history[own_rows, places]])
    return rows, items


def filters_training(config) -> bool:
    """Whether training's softmax over items leaves out those of the history."""
    wanted = config["filter_training"]
    return config["filter_history"] if wanted is None else wanted


def without_seen(logits: Tensor, items: Tensor, is_target: Tensor) -> Tensor:
    """Logits of all items for each target of windows, -inf for padding and what stands before it.

    So a model does not learn how to rank what ``filter_history`` never ranks. The target keeps its
    logit where the user had it before; items that the window's length cut off are not known here.

    Args:
        logits: [n, n_items].
        items: item_ids [B, T + 1], the rows' targets included, right-padded by 0.
        is_target: bool [B, T], n of them True: item t + 1 is a target.
    """
    rows, places = is_target.nonzero(as_tuple=True)
    history = items[rows, :-1]
    is_later = torch.arange(history.size(1), device=items.device) > places[:, None]
    is_target_again = history == items[rows, places + 1][:, None]
    seen = history.masked_fill(is_later | is_target_again, 0)
    return logits.scatter(1, torch.nn.functional.pad(seen, (1, 0)), -torch.inf)
