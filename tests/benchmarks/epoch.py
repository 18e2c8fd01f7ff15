"""An epoch of STORE's defaults on ml-100k: against SASRec's, against the machine, and decoded.

The model that the epoch trains is then decoded by beam search, exactly, and by scoring every item.
"""

from __future__ import annotations

import time

import torch
from machine import alternate, figures_to_file, peak_gflops
from prepared import Prepared, prepare, start_training
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from recbole_store.generator.beam_search import path_log_probs
from recbole_store.generator.exact_search import exact_search
from recbole_store.plugin.loaders import SimilarLengths

N_PROFILED = 10
TOP = 10
FULLY_SCORED = 24  # users whose every item is scored
TIE = 1e-4  # log-probabilities; fp32 sums of other batch shapes differ by less


def epoch_seconds(prepared: Prepared) -> float:
    started = time.perf_counter()
    prepared.trainer._train_epoch(prepared.train, 0)
    return time.perf_counter() - started


def training(store: Prepared, precision: str) -> dict[str, float]:
    """Tokens a second and share of the peak, over steps of both tasks."""
    model = store.model
    model.backbone.bf16 = precision == "bf16"
    step = start_training(store)
    batches = SimilarLengths(store.train, model.ITEM_SEQ_LEN)
    chosen = [batch for number, batch in enumerate(batches) if number % 8 == 0][:N_PROFILED]
    n_tokens = [0]
    forward = model.backbone.forward

    def counted(inputs, *args, **kwargs):
        n_tokens[0] += inputs.shape[:2].numel()
        return forward(inputs, *args, **kwargs)

    model.backbone.forward = counted
    with FlopCounterMode(display=False) as flops:
        for batch in chosen:
            step(batch)
    model.backbone.forward = forward
    (seconds,) = alternate(lambda: [step(batch) for batch in chosen])
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for batch in chosen:
            step(batch)
    times = {event.key: event.self_cpu_time_total for event in profiled.key_averages()}
    products = sum(times.get(f"aten::{name}", 0) for name in ("mm", "addmm", "bmm"))
    attention = sum(t for key, t in times.items() if "scaled_dot_product" in key)
    peak = peak_gflops(torch.bfloat16 if precision == "bf16" else torch.float32)
    rate = flops.get_total_flops() / seconds / 1e9
    return {
        "tokens_per_s": n_tokens[0] / seconds,
        "gflops": rate,
        "peak_gflops": peak,
        "fraction_of_peak": rate / peak,
        "time_share_matrix_products": products / sum(times.values()),
        "time_share_attention": attention / sum(times.values()),
    }


@torch.no_grad()
def decoding(store: Prepared) -> dict[str, float]:
    """Beam search against exact search against all items, for ml-100k's test users."""
    model, dataset = store.model.eval(), store.test.dataset
    rows = store.test.transform(dataset, dataset[torch.arange(256)])

    def recommend(decoding: str):
        model.decoding, model.max_topk = decoding, TOP
        return model.recommend(rows)

    beam_s, exact_s = alternate(lambda: recommend("beam"), lambda: recommend("exact"), rounds=1)
    beam, exact = recommend("beam"), recommend("exact")
    same = (beam.item_ids[:, :TOP] == exact.item_ids).all(1).float().mean()

    few = rows[torch.arange(FULLY_SCORED)]
    found = exact_search(model.decoder(few), model.trie, model.num_beams, TOP)
    every = model.semantic_ids[1:].expand(FULLY_SCORED, -1, -1)
    scores = path_log_probs(model.decoder(few), every)
    best = scores.topk(TOP)
    # By what full scoring says of the found items, so that equally likely ones may change places.
    of_found = scores.gather(1, found.item_ids - 1)
    equal = ((of_found - best.values).abs() < TIE).all(1)
    lengths = rows[model.ITEM_SEQ_LEN].sort().values
    padded = sum(len(part) * int(part.max()) for part in lengths.split(64))
    return {
        "exact_equals_full_scoring": equal.float().mean().item(),
        "exact_beam_was_certain_top10": beam.is_exact(TOP).float().mean().item(),
        "exact_beam_was_right_top10": same.item(),
        "exact_time_over_beam": exact_s / beam_s,
        "exact_beam_users_per_s": len(rows) / beam_s,
        "exact_padded_over_real_items": padded / int(lengths.sum()),
    }


def measure() -> dict[str, float]:
    sasrec, store = prepare("SASRec"), prepare("STORE")
    store.trainer.tokenize_items(store.train.dataset)
    store.trainer.optimizer = store.trainer._build_optimizer()
    default = "bf16" if store.model.backbone.bf16 else "fp32"
    sasrec_s = epoch_seconds(sasrec)
    store_s = epoch_seconds(store)
    figures = {
        "store_epoch_over_sasrec_epoch": store_s / sasrec_s,
        "store_epoch_s": store_s,
        "store_sasrec_epoch_s": sasrec_s,
    }
    figures |= decoding(store)
    for precision in ("fp32", "bf16"):
        name = "train" if precision == default else f"train_{precision}"
        figures |= {f"{name}_{key}": value for key, value in training(store, precision).items()}
    return figures


if __name__ == "__main__":
    figures_to_file(measure)
