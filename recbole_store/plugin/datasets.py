"""RecBole's sequential data set, read in other ways, and with item texts and semantic IDs."""

from __future__ import annotations

import torch
from recbole.data.dataset import SequentialDataset

from recbole_store.data.item_texts import read_item_texts
from recbole_store.errors import SettingsError
from recbole_store.generator.windows import window_rows
from recbole_store.plugin.topk_collector import users_per_batch
from recbole_store.settings.checks import check_rules
from recbole_store.settings.keys import check_values, declared_keys
from recbole_store.tokenizer.semantic_ids import usual_codebook_size


class PluginDataset(SequentialDataset):
    """RecBole's sequential data set, for settings that are checked: RecBole's own routes do not.

    Raises:
        SettingsError: a key holds what it may not, or two do not go together.
    """

    def __init__(self, config):
        check_values(config.final_config_dict, declared_keys([config["model"]]))
        check_rules(config.final_config_dict)
        super().__init__(config)


class WindowDataset(PluginDataset):
    """RecBole's splits; the training split is then read through windows.

    RecBole keeps one row a target. One row of ``MAX_ITEM_LIST_LENGTH`` items plus its target
    holds that many targets, so every such row, counted back from each user's last, covers every
    target exactly once. Benchmark files come as separate rows and stay so.

    Attributes:
        window_rows: rows that make up the training windows; None for other splits.
        n_targets: items to predict; negatives, by the data's label, do not count.
    """

    window_rows = None

    def build(self):
        train, *others = super().build()
        if self.config["benchmark_filename"] is None:
            users = train.inter_feat[self.uid_field].numpy()
            train.window_rows = torch.from_numpy(window_rows(users, self.max_item_list_len))
        return [train, *others]

    @property
    def n_targets(self) -> int:
        if self.label_field in self.inter_feat:
            return int((self.inter_feat[self.label_field] > 0).sum())
        return len(self.inter_feat)

    def __len__(self):
        return super().__len__() if self.window_rows is None else len(self.window_rows)

    def __getitem__(self, index, join=True):
        rows = index if self.window_rows is None else self.window_rows[index]
        return super().__getitem__(rows, join)


class SASRecAllDataset(WindowDataset):
    """Windows of items, with texts where something asks for them.

    Attributes:
        item_texts: as a :class:`TextDataset`'s; None where they are not read.
    """

    def __init__(self, config):
        super().__init__(config)
        # Without texts cold items can still be withheld; nothing then says what they are like.
        reads_texts = config["text_weight"] or (config["cold_items"] and config["item_text"])
        self.item_texts = texts_of(self, config) if reads_texts else None


class TextDataset(PluginDataset):
    """RecBole's rows, one a target, of items that have texts.

    Attributes:
        item_texts: per item_id the fields of its text, one a column; none for padding (0).
    """

    def __init__(self, config):
        super().__init__(config)
        self.item_texts = texts_of(self, config)


def texts_of(dataset, config) -> list[list[str]]:
    """Per item_id of RecBole's data set the fields of its text.

    Raises:
        ItemTextError: they cannot be read.
    """
    return read_item_texts(
        config["data_path"],
        config["dataset"],
        dataset.field2id_token[dataset.iid_field],
        id_column=dataset.iid_field,
        templates=config["item_text"],
        separator=config["field_separator"],
        encoding=config["encoding"] or "utf-8",
    )


class TokenizedDataset(TextDataset):
    """RecBole's rows, one a target, of items that have texts and semantic IDs.

    Attributes:
        semantic_ids: int64 [n_items, L], all zero until the tokenizer has run. The splits are
            shallow copies that share it, so it is only ever written in place.
    """

    def __init__(self, config):
        super().__init__(config)
        if config["codebook_size"] is None:
            # Which items are cold is known once the data are split; not more than their share.
            n_cold = round((config["cold_items"] or 0) * (self.item_num - 1))
            n_known = max(self.item_num - 1 - n_cold, 1)
            config["codebook_size"] = usual_codebook_size(n_known, config["n_slots"])
        self._check_codebook(self.item_num - 1)
        config["eval_batch_size"] = users_per_batch(config, self.item_num)
        self.semantic_ids = torch.zeros(self.item_num, config["n_slots"] + 1, dtype=torch.long)

    def build(self):
        splits = super().build()
        self._check_codebook(self.item_num - 1 - len(splits[-1].cold_items))
        return splits

    def _check_codebook(self, n_items: int) -> None:
        size = self.config["codebook_size"]
        if size > n_items > 1:  # one item alone is no catalogue at all
            known = "" if n_items == self.item_num - 1 else " that are not cold"
            raise SettingsError(
                f"`codebook_size` is {size}, but {self.config['dataset']} has {n_items} items"
                f"{known}: a codebook cannot be larger than the catalogue; set it to {n_items}, "
                "or less."
            )


class TextWindowDataset(WindowDataset, TextDataset):
    """Windows of items that have texts."""


class STOREDataset(WindowDataset, TokenizedDataset):
    """Windows of items that have texts and semantic IDs."""


class TIGERDataset(TokenizedDataset):
    """Rows of items that have texts and semantic IDs; a bounded number a user in each epoch.

    Attributes:
        drawn: rows of the training split that this epoch shows; None for all, and other splits.
    """

    drawn = None

    def build(self):
        train, *others = super().build()
        if self.config["targets_per_user"] is not None:
            train.drawn = train._draw()
        return [train, *others]

    def draw_targets(self) -> None:
        """Choose the targets of the next epoch, by torch's generator; as many as before."""
        if self.drawn is not None:
            self.drawn = self._draw()

    def _draw(self) -> torch.Tensor:
        users = self.inter_feat[self.uid_field]
        return random_rows(users, self.config["targets_per_user"])

    def __len__(self):
        return super().__len__() if self.drawn is None else len(self.drawn)

    def __getitem__(self, index, join=True):
        return super().__getitem__(index if self.drawn is None else self.drawn[index], join)


def random_rows(users: torch.Tensor, at_most: int) -> torch.Tensor:
    """At most so many rows of each user, any with the same probability, ascending.

    Example: users [7, 7, 7, 9], at_most 2 -> [0, 2, 3] or another two of the first three
    """
    order = torch.randperm(len(users))
    order = order[users[order].argsort(stable=True)]  # users together, their rows in random order
    ranked = users[order]
    first = torch.searchsorted(ranked, ranked)  # where each row's user begins
    rank = torch.arange(len(users)) - first
    return order[rank < at_most].sort().values
