"""One line an epoch, also where an evaluation is not due."""

from types import SimpleNamespace

import pytest

from recbole_store.experiments.run.epoch_log import EpochLog, scores_in


class Trainer:
    """As RecBole's: two batches an epoch, an evaluation after every ``eval_step`` of them."""

    valid_metric, valid_metric_bigger, best_valid_score = "NDCG@10", True, 0.5

    def __init__(self, eval_step: int):
        self.eval_step = eval_step

    def _train_epoch(self, train_data, epoch_idx):
        return (2.0 * epoch_idx, 4.0)

    def _valid_epoch(self, valid_data):
        return 0.25, {"ndcg@10": 0.25}

    def fit(self, epochs: int) -> None:
        for epoch in range(epochs):
            self._train_epoch(range(2), epoch)
            if self.eval_step > 0 and (epoch + 1) % self.eval_step == 0:
                self._valid_epoch(SimpleNamespace())


@pytest.mark.parametrize(("eval_step", "evaluated"), [(1, [0, 1, 2]), (2, [1]), (0, [])])
def test_every_epoch_has_one_line(caplog, eval_step, evaluated):
    trainer = Trainer(eval_step)
    epochs = EpochLog(trainer).epochs
    with caplog.at_level("INFO", logger="recbole_store.experiments.run.epoch_log"):
        trainer.fit(3)
    for epoch, (line, row) in enumerate(zip(caplog.messages, epochs, strict=True)):
        assert line.startswith(f"epoch   {epoch + 1}   loss {epoch:.4f} + 2.0000   ")
        assert ("NDCG@10 0.2500" in line) == ("valid_score" in row) == (epoch in evaluated)
        assert line.count("train 0 s") == 1


def test_losses_have_names_and_chance_has_its_loss(caplog):
    trainer = Trainer(1)
    trainer.model = SimpleNamespace(loss_names=("next item", "alignment"), chance_loss=4.5)
    EpochLog(trainer)
    with caplog.at_level("INFO", logger="recbole_store.experiments.run.epoch_log"):
        trainer.fit(1)
    said = "epoch   1   loss 0.0000 next item (chance 4.5000) + 2.0000 alignment   NDCG@10 0.2500"
    assert caplog.messages[0].startswith(said)
    assert scores_in(caplog.messages[0]) == {0: 0.25}


def test_what_learns_nothing_has_no_loss(caplog):
    trainer = Trainer(1)
    trainer.learns = False
    EpochLog(trainer)
    with caplog.at_level("INFO", logger="recbole_store.experiments.run.epoch_log"):
        trainer.fit(1)
    assert caplog.messages[0].startswith("nothing to train   NDCG@10 0.2500")


def test_scores_are_read_from_what_is_logged():
    said = """2026-01-01 08:00:01 INFO epoch   0   loss 7.0874   train 30 s
2026-01-01 08:00:31 INFO epoch   1   loss 6.7 + 0.4   ndcg@10 0.0748  best so far   train 28 s
2026-01-01 08:01:02 INFO epoch  12   loss 6.1 + 0.3   recall@20 0.1773   train 29 s, evaluation 9 s
"""
    assert scores_in(said) == {0: 0.0748, 11: 0.1773}
    assert scores_in("") == {}
