"""Users as cards, and items as a tree of codes, from what the runs kept."""

from __future__ import annotations

import numpy as np

from recbole_store.experiments.results.examples import Examples

SHOWN_USERS, SHOWN_ITEMS = 5, 5


def chosen_users(examples: list[Examples], n_users: int = SHOWN_USERS, seed: int = 0) -> list[str]:
    """Users to show: half where the models differ most in whether they found the target.

    The choice looks at no model's name. The rest is drawn at random from the others, so that users
    whom every model fails are there as often as they are.
    """
    shared = set.intersection(*({*one.users.tolist()} for one in examples))
    users = [user for user in examples[0].users.tolist() if user in shared]
    ranks = np.array([[rank_of(one, user) for user in users] for one in examples])
    share = ((ranks > 0) & (ranks <= SHOWN_ITEMS)).mean(axis=0)
    order = [n for n in np.argsort(-share * (1 - share), kind="stable") if 0 < share[n] < 1]
    differing = order[: n_users // 2]
    rest = [n for n in range(len(users)) if n not in differing]
    drawn = np.random.default_rng(seed).permutation(rest)[: n_users - len(differing)]
    return [users[n] for n in [*differing, *drawn]]


def rank_of(one: Examples, user: str) -> int:
    """The target's place in the user's list; 0 where it is not."""
    return int(one.ranks[one.users.tolist().index(user)])


def cards(examples: dict[str, Examples]) -> list[dict]:
    """User, history, target, and what each label recommended; items are raw ids."""
    found = []
    for user in chosen_users(list(examples.values())) if examples else []:
        first = next(iter(examples.values()))
        row = first.users.tolist().index(user)
        lists = []
        for label, one in examples.items():
            listed = one.lists[one.users.tolist().index(user)][:SHOWN_ITEMS].tolist()
            lists.append((label, list(filter(None, listed)), rank_of(one, user)))
        card = {"user": user, "target": str(first.targets[row]), "lists": lists}
        found.append({**card, "history": list(filter(None, first.histories[row].tolist()))})
    return found


def branches(items: np.ndarray, codes: np.ndarray, depth: int = 0) -> list[dict]:
    """The tree of codes: a branch has ``code``, ``n`` and ``branches``, a leaf ``code``, ``item``.

    Example: codes [[7, 1], [7, 2], [5, 0]] -> a leaf "5 0" and a branch "7" of two leaves
    """
    found = []
    for code in np.unique(codes[:, depth]):
        own = codes[:, depth] == code
        if own.sum() == 1 or depth == codes.shape[1] - 1:
            leaves = zip(items[own].tolist(), codes[own].tolist(), strict=True)
            found += [{"code": " ".join(map(str, row)), "item": item} for item, row in leaves]
        else:
            begun = " ".join(map(str, codes[own][0, : depth + 1].tolist()))
            inner = branches(items[own], codes[own], depth + 1)
            found.append({"code": begun, "n": int(own.sum()), "branches": inner})
    return found
