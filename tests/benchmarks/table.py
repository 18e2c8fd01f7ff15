"""The page's table of results/bench.json: what each figure is, and what was aimed at."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "results" / "bench.json"
START, END = "<!-- bench -->", "<!-- end of bench -->"

# Name: what it is, how it is written, and the aim.
ROWS = {
    "decode_speedup_vs_hf_generate_k50_t120": (
        "users/s against `generate`, 50 beams, 120 prompt tokens",
        "{:.0f}x",
        "20x",
    ),
    "decode_speedup_vs_hf_generate_k20_t120": ("the same, 20 beams", "{:.0f}x", ""),
    "decode_speedup_vs_hf_generate_k10_t120": ("the same, 10 beams", "{:.0f}x", ""),
    "decode_speedup_vs_hf_generate_k50_t200": ("50 beams, 200 prompt tokens", "{:.0f}x", ""),
    "decode_speedup_vs_hf_generate_k20_t200": ("20 beams, 200 prompt tokens", "{:.0f}x", ""),
    "decode_speedup_vs_hf_generate_k10_t200": ("10 beams, 200 prompt tokens", "{:.0f}x", ""),
    "decode_same_top10": ("users with the same top 10 as `generate`, in order", "{:.0%}", "100%"),
    "exact_equals_full_scoring": (
        "users whose exact top 10 is that of scoring every item",
        "{:.0%}",
        "100%",
    ),
    "exact_beam_was_certain_top10": (
        "users for whom 20 beams were certain of their top 10, after one epoch",
        "{:.0%}",
        "",
    ),
    "exact_beam_was_right_top10": ("users for whom they were right", "{:.0%}", ""),
    "exact_time_over_beam": ("time of `decoding: exact` over beam search's", "{:.2f}x", ""),
    "trie_step_ratio_1e7_vs_1e4": (
        "one constrained step, 10 million items over 10 thousand",
        "{:.2f}x",
        "1.5x",
    ),
    "trie_bytes_per_item": ("the trie's memory an item, 10 million items", "{:.0f} B", "60 B"),
    "trie_build_s_1e7": ("building it", "{:.1f} s", ""),
    "eval_peak_gb_1e6_items_topk": (
        "peak memory of evaluating against 1 million items",
        "{:.1f} GB",
        "4 GB",
    ),
    "eval_peak_gb_1e6_items_dense": (
        "the same, with a metric that needs all scores",
        "{:.1f} GB",
        "4 GB",
    ),
    "large_eval_peak_gb_1e6": ("the same, ranked by the item head as well", "{:.1f} GB", "4 GB"),
    "large_step_ms_1e4": (
        "a training step of STORE's defaults, 10 thousand items",
        "{:.0f} ms",
        "",
    ),
    "large_step_ms_1e5": ("the same, 100 thousand", "{:.0f} ms", ""),
    "large_step_ms_1e6": ("1 million", "{:.0f} ms", ""),
    "large_step_ms_1e7": ("10 million", "{:.0f} ms", ""),
    "large_step_ratio_1e7_vs_1e4": ("10 million over 10 thousand", "{:.2f}x", "1.5x"),
    "large_rank_ms_1e4": ("ranking a user, 10 thousand items", "{:.0f} ms", ""),
    "large_rank_ms_1e5": ("the same, 100 thousand", "{:.0f} ms", ""),
    "large_rank_ms_1e6": ("1 million", "{:.0f} ms", ""),
    "large_rank_ms_1e7": ("10 million", "{:.0f} ms", ""),
    "large_list_ms_1e7": ("of that, the short list", "{:.0f} ms", ""),
    "large_recall_1e7": ("the short list's recall of the exact 20 best, 10 million", "{:.1%}", ""),
    "large_trained_gb_1e6": ("peak memory of training, 1 million items", "{:.1f} GB", ""),
    "large_trained_gb_1e7": ("the same, 10 million", "{:.1f} GB", ""),
    "large_peak_gb_1e7": ("of ranking as well, 10 million", "{:.1f} GB", ""),
    "prepare_peak_gb_1e6": ("peak memory of preparing a table of 1 million rows", "{:.1f} GB", ""),
    "prepare_peak_gb_1e7": ("the same, 10 million", "{:.1f} GB", ""),
    "prepare_cpu_s_1e7": ("processor time of preparing 10 million", "{:.0f} s", ""),
    "index_blocks_bf16_ms": (
        "the short list of a million vectors in clusters, a user",
        "{:.1f} ms",
        "",
    ),
    "index_blocks_bf16_recall": ("its recall", "{:.1%}", ""),
    "index_faiss_32_ms": ("faiss, 32 of 1,024 lists looked at", "{:.1f} ms", ""),
    "index_faiss_32_recall": ("its recall", "{:.1%}", ""),
    "index_faiss_128_ms": ("faiss, 128 lists", "{:.1f} ms", ""),
    "index_faiss_128_recall": ("its recall", "{:.1%}", ""),
    "index_faiss_128_build_s": ("building faiss's lists", "{:.1f} s", ""),
    "window_speedup_vs_prefix_rows": (
        "seeing every target of ml-100k, windows against one row a prefix",
        "{:.0f}x",
        "10x",
    ),
    "window_valid_loss_gap": (
        "loss a code after as many targets, windows less prefix rows",
        "{:+.3f}",
        "",
    ),
    "store_epoch_over_sasrec_epoch": (
        "an epoch of STORE over one of RecBole's SASRec",
        "{:.2f}x",
        "1x",
    ),
    "train_fraction_of_peak": (
        "training's FLOPs over the peak of a matrix product",
        "{:.0%}",
        "40% (GPU)",
    ),
    "train_fp32_fraction_of_peak": ("the same in fp32", "{:.0%}", ""),
    "train_time_share_matrix_products": ("training's time in matrix products", "{:.0%}", ""),
    "train_time_share_attention": ("training's time in attention", "{:.0%}", ""),
    "train_tokens_per_s": ("training tokens a second", "{:.0f}", ""),
    "tokenizer_train_items_per_s": ("items a second, training the tokenizer", "{:.0f}", ""),
    "tokenizer_items_per_s": ("items a second, tokenizing", "{:.0f}", ""),
    "tokenizer_kmeans_speedup_minibatch_50k": (
        "mini-batch k-means against k-means, 50 thousand items",
        "{:.0f}x",
        "",
    ),
    "serving_p50_ms_ml100k_t1": (
        "one request of 50 items, ml-100k's catalogue, one core, fp32: median",
        "{:.0f} ms",
        "40 ms",
    ),
    "serving_p99_ms_ml100k_t1": ("its 99th percentile", "{:.0f} ms", ""),
    "serving_p50_ms_ml100k_bf16_t1": ("in bf16: median", "{:.0f} ms", "40 ms"),
    "serving_p50_ms_beauty_t1": ("the same of Beauty's catalogue, fp32", "{:.0f} ms", "40 ms"),
    "serving_p50_ms_beauty_bf16_t1": ("in bf16", "{:.0f} ms", "40 ms"),
    "serving_users_per_s_ml100k_b1_t1": ("users a second, one at a time, ml-100k", "{:.0f}", ""),
    "serving_users_per_s_ml100k_b32_t1": ("32 at once", "{:.0f}", ""),
    "serving_users_per_s_ml100k_b512_t1": ("512 at once", "{:.0f}", ""),
    "serving_users_per_s_beauty_b512_t1": ("512 at once, Beauty", "{:.0f}", ""),
    "serving_speedup_vs_case_study": (
        "one user's list against RecBole's full_sort_topk, same model",
        "{:.1f}x",
        "20x",
    ),
    "serving_load_s_beauty_t1": ("loading Beauty's folder", "{:.1f} s", "3 s"),
    "serving_size_beauty": ("its weights, in 4 bytes a trained number", "{:.2f}", "1.1"),
    "serving_new_texts_read_per_s_beauty": ("texts of new items read a second", "{:.0f}", "83"),
    "serving_http_requests_per_s": (
        "the server's requests a second, 64 connections for a minute, ml-100k",
        "{:.0f}",
        "",
    ),
    "serving_http_p99_ms": ("99th percentile under that load", "{:.0f} ms", ""),
    "serving_http_errors": ("errors", "{:.0f}", "0"),
    "serving_http_memory_growth": ("memory at its end over halfway", "{:.2f}x", "1x"),
    "growth_epoch_straightness": (
        "training time against interactions, squared correlation",
        "{:.4f}",
        "1",
    ),
    "growth_eval_straightness": ("evaluation time against users", "{:.4f}", "1"),
}


def render(figures: dict) -> str:
    """The table, in Markdown."""
    lines = ["| | measured | aim |", "| --- | ---: | ---: |"]
    for name, (meaning, form, aim) in ROWS.items():
        if name in figures:
            lines.append(f"| {meaning} | {form.format(figures[name])} | {aim} |")
    threads = {name.split("_")[0]: n for name, n in figures.items() if name.endswith("_threads")}
    fewer = [part for part in sorted(threads) if threads[part] < max(threads.values())]
    on_one = f"; {', '.join(fewer)} on one of them" if fewer else ""
    lines.append("")
    lines.append(f"{figures['machine']}{on_one}, torch {figures['torch']}.")
    return "\n".join(lines)


def show_in_readme() -> None:
    """Write the table between the page's markers."""
    readme = ROOT / "docs" / "speed.md"
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(START)
    _, after = rest.split(END)
    table = render(json.loads(RESULTS.read_text()))
    readme.write_text(f"{before}{START}\n{table}\n{END}{after}", encoding="utf-8")
