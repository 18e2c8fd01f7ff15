"""items.parquet: a row an item, in the order of item_ids.

Columns: ``item_id`` (raw), ``semantic_id`` (codes), ``points``, ``training_count``, ``is_new``
(came after training), and behind them the text columns. One whose name is taken, whatever the case
of its letters, is kept as ``text:NAME``.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from recbole_store.data.prepare.database import database
from recbole_store.errors import ModelFolderError
from recbole_store.recommender.catalogue import PADDING, Catalogue

NAME = "items.parquet"
_OWN = ("item_id", "semantic_id", "points", "training_count", "is_new")


def write_items(
    path: Path, catalogue: Catalogue, semantic_ids: Tensor | None, points: Tensor | None
) -> None:
    """Write all items.

    Args:
        semantic_ids: int64 [N + 1, L], padding first; None for a model without.
        points: fp32 [N + 1, P]; None likewise.

    Raises:
        ModelFolderError: it cannot be written.
    """
    rows = pd.DataFrame({"item_id": [_whole(raw) for raw in catalogue.raw_ids[1:]]})
    for number, values in enumerate(catalogue.columns.values()):
        rows[f"t{number}__"] = [_whole(value) for value in values[1:]]
    texts = [
        f"t{number}__ AS {_quoted(name)}"
        for number, name in enumerate(_stored(list(catalogue.columns)))
    ]
    rows["training_count"] = catalogue.counts[1:]
    rows["is_new"] = np.arange(1, len(catalogue) + 1) > catalogue.n_fitted
    codes = _numbered("c", semantic_ids, "int32", len(rows))
    coordinates = _numbered("p", points, "float32", len(rows))
    listed = {"INTEGER[]": ("semantic_id", codes), "FLOAT[]": ("points", coordinates)}
    arrays = [
        f"[{', '.join(part.columns)}]::{kind} AS {name}" for kind, (name, part) in listed.items()
    ]
    chosen = ["item_id", *arrays, "training_count", "is_new", *texts]
    try:
        with database() as connection:
            connection.register("rows", pd.concat([rows, codes, coordinates], axis=1))
            connection.execute(
                f"COPY (SELECT {', '.join(chosen)} FROM rows) TO '{_path(path)}' "
                "(FORMAT parquet, COMPRESSION zstd)"
            )
    except duckdb.Error as error:
        said = " ".join(str(error).split())[:200]
        raise ModelFolderError(f"{path} cannot be written: {said}.") from error


def read_items(
    path: Path, columns: list[str], templates: dict[str, str]
) -> tuple[Catalogue, Tensor, Tensor]:
    """The catalogue, semantic IDs int64 [N + 1, L] and points fp32 [N + 1, P], padding first.

    Args:
        columns: the text columns' own names, in their order.
        templates: see :class:`Catalogue`.

    Raises:
        ModelFolderError: it is no such file.
    """
    try:
        with database() as connection:
            source = f"FROM read_parquet('{_path(path)}')"
            described = connection.execute(f"DESCRIBE SELECT * {source}").fetchall()
            texts = [name for name, *_ in described if name not in _OWN]
            chosen = ["item_id", *map(_quoted, texts), "training_count", "is_new"]
            rows = connection.execute(f"SELECT {', '.join(chosen)} {source}").fetchnumpy()
            n_items = len(rows["item_id"])
            lists = [
                connection.execute(f"SELECT unnest({name}) AS x {source}").fetchnumpy()["x"]
                for name in ("semantic_id", "points")
            ]
    except duckdb.Error as error:
        said = " ".join(str(error).split())[:200]
        raise ModelFolderError(f"{path} cannot be read as a table of items: {said}.") from error
    if len(texts) != len(columns):
        raise ModelFolderError(
            f"{path} has {len(texts)} text columns, but config.json names {len(columns)}."
        )
    catalogue = Catalogue(
        raw_ids=[PADDING, *rows["item_id"].tolist()],
        columns={
            column: ["", *rows[name].tolist()] for column, name in zip(columns, texts, strict=True)
        },
        templates=templates,
        counts=np.concatenate([[0], rows["training_count"].astype(np.int64)]),
        n_fitted=int(n_items - rows["is_new"].sum()),
    )
    codes, points = (
        np.concatenate([np.zeros(part.size // max(n_items, 1)), part]).reshape(n_items + 1, -1)
        for part in (np.asarray(values) for values in lists)
    )
    return (
        catalogue,
        torch.from_numpy(codes.astype(np.int64)),
        torch.from_numpy(points.astype(np.float32)),
    )


def _numbered(letter: str, table: Tensor | None, kind: str, n_rows: int) -> pd.DataFrame:
    """A table [N + 1, n] as columns c0, c1, ... of items 1 to N."""
    values = np.zeros((n_rows, 0)) if table is None else table[1:].cpu().numpy()
    names = [f"{letter}{n}__" for n in range(values.shape[1])]
    return pd.DataFrame(values.astype(kind), columns=names)


def _stored(columns: list[str]) -> list[str]:
    """Names that differ from each other and from ours also where case does not count."""
    found: list[str] = []
    for column in columns:
        while column.lower() in {*_OWN, *(name.lower() for name in found)}:
            column = f"text:{column}"
        found.append(column)
    return found


def _whole(text: str) -> str:
    """Without halves of characters, which UTF-8 does not have."""
    return text.encode("utf-8", "replace").decode()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _path(path: Path) -> str:
    return str(path).replace("'", "''")
