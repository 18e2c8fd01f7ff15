"""What a model learns from windows: which of their items are targets, and how much each weighs."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_store.generator.windows import wanted_targets


class WindowTargets:
    """A part of RecBole's sequential models that learn all targets of a window in one pass."""

    def learn_windows(self, config, dataset) -> None:
        """Called by a model's constructor, with what RecBole gives it."""
        self.label_fields = (config["LABEL_FIELD"], config["LABEL_FIELD"] + config["LIST_SUFFIX"])
        # Rows of benchmark files overlap, so only their own target counts.
        self.only_last = dataset.window_rows is None
        self.targets_per_row = dataset.n_targets / max(len(dataset), 1)

    def wanted_targets(self, interaction) -> Tensor:
        """bool [B, T]: whether item t + 1 of a row is to be learnt."""
        return wanted_targets(
            interaction[self.ITEM_SEQ_LEN],
            interaction[self.ITEM_SEQ].size(1),
            self.only_last,
            *(interaction[field] if field in interaction else None for field in self.label_fields),
        )

    def usual_targets(self, is_target: Tensor) -> float:
        """How many targets so many rows have on average: what a batch's summed loss is divided by.

        So each target weighs the same in an epoch, in a batch of long windows or of short ones.

        Args:
            is_target: bool [B, T]; rows without any, such as sampled negatives, are none.
        """
        return max(int(is_target.any(1).sum()) * self.targets_per_row, 1)


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
