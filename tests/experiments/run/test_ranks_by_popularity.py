"""Ranks of test targets by popularity, against a slow count."""

from __future__ import annotations

import re

import numpy as np
import torch

from recbole_store.experiments.run.ranked_lists import ranks_by_popularity

COUNTS = np.array([0, 3, 9, 9, 0, 5])


def test_ties_go_by_item_and_hidden_items_are_passed_over():
    """Order of the items: 2, 3, 5, 1, 4."""
    users = torch.tensor([7, 3, 5])
    batch = ({"user": users}, None, torch.tensor([0, 1, 2]), torch.tensor([2, 4, 3]))

    class Rows(dict):
        def __len__(self):
            return 3

    rows = Rows(user=users)
    assert ranks_by_popularity([(rows, *batch[1:])], COUNTS, "user").tolist() == [5, 2, 1]
    hidden = (torch.tensor([1, 1, 2, 2]), torch.tensor([2, 5, 4, 2]))
    found = ranks_by_popularity([(rows, hidden, *batch[2:])], COUNTS, "user")
    assert found.tolist() == [3, 1, 1], "users 3, 5 and 7, in their order"


def test_several_targets_of_a_user_have_no_rank():
    class Rows(dict):
        def __len__(self):
            return 1

    batch = (Rows(user=torch.tensor([1])), None, torch.tensor([0, 0]), torch.tensor([1, 2]))
    assert ranks_by_popularity([batch], COUNTS, "user") is None


def test_it_is_pop(planted, capfd):
    """RecBole's Pop has these very ranks, but for items of equal counts."""
    from recbole_store import cli

    words = ["train", "--model=Pop", "--dataset=planted", f"--data_path={planted}", "--gpu_id="]
    assert cli.main([*words, "--run_dir=pop", "--filter_history=True"]) == 0
    said = re.findall(r"ndcg@10 (\d\.\d+)", capfd.readouterr().out)
    popular, pop = map(float, said[:2])  # before training, and Pop's own epoch
    assert abs(popular - pop) < 0.02 and pop > 0
    with np.load("pop/ranked.npz") as ranked:
        theirs, ours = ranked["ranks_filtered"], ranked["ranks_by_popularity"]
        counts, targets = ranked["item_counts"], ranked["targets"]
    listed = theirs > 0
    assert listed.sum() > 20 and (ours[~listed] > 5).all()
    n_alike = np.array([(counts == counts[target]).sum() for target in targets])
    assert (abs(theirs - ours)[listed] < n_alike[listed]).all()
    assert (theirs == ours)[listed & (n_alike == 1)].all()
