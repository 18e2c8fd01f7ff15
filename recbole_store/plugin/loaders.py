"""Batches of rows of similar length: what is padded is computed for nothing."""

from __future__ import annotations

from collections.abc import Iterator

from recbole.data.interaction import cat_interactions

from recbole_store.llm.length_batches import POOL, similar_lengths


class AroundLoader:
    """What RecBole's trainer asks of a dataloader, from one whose batches are made into others."""

    def __init__(self, loader):
        self.loader, self.shuffle = loader, loader.shuffle

    @property
    def sampler(self):
        return self.loader.sampler

    def __len__(self) -> int:
        return len(self.loader)


class SimilarLengths(AroundLoader):
    """A RecBole dataloader whose batches hold rows of similar length.

    Args:
        loader: yields Interactions, in random order; each row comes as often as there.
        length_field: field with a row's length.
    """

    def __init__(self, loader, length_field: str):
        super().__init__(loader)
        self.length_field = length_field

    def __iter__(self) -> Iterator:
        pool = []
        for batch in self.loader:
            pool.append(batch)
            if len(pool) == POOL:
                yield from self._regrouped(pool)
                pool = []
        if pool:
            yield from self._regrouped(pool)

    def _regrouped(self, pool: list) -> Iterator:
        rows = cat_interactions(pool)
        for batch in similar_lengths(rows[self.length_field], len(pool[0])):
            yield rows[batch]


class Rest(AroundLoader):
    """A RecBole dataloader behind the batches of an epoch that were read already.

    The loader's generator must stand where it stood as the epoch began. Batches that were read are
    only counted: putting one together may draw random numbers, which were drawn already.
    """

    def __init__(self, loader, n_read: int):
        super().__init__(loader)
        self.n_read = n_read

    def __iter__(self) -> Iterator:
        put_together, left = self.loader.collate_fn, self.n_read

        def skip(index):
            nonlocal left
            if left == 0:
                return put_together(index)
            left -= 1
            return None

        self.loader.collate_fn = skip
        try:
            batches = iter(self.loader)  # which asks for the method once
        finally:
            self.loader.collate_fn = put_together
        for place, batch in enumerate(batches):
            if place >= self.n_read:
                yield batch
