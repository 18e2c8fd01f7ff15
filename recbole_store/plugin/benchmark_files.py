"""Benchmark files: splits that their author made, each row with its history ready.

RecBole numbers the items of the histories apart from the targets unless ``alias_of_item_id`` names
their column, so that histories hold other items; and histories longer than ``MAX_ITEM_LIST_LENGTH``
it hands to models that have no room for them.
"""

from __future__ import annotations

from recbole.data.dataset import SequentialDataset

from recbole_store.errors import SettingsError


def mend_histories(dataset, name: str) -> None:
    """Let the histories of RecBole's data set, just loaded, hold the items that their author meant.

    Every history ends with its latest items, of which each model has as many as it reads.

    Args:
        name: of the data set, for messages.

    Raises:
        SettingsError: a sequential model lacks histories, or some of them are empty.
    """
    config, rows = dataset.config, dataset.inter_feat
    suffix = config["LIST_SUFFIX"]
    histories = f"{dataset.iid_field}{suffix}"
    is_sequential = isinstance(dataset, SequentialDataset)
    if is_sequential and histories not in rows:
        raise SettingsError(
            f"The benchmark files of {name} have no column `{histories}:token_seq` that is loaded, "
            f"but {config['model']} reads the history of each row: add it, and name it in "
            "`load_col`."
        )
    if histories not in rows:
        return
    empty = rows[histories].map(len) == 0
    if is_sequential and empty.any():
        raise SettingsError(
            f"{empty.sum()} rows of the benchmark files of {name} have no item in `{histories}`: "
            f"{config['model']} has nothing to read there; leave them out of the files."
        )
    named = config["alias_of_item_id"] or []
    if histories not in named:
        config["alias_of_item_id"] = [*named, histories]
    longest = config["MAX_ITEM_LIST_LENGTH"]
    lists = [column for column in rows if column.endswith(suffix)]
    for column in lists if longest else ():
        if dataset.field2type[column].value.endswith("seq"):
            rows[column] = [values[-longest:] for values in rows[column]]
            dataset.field2seqlen[column] = min(dataset.field2seqlen[column], longest)
