"""What a run says while it goes on: one line an epoch."""

from __future__ import annotations

import logging
import re
import time

log = logging.getLogger(__name__)


class EpochLog:
    """Times a trainer's epochs, keeps the learning curve, and prints one line an epoch."""

    def __init__(self, trainer):
        self.epochs: list[dict] = []
        self._trainer, self._metric = trainer, trainer.valid_metric
        if hasattr(trainer, "_train_epoch"):  # RecBole's tree models train all at once
            self._train_epoch, self._valid_epoch = trainer._train_epoch, trainer._valid_epoch
            trainer._train_epoch, trainer._valid_epoch = self._train, self._valid

    def _train(self, train_data, epoch_idx, *args, **kwargs):
        start = time.perf_counter()
        loss = self._train_epoch(train_data, epoch_idx, *args, **kwargs)
        seconds = time.perf_counter() - start
        parts = loss if isinstance(loss, tuple) else (loss,)
        means = [part / max(len(train_data), 1) for part in parts]
        self.epochs.append({"epoch": epoch_idx, "train_s": seconds, "losses": means})
        step = self._trainer.eval_step
        if step <= 0 or (epoch_idx + 1) % step:  # otherwise the evaluation completes the line
            log.info("%s   train %.0f s", self._begun_line(), seconds)
        return loss

    def _begun_line(self) -> str:
        row = self.epochs[-1]
        means = [f"{mean:.4f}" for mean in row["losses"]]
        if not getattr(self._trainer, "learns", True):
            return "nothing to train"
        model = getattr(self._trainer, "model", None)
        names = getattr(model, "loss_names", ())
        if len(means) == len(names) > 1:
            means = [f"{mean} {name}" for mean, name in zip(means, names, strict=True)]
        if chance := getattr(model, "chance_loss", None):
            means[0] += f" (chance {chance:.4f})"
        return f"epoch {row['epoch'] + 1:3d}   loss " + " + ".join(means)

    def _valid(self, *args, **kwargs):
        start = time.perf_counter()
        score, result = self._valid_epoch(*args, **kwargs)
        best = self._trainer.best_valid_score
        is_best = score >= best if self._trainer.valid_metric_bigger else score <= best
        row = self.epochs[-1]
        row.update(valid_s=time.perf_counter() - start, valid_score=score, valid=dict(result))
        log.info(
            "%s   %s %.4f%s   train %.0f s, evaluation %.0f s",
            self._begun_line(),
            self._metric,
            score,
            "  best so far" if is_best else "",
            row["train_s"],
            row["valid_s"],
        )
        return score, result


def scores_in(text: str) -> dict[int, float]:
    """Epoch, from 0, -> valid metric, of a log as :class:`EpochLog` writes it, from 1.

    Example: "epoch   3   loss 6.3   ndcg@10 0.0784  best so far   train 9 s" -> {2: 0.0784}
    """
    found = re.finditer(r"epoch +(\d+)   loss .*?   \S+@\d+ (\d\.\d+)", text)
    return {int(match[1]) - 1: float(match[2]) for match in found}
