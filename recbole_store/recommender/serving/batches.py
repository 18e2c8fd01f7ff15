"""Requests that arrive together share a batch; one thread asks the model.

While a batch is ranked, requests gather; they are the next one. So nobody waits for company, and
under load batches grow by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from recbole_store.recommender.recommender import Recommender

MOST_WAITING = 1024  # requests; more are told to come again
MOST_TOGETHER = 256  # requests of one batch, so that the first of them need not wait for long


class Request(NamedTuple):
    """One history to be ranked."""

    history: list[int]  # item_ids
    user: str
    k: int
    exclude_seen: bool
    only: tuple[str, ...] | None  # raw ids


class TooManyWaiting(Exception):
    """More requests than will be answered in time."""


class Batches:
    """Ranks requests in batches, and lets others have the model in between.

    Attributes:
        sizes: of the batches so far: their number, and that of their requests.
    """

    def __init__(self, store: Recommender):
        self.store = store
        self.sizes = [0, 0]
        self._waiting: asyncio.Queue[tuple[Request, asyncio.Future]] = asyncio.Queue()
        self._model = ThreadPoolExecutor(1, thread_name_prefix="model")  # one thread, one batch
        self._task: asyncio.Task | None = None

    def start(self) -> None:
        """Called in the event loop that asks."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Answer what is waiting, then stop."""
        await self._waiting.join()
        self._task.cancel()
        self._model.shutdown()

    @property
    def n_waiting(self) -> int:
        return self._waiting.qsize()

    async def rank(self, request: Request) -> tuple[np.ndarray, np.ndarray]:
        """item_ids and scores of a request's list.

        Raises:
            TooManyWaiting: see there.
        """
        if self.n_waiting >= MOST_WAITING:
            raise TooManyWaiting
        future = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((request, future))
        return await future

    async def with_model(self, task: Callable):
        """What a task returns that needs the model for itself."""
        return await asyncio.get_running_loop().run_in_executor(self._model, task)

    async def _run(self) -> None:
        while True:
            part = [await self._waiting.get()]
            while len(part) < MOST_TOGETHER and not self._waiting.empty():
                part.append(self._waiting.get_nowait())
            try:
                found = await self.with_model(lambda part=part: self._rank([r for r, _ in part]))
            except Exception as error:  # of all requests of the batch, none of them to blame
                found = [error] * len(part)
            for (_, future), result in zip(part, found, strict=True):
                if not future.done():  # a client may have gone
                    is_error = isinstance(result, Exception)
                    (future.set_exception if is_error else future.set_result)(result)
                self._waiting.task_done()

    def _rank(self, requests: list[Request]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Requests of one kind together; each gets the first k of the longest list."""
        self.sizes = [self.sizes[0] + 1, self.sizes[1] + len(requests)]
        kinds: dict[tuple, list[int]] = {}
        for place, request in enumerate(requests):
            kinds.setdefault((request.exclude_seen, request.only), []).append(place)
        found: list = [None] * len(requests)
        for (exclude_seen, only), places in kinds.items():
            try:
                lists = self.store.ranker.rank(
                    [requests[place].history for place in places],
                    [requests[place].user for place in places],
                    max(requests[place].k for place in places),
                    exclude_seen,
                    self.store.mask(only),
                )
            except Exception as error:  # other kinds may well go
                for place in places:
                    found[place] = error
                continue
            for row, place in enumerate(places):
                k = requests[place].k
                found[place] = (lists.items[row, :k], lists.scores[row, :k])
        return found
