"""What a run says while it goes on: one line an epoch for a person, everything in a file."""

from __future__ import annotations

import logging
import re
import sys
import time
import warnings
from pathlib import Path

import recbole_store.ranks as ranks

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
        return f"epoch {row['epoch']:3d}   loss " + " + ".join(f"{x:.4f}" for x in row["losses"])

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
    """Epoch -> valid metric, of a log as :class:`EpochLog` writes it.

    Example: "epoch   3   loss 6.3   ndcg@10 0.0784  best so far   train 9 s" -> {3: 0.0784}
    """
    found = re.finditer(r"epoch +(\d+)   loss .*?   \S+@\d+ (\d\.\d+)", text)
    return {int(match[1]): float(match[2]) for match in found}


def start_logging(log_file: Path) -> None:
    """Log to the console for a person, and to a file with times; keep libraries' chatter out.

    Of several processes the first one does.
    """
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    if not ranks.is_first():
        quiet_libraries()
        return
    console = logging.StreamHandler(sys.stdout)
    console.setFormatter(logging.Formatter("%(message)s"))
    console.addFilter(lambda record: record.name.startswith("recbole_store"))
    file = logging.FileHandler(log_file, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root.setLevel(logging.INFO)
    for handler in (console, file):
        root.addHandler(handler)
    quiet_libraries()


def quiet_libraries() -> None:
    """Keep warnings out that say nothing to the person who runs a model."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    # On every run RecBole fills columns in ways that pandas 2 warns about, and torch reminds of
    # the checkpoints it is allowed to load.
    warnings.filterwarnings("ignore", module=r"recbole\.")
    for name in ("transformers", "huggingface_hub", "peft", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
