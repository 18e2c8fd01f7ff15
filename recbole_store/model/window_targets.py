"""What a model learns from windows: which of their items are targets, and how much each weighs."""

from __future__ import annotations

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

    def n_learnt(self, interaction) -> int:
        """How many of the rows have a target: what a mean over a batch is of."""
        return int(self.wanted_targets(interaction).any(1).sum())

    def mean_targets(self, is_target: Tensor) -> float:
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
