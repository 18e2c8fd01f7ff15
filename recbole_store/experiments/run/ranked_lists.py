"""What each test user was recommended: ranked lists and the target's rank, beside the metrics.

Everything beyond the average - slices, paired tests, coverage, a look at single users - is made
from these files, without running a model again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import recbole_store.processes.ranks as ranks
from recbole_store.generator.beam_search import Beams
from recbole_store.plugin.shared_ranking import NOT_OURS, SharedCollector

DAY = 86_400  # seconds
N_EXAMPLES = 20  # users whose histories are kept for a look at them
EXAMPLE_HISTORY = 10  # items of such a history


def ranked_items(scores: Tensor | Beams, length: int) -> Tensor:
    """The best item_ids of each user, int64 [B, length]; 0 where there is none.

    Args:
        scores: a model's beams, or fp [B, n_items] with -inf for what is not to be ranked.
    """
    return scored_items(scores, length)[0]


def scored_items(scores: Tensor | Beams, length: int) -> tuple[Tensor, Tensor]:
    """:func:`ranked_items`, and their scores, fp32 [B, length]; -inf where there is none."""
    if isinstance(scores, Beams):
        items, best = scores.item_ids[:, :length], scores.log_probs[:, :length]
    else:
        best, items = scores.topk(min(length, scores.size(1)))
        items = items.masked_fill(best == -torch.inf, 0)
    empty = (0, length - items.size(1))
    return F.pad(items, empty).cpu(), F.pad(best.float(), empty, value=-torch.inf).cpu()


def ranks_of_targets(items: Tensor, targets: Tensor) -> Tensor:
    """Rank of each target [n] in its list [n, length], from 1; 0 where it is not in there.

    Example: items [[5, 3], [5, 3]], targets [3, 4] -> [2, 0]
    """
    is_target = items == targets[:, None]
    return torch.where(is_target.any(1), is_target.int().argmax(1) + 1, 0)


class RankedLists(NamedTuple):
    """What n users with a target each were recommended."""

    users: Tensor  # int64 [n]
    targets: Tensor  # item_ids [n]
    items: Tensor  # item_ids, the best first, [n, length]; 0 where there is none
    scores: Tensor  # fp32 [n, length]; -inf where there is none


class ListRecorder:
    """Keeps the ranked lists that go through a trainer's evaluation.

    Use: ``with ListRecorder(trainer, config) as recorder: trainer.evaluate(...)``.

    Attributes:
        length: items of a list.
    """

    def __init__(self, trainer, config):
        self._collector, self._user_field = trainer.eval_collector, config["USER_ID_FIELD"]
        # RecBole's own length: among equal scores a longer list might begin with others.
        self.length = max(config["topk"])
        self._parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def __enter__(self) -> ListRecorder:
        self._collect = self._collector.eval_batch_collect
        self._collector.eval_batch_collect = self._record
        return self

    def __exit__(self, *_):
        del self._collector.eval_batch_collect  # the class's own is in place again

    def _record(self, scores, interaction, positive_u, positive_i):
        self._collect(scores, interaction, positive_u, positive_i)
        if scores is NOT_OURS:
            return
        rows, targets = positive_u.cpu(), positive_i.cpu()
        users = interaction[self._user_field].cpu()[rows]
        items, best = scored_items(scores, self.length)
        self._parts.append((users, targets, items[rows], best[rows]))

    def table(self) -> RankedLists:
        """The lists of all batches, by user and target."""
        parts = self._parts
        if isinstance(self._collector, SharedCollector):
            parts = ranks.all_in_turn(parts)
        whole = RankedLists(*(torch.cat(part) for part in zip(*parts, strict=True)))
        order = np.lexsort((whole.targets.numpy(), whole.users.numpy()))
        return RankedLists(*(part[order] for part in whole))


class Popularity:
    """How often items and users occur before the test, counted alike for every model.

    RecBole's sequential data sets have no row for a user's first item, so this counts the whole
    data, as they are before the splits, and takes off what validation and test predict.

    Attributes:
        items: int [n_items] training interactions of each item, 0 for cold ones.
        users: int [n_users] interactions of each user before the test.
        same_day: bool [n_users], whether a user's last interaction has the date of the one before
            it; None without times.
    """

    def __init__(self, dataset):
        self._users = dataset.inter_feat[dataset.uid_field].to_numpy()
        self._items = dataset.inter_feat[dataset.iid_field].to_numpy()
        self.same_day: np.ndarray | None = None
        if dataset.time_field in dataset.inter_feat:
            times = dataset.inter_feat[dataset.time_field].to_numpy()
            self.same_day = ends_on_one_day(self._users, times, dataset.user_num)

    def take_off(self, valid, test) -> None:
        """Count, once the splits are known."""
        cold = test.cold_items.numpy()
        is_warm = ~np.isin(self._items, cold)
        self.items = np.bincount(self._items[is_warm], minlength=test.item_num)
        self.users = np.bincount(self._users[is_warm], minlength=test.user_num)
        for split in (valid, test):
            users, items = (values.numpy() for values in split.predicted)
            is_warm = ~np.isin(items, cold)
            self.items -= np.bincount(items[is_warm], minlength=test.item_num)
            if split is test:
                self.users -= np.bincount(users[is_warm], minlength=test.user_num)


def ranks_by_popularity(test_data, counts: np.ndarray, user_field: str) -> Tensor | None:
    """Rank of each test target among all items by their counts, [U] by user and target.

    Among items of equal counts the first item_ids come first. What the evaluation hides of a user's
    history is passed over. None where a user has several targets.

    Args:
        test_data: RecBole's loader of a full ranking.
        counts: int [n_items], training interactions of each item; of padding 0.
    """
    places = np.empty(len(counts), dtype=np.int64)
    places[1 + np.argsort(-counts[1:], kind="stable")] = np.arange(1, len(counts))
    places[0] = len(counts)
    places = torch.from_numpy(places)
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for interaction, hidden, rows, targets in test_data:
        rows, targets = torch.as_tensor(rows).cpu(), torch.as_tensor(targets).cpu()
        if len(rows.unique()) < len(rows):
            return None
        own = torch.zeros(len(interaction), dtype=torch.int64)
        own[rows] = places[targets]
        before = torch.zeros_like(own)
        if hidden is not None:
            of, items = (torch.as_tensor(part).cpu() for part in hidden)
            before.index_add_(0, of, (places[items] < own[of]).long())
        users = interaction[user_field].cpu()[rows]
        parts.append((users, targets, (own - before)[rows]))
    users, targets, ranks = (torch.cat(part) for part in zip(*parts, strict=True))
    return ranks[np.lexsort((targets.numpy(), users.numpy()))]


def ends_on_one_day(users: np.ndarray, times: np.ndarray, n_users: int) -> np.ndarray | None:
    """Whether each user's two latest interactions have one date, bool [n_users].

    None where times are no seconds since 1970: whole numbers of days are not known then.

    Example: users [1, 1, 2, 2], times [1e9, 2e9, 1e9, 1e9 + 7] -> [False, False, True]
    """
    if len(times) == 0 or times.min() < 0 or not 10**8 < times.max() < 10**10:  # 1973 to 2286
        return None
    order = np.lexsort((times, users))
    users, days = users[order], times[order] // DAY
    found = np.zeros(n_users, dtype=bool)
    is_last = np.append(users[1:] != users[:-1], True)[1:]  # with one before it
    has_pair = is_last & (users[1:] == users[:-1])
    found[users[1:][has_pair]] = (days[1:] == days[:-1])[has_pair]
    return found


def write_lists(
    path: Path,
    dataset,
    popularity: Popularity,
    tables: dict[str, RankedLists],
    by_popularity: Tensor | None = None,
) -> None:
    """Write ``ranked.npz``: a row for each test target, ordered by raw user id.

    Args:
        tables: "unfiltered" and "filtered" -> lists, row by row of the same users.
        by_popularity: the same users' :func:`ranks_by_popularity`, under the run's own filter.
    """
    users, targets, *_ = tables["unfiltered"]
    raw_users = dataset.field2id_token[dataset.uid_field][users.numpy()].astype(str)
    raw_ids = dataset.field2id_token[dataset.iid_field].astype(str)
    order = np.lexsort((raw_ids[targets.numpy()], raw_users))
    arrays = {
        "users": raw_users[order],
        "targets": targets.numpy()[order].astype(np.int32),
        "target_counts": popularity.items[targets.numpy()][order].astype(np.int32),
        "history_lengths": popularity.users[users.numpy()][order].astype(np.int32),
        "item_counts": popularity.items.astype(np.int32),
        "raw_ids": raw_ids,
    }
    if popularity.same_day is not None:
        arrays["same_day"] = popularity.same_day[users.numpy()][order]
    if by_popularity is not None:
        arrays["ranks_by_popularity"] = by_popularity.numpy()[order].astype(np.int32)
    for name, (_, its_targets, items, _) in tables.items():
        arrays[f"items_{name}"] = items.numpy()[order].astype(np.int32)
        places = ranks_of_targets(items, its_targets)
        arrays[f"ranks_{name}"] = places.numpy()[order].astype(np.int32)
    np.savez_compressed(path, **arrays)


def example_histories(dataset) -> tuple[np.ndarray, np.ndarray]:
    """Users to look at, and their last items before the test, from data that is not yet split.

    The test's item is taken to be the last, as leave-one-out has it. The choice depends on the raw
    user ids alone, so it is the same for every model.

    Returns:
        raw user ids [E]; item_ids [E, EXAMPLE_HISTORY], 0-padded on the left.
    """
    frame = dataset.inter_feat
    raw = dataset.field2id_token[dataset.uid_field]
    present = np.unique(frame[dataset.uid_field])
    chosen = sorted(present, key=lambda u: hashlib.sha256(str(raw[u]).encode()).hexdigest())
    chosen = np.array(chosen[:N_EXAMPLES])
    histories = np.zeros((len(chosen), EXAMPLE_HISTORY), dtype=np.int32)
    for row, user in enumerate(chosen):
        items = frame.loc[frame[dataset.uid_field] == user, dataset.iid_field].to_numpy()
        items = items[:-1][-EXAMPLE_HISTORY:]  # all but the test's, which is the last
        histories[row, EXAMPLE_HISTORY - len(items) :] = items
    return raw[chosen].astype(str), histories


def write_items(path: Path, dataset, model) -> None:
    """Write ``items.npz``: raw ids, semantic IDs [N, L] and principal components [N, <= 32]."""
    points = model.points[1:].cpu()
    _, _, axes = torch.pca_lowrank(points, q=min(32, *points.shape))
    np.savez_compressed(
        path,
        raw_ids=dataset.field2id_token[dataset.iid_field][1:].astype(str),
        semantic_ids=model.semantic_ids[1:].cpu().numpy().astype(np.int32),
        points=((points - points.mean(0)) @ axes).numpy().astype(np.float32),
    )
