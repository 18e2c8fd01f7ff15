"""A gap between training and validation (``validation_gap``), so that validation is like the test.

By leave-one-out a model is validated on the target right behind its training histories, and tested
on the one after that. A model that learns training histories by heart knows exactly the history in
front of a validation target, and not the one in front of a test target, so validation favours it.
With a gap of one, each user's last training target is left out of training: then there is one item
in the history of validation, as in the test's, that no training target was.
"""

from __future__ import annotations

import torch

from recbole_store.errors import SettingsError
from recbole_store.plugin.cold_items import check_leave_one_out


def leave_gap(train, gap: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Leave each user's last training targets out, in place; histories keep them.

    Args:
        train: RecBole's training split, by leave-one-out, a user's rows in time order.
        gap: targets to leave out, of each user.

    Returns:
        user_ids and item_ids of what was left out, int64 [n] each.

    Raises:
        SettingsError: the data are not split by leave-one-out, or no training target remains.
    """
    check_leave_one_out(train, "validation_gap")
    rows = train.inter_feat
    users = rows[train.uid_field]
    order = users.argsort(stable=True)
    ends = torch.searchsorted(users[order], users[order], right=True)
    n_later = torch.empty_like(order)
    n_later[order] = ends - 1 - torch.arange(len(users))
    left_out = n_later < gap
    train.inter_feat = rows[~left_out]
    if len(train.inter_feat) == 0:
        raise SettingsError(
            f"`validation_gap` is {gap}, which leaves no training target: lower it."
        )
    return users[left_out], rows[train.iid_field][left_out]
