"""Items left out of training histories: which stay, how many, and what moves with them."""

from __future__ import annotations

import pytest
import torch
from planted_store import make_model, make_trainer, prepare, store_settings, working_in
from recbole.data.interaction import Interaction
from recbole.utils import init_seed

from recbole_store.plugin.item_dropout import ItemDropout, drop_items

N_ROWS, T = 400, 9


def rows() -> Interaction:
    """Histories of 1 to T items; whatever belongs to item i is i, 10 i or [i, -i]."""
    lengths = torch.randint(1, T + 1, (N_ROWS,), generator=torch.Generator().manual_seed(3))
    items = torch.arange(1, N_ROWS * T + 1).view(N_ROWS, T)
    items = items.masked_fill(torch.arange(T) >= lengths[:, None], 0)
    content = {"item_list": items, "time_list": items.float() * 10, "length": lengths}
    content |= {"codes_list": torch.stack([items, -items], dim=-1), "item": lengths * 7}
    return Interaction(content)


def is_subsequence(short: list[int], long: list[int]) -> bool:
    rest = iter(long)
    return all(item in rest for item in short)


def test_what_stays_keeps_its_order_and_what_belongs_to_it():
    before = rows()
    after = drop_items(before, 0.5, "length", "_list")
    lengths = after["length"]
    assert (lengths >= 1).all() and (lengths <= before["length"]).all()
    for row in range(N_ROWS):
        kept = after["item_list"][row, : lengths[row]].tolist()
        assert is_subsequence(kept, before["item_list"][row].tolist()) and 0 not in kept
        assert not after["item_list"][row, lengths[row] :].any()
    assert torch.equal(after["time_list"], after["item_list"].float() * 10)
    assert torch.equal(after["codes_list"][..., 0], after["item_list"])
    assert torch.equal(after["codes_list"][..., 1], -after["item_list"])
    assert torch.equal(after["item"], before["item"])  # a row's target is not in its history


def test_the_rows_given_stay_as_they_are():
    before, copy = rows(), rows()
    drop_items(before, 0.5, "length", "_list")
    for field in copy.interaction:
        assert torch.equal(before[field], copy[field])


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_the_share_is_that_asked_for_wherever_an_item_stands(share):
    torch.manual_seed(5)
    full = torch.arange(1, 5001 * T + 1).view(-1, T)
    batch = Interaction({"item_list": full, "length": torch.full((len(full),), T)})
    after = drop_items(batch, share, "length", "_list")["item_list"]
    stays = torch.isin(full, after).float().mean(0)
    assert stays.tolist() == pytest.approx([1 - share] * T, abs=0.03)


def test_a_history_of_one_item_keeps_it_and_no_share_drops_nothing():
    items, lengths = torch.tensor([[8, 0], [5, 6]]), torch.tensor([1, 2])
    batch = Interaction({"item_list": items, "length": lengths})
    for _ in range(20):
        assert drop_items(batch, 0.99, "length", "_list")["item_list"][0].tolist() == [8, 0]
    assert torch.equal(drop_items(batch, 0.0, "length", "_list")["item_list"], batch["item_list"])


class Loader:
    shuffle, sampler = True, "the sampler"

    def __len__(self):
        return 1

    def __iter__(self):
        yield rows()


def test_each_epoch_leaves_out_others():
    loader = ItemDropout(Loader(), 0.5, "length", "_list")
    (first,), (second,) = loader, loader
    assert not torch.equal(first["item_list"], second["item_list"])
    assert (len(loader), loader.shuffle, loader.sampler) == (1, True, "the sampler")


def test_training_alone_leaves_items_out(tiny_llm, planted, tmp_path):
    """What STORE learns from in an epoch, and what it is evaluated on."""
    changes = {"item_dropout": 0.5, "epochs": 1, "tokenizer_epochs": 0}
    with working_in(tmp_path):
        prepared = prepare(store_settings(tiny_llm, planted, **changes))
        whole = prepared.train.dataset[torch.arange(len(prepared.train.dataset))]
        model = make_model(prepared)
        trainer = make_trainer(prepared, model)
        init_seed(1, True)
        learnt, loss = [], model.calculate_loss

        def calculate_loss(interaction):
            learnt.append(interaction)
            return loss(interaction)

        model.calculate_loss = calculate_loss
        trainer._train_epoch(prepared.train, 0)
        evaluated = next(iter(prepared.valid))[0]
    n_learnt = sum(int(batch["item_length"].sum()) for batch in learnt)
    n_whole = int(whole["item_length"].sum())
    assert 0.45 < n_learnt / n_whole < 0.65
    for batch in learnt:  # codes are those of the items that stayed
        assert torch.equal(
            batch["semantic_id_item_id_list"], model.semantic_ids[batch["item_id_list"]]
        )
    lengths = prepared.valid.dataset.inter_feat["item_length"][: len(evaluated)]
    assert torch.equal(evaluated["item_length"], lengths)
