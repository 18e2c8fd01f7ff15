"""What models' constructors read of RecBole's config and data set, without either."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from recbole_store.errors import ModelFolderError


class StandInConfig(dict):
    """A run's settings, read as RecBole's config is."""

    def __missing__(self, key):
        raise ModelFolderError(
            f"The model's config.json has no setting `{key}`: it was written by another version of "
            "recbole-store; train the model again, or use that version."
        )


class StandInDataset:
    """A catalogue, read as a training split of RecBole's is; it holds no interactions.

    Args:
        config: names the fields.
        fields: of items' texts, of padding first; None where the run had no texts.
        counts: training interactions of each item, padding first.
        n_levels: L.
    """

    window_rows = None
    n_targets = 0

    def __init__(self, config: Mapping, fields: list[list[str]] | None, counts, n_levels: int):
        self.item_texts = fields
        self.item_counter = dict(enumerate(counts))
        self.cold_items = torch.zeros(0, dtype=torch.long)
        self.semantic_ids = torch.zeros(len(counts), n_levels, dtype=torch.long)
        self.iid_field = config["ITEM_ID_FIELD"]
        self.item_list_length_field = config["ITEM_LIST_LENGTH_FIELD"]
        nothing = torch.zeros(0, dtype=torch.long)
        self.inter_feat = {
            self.iid_field: nothing,
            self.iid_field + config["LIST_SUFFIX"]: nothing[:, None],
            self.item_list_length_field: nothing,
        }
        setattr(self, f"{self.iid_field}_list_field", self.iid_field + config["LIST_SUFFIX"])

    def num(self, field: str) -> int:
        return len(self.item_counter)

    def __len__(self) -> int:
        return 0
