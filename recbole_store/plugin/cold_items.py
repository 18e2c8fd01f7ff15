"""Cold items: some of the test's items never occur before it (``cold_items``).

The protocol is TIGER's (arXiv 2305.05065, section 4.3): a share of the items that are test targets
is withheld. The data are split first; then rows of training and validation with such a target go,
and the items go from every history, the test's too. Once they join, a cold item is a candidate for
every user, also for one from whose history it went. How recommenders treat them afterwards is
measured by :mod:`recbole_store.experiments.run.evaluate_cold`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from recbole_store.errors import SettingsError
from recbole_store.plugin.seen_items import history_field, is_sequential


def withhold(splits: list, share: float, seed: int) -> Tensor:
    """Choose cold items and take them out of RecBole's splits, in place.

    Args:
        splits: training, validation and test, by leave-one-out.
        share: of the test's different targets.

    Returns:
        item_ids of the cold items, int64, ascending.

    Raises:
        SettingsError: the data are not split by leave-one-out, or the share is not even one item.
    """
    train, valid, test = splits
    check_leave_one_out(train, "cold_items")
    targets = _common_targets(splits).unique()
    n_cold = round(share * len(targets))
    if n_cold == 0:
        raise SettingsError(
            f"`cold_items` is {share}, but of {len(targets)} test items that is none: raise it."
        )
    shuffled = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed))
    cold = targets[shuffled[:n_cold]].sort().values
    is_cold = torch.zeros(test.item_num, dtype=torch.bool)
    is_cold[cold] = True
    if is_cold[1:].all():
        raise SettingsError(_too_many(share))
    if is_sequential(train):
        _rewrite_histories(splits, is_cold)
    n_before = torch.zeros(train.user_num, dtype=torch.long)  # warm items of each user
    for split in splits:
        rows = split.inter_feat
        users, is_warm = rows[split.uid_field], ~is_cold[rows[split.iid_field]]
        kept = is_warm | torch.tensor(split is test)
        if is_sequential(train):
            kept &= rows[split.item_list_length_field] > 0
        elif split is not train:
            kept &= n_before[users] > 0
        n_before += torch.bincount(users[is_warm], minlength=len(n_before))
        split.inter_feat = rows[kept]
        if not kept.any():
            raise SettingsError(_too_many(share))
    return cold


def _too_many(share: float) -> str:
    return f"`cold_items` is {share}, which leaves no row to train, validate or test on: lower it."


def check_leave_one_out(dataset, key: str) -> None:
    """Refuse a setting that needs the leave-one-out split.

    Raises:
        SettingsError: RecBole's ``dataset`` is split in another way.
    """
    if dataset.benchmark_filename_list or set(dataset.config["eval_args"]["split"]) != {"LS"}:
        raise SettingsError(
            f"`{key}` needs the leave-one-out split: `eval_args: {{split: {{LS: valid_and_test}}}}`"
        )


def histories_without_cold(
    users: np.ndarray, histories: np.ndarray, test
) -> tuple[np.ndarray, np.ndarray]:
    """Histories as models see them, of those users who are still tested.

    Args:
        users: raw user ids [U].
        histories: item_ids [U, T]; cold items become padding, 0.
        test: RecBole's data set of the test split, without its cold items.
    """
    is_tested = np.isin(users, test.id2token(test.uid_field, test.inter_feat[test.uid_field]))
    is_warm = ~np.isin(histories, test.cold_items.numpy())
    return users[is_tested], np.where(is_warm, histories, 0)[is_tested]


def _common_targets(splits: list) -> Tensor:
    """The test's targets of users whom every model is tested on, so that all draw the same.

    RecBole tests general models on users of two items as well, who have no row for a target in
    sequential data but the one they are trained on.
    """
    rows = [split.inter_feat[split.uid_field] for split in splits]
    n_rows = torch.bincount(torch.cat(rows), minlength=splits[-1].user_num)
    fewest = 2 if is_sequential(splits[0]) else 3  # sequential data have none for a first item
    return splits[-1].inter_feat[splits[-1].iid_field][n_rows[rows[-1]] >= fewest]


def _rewrite_histories(splits: list, is_cold: Tensor) -> None:
    """Rows "history -> target" with histories of warm items alone, as long as they may be.

    A row's history was cut to ``MAX_ITEM_LIST_LENGTH`` with cold items in it, so it is made anew
    from the user's whole sequence: the first item, then the targets in their order.
    """
    dataset = splits[0]
    rows = [split.inter_feat for split in splits]
    users = torch.cat([part[dataset.uid_field] for part in rows])
    order = users.argsort(stable=True)  # a user's rows: training, validation, test
    in_place = torch.empty_like(order)
    in_place[order] = torch.arange(len(order))
    users = users[order]
    is_first = torch.ones_like(users, dtype=torch.bool)
    is_first[1:] = users[1:] != users[:-1]
    nth_user = is_first.long().cumsum(0) - 1
    # In one long sequence a user's first item stands before his targets.
    place = torch.arange(len(users)) + nth_user + 1
    begins = (place[is_first] - 1)[nth_user]
    suffix = dataset.config["LIST_SUFFIX"]
    fields = [name for name in rows[0].columns if name.endswith(suffix)]
    sequences = {}
    for field in fields:
        values = torch.cat([part[field.removesuffix(suffix)] for part in rows])[order]
        firsts = torch.cat([part[field][:, 0] for part in rows])[order][is_first]
        sequence = values.new_zeros(len(users) + len(firsts), *values.shape[1:])
        sequence[place], sequence[place[is_first] - 1] = values, firsts
        sequences[field] = sequence
    is_warm = ~is_cold[sequences[history_field(dataset)]]
    warm = is_warm.nonzero().squeeze(1)
    n_before = torch.cat([torch.zeros(1, dtype=torch.long), is_warm.long().cumsum(0)])
    end, begin = n_before[place], n_before[begins]  # in `warm`
    length = (end - begin).clamp(max=dataset.max_item_list_len)
    step = torch.arange(dataset.max_item_list_len)
    is_item = step < length[:, None]
    chosen = warm[((end - length)[:, None] + step).clamp(max=max(len(warm) - 1, 0))]
    starts = [0]
    for part in rows:
        starts.append(starts[-1] + len(part))
        of_part = in_place[starts[-2] : starts[-1]]
        for field, sequence in sequences.items():
            values = sequence[chosen[of_part]]
            shape = (*is_item[of_part].shape, *[1] * (values.dim() - 2))
            part[field] = values * is_item[of_part].view(shape)
        part[dataset.item_list_length_field] = length[of_part]
