"""What each figure is, and which way is better."""

from __future__ import annotations

from recbole_store.experiments.report.page.formats import metric_name, sentence
from recbole_store.experiments.results.slices import DEFINITIONS

# Metrics by their names in results.csv, without cut-off.
ACCURACY = {
    "ndcg": (
        "1 / log2(rank + 1) of the target if it is among the first k, else 0; mean over the users. "
        "With one target each, the ideal is 1. Higher is better."
    ),
    "recall": (
        "The share of users whose target is among the first k. With one target each this is the "
        "hit rate. Higher is better."
    ),
    "mrr": (
        "1 / rank of the target if it is among the first k, else 0; mean over the users. Higher is "
        "better."
    ),
    "hit": "The same as Recall@k, with one target each. Higher is better.",
    "precision": "Recall@k / k, with one target each. Higher is better.",
}
LISTS = {
    "itemcoverage": (
        "The share of the catalogue that is among the first k of at least one user; RecBole counts "
        "the padding as one more item. Higher is wider."
    ),
    "giniindex": (
        "How unequally the recommendations are spread over all items: 0 if every item is "
        "recommended equally often, near 1 if few items take all. Lower is wider."
    ),
    "shannonentropy": (
        "Entropy of how often each item is recommended, in nats, which RecBole divides by the "
        "number of different items recommended. By this division it falls as more items are "
        "recommended: 10 items recommended equally often give 0.2303, 1,000 give 0.0069. So lower "
        "is usually wider; it is no entropy as other papers report it."
    ),
    "averagepopularity": (
        "Mean number of training interactions of the recommended items. Lower is less popular."
    ),
    "tailpercentage": (
        "The share of the recommended items that are among the least popular tenth of the items "
        "seen in training. Higher is more rare items."
    ),
}
SEARCH = {
    "certain_topk": (
        "How often beam search was certain: the share of users whose first k are surely the k "
        "likeliest items of the whole catalogue, because nothing that the search dropped was "
        "likelier than the k-th, by both scores where there is an item head. Higher is a more "
        "exact search, not a better model."
    ),
}
SEMANTIC_IDS = {
    "items": "Items that have a semantic ID.",
    "distinct": (
        "Different semantic IDs before the last code, which only tells items with the same codes "
        "apart. At most the number of items; higher is better."
    ),
    "collision_rate": (
        "The share of items that have the same codes as another, before that last code. Lower is "
        "better."
    ),
    "largest_group": "The most items with the same codes, before the last. Lower is better.",
    "utilisation": "The share of a level's codes that some item has; mean over levels. Best is 1.",
    "dead_codes": "Codes of a level that no item has; mean over levels. Lower is better.",
    "entropy_bits": (
        "Entropy of how often the codes of a level occur, in bits; mean over levels. At most log2 "
        "of their number: 6 for 64 codes. Higher is more even."
    ),
    "items_without_text": "Items with an empty text, whose codes say nothing. Lower is better.",
    "reconstruction_loss": (
        "Cross-entropy of an item's text given its dense tokens alone, in nats a word piece, when "
        "the tokenizer is trained. Lower is better."
    ),
}
WITH_CUTOFF = {**ACCURACY, **LISTS, **SEARCH}

WORDS = {
    "target": "The item that a model should have recommended: what the user really took next.",
    "filtered, unfiltered": (
        "Whether items of the user's history are left out of the ranking or stay candidates."
    ),
    "head, mid, tail": f"Slices of the test users: {DEFINITIONS['target']}.",
    "short, medium, long": f"Slices of the test users: {DEFINITIONS['history']}.",
    "tail": (
        "Two things. The slice tail is of users: those whose target is neither head nor mid. Tail "
        "share is of recommended items: those among the least popular tenth."
    ),
    "semantic ID": (
        "The few whole numbers, codes, that stand for an item; one code a level. A model of "
        "semantic IDs generates the next item's codes one after the other."
    ),
}


def term_of(metric: str) -> str:
    """``ndcg`` -> ``NDCG@k``, ``dead_codes`` -> ``dead codes``"""
    return metric_name(f"{metric}@k" if metric in WITH_CUTOFF else metric)


def terms(metrics: set[str]) -> list[tuple[str, str]]:
    """Terms and what they mean: of these metrics, without cut-off, and the words beside them."""
    of_metrics = {**WITH_CUTOFF, **SEMANTIC_IDS}
    found = [(term_of(name), said) for name, said in of_metrics.items() if name in metrics]
    words = dict(WORDS) if metrics & set(SEMANTIC_IDS) else {**WORDS, "semantic ID": ""}
    return found + [(word, sentence(said)) for word, said in words.items() if said]


def anchor(term: str) -> str:
    """``NDCG@k`` -> ``term-ndcg``"""
    name = term.removesuffix("@k").lower()
    return "term-" + "-".join(name.replace(",", "").split())
