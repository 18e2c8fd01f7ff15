"""What each figure is called, what it is, and which way is better."""

from __future__ import annotations

from recbole_store.experiments.results.slices import DEFINITIONS

# Metric, without cut-off -> its name and what it is.
ACCURACY = {
    "ndcg": (
        "NDCG",
        "1 / log2(rank + 1) of the target if it is among the first k, else 0; mean over the users. "
        "With one target each, the ideal is 1. Higher is better.",
    ),
    "recall": (
        "Recall",
        "The share of users whose target is among the first k, with one target each also the hit "
        "rate. Higher is better.",
    ),
    "mrr": ("MRR", "1 / rank of the target if it is among the first k, else 0. Higher is better."),
}
LISTS = {
    "itemcoverage": (
        "item coverage",
        "The share of the catalogue that is among the first k of at least one user; RecBole counts "
        "the padding as one more item. Higher is wider.",
    ),
    "giniindex": (
        "Gini index",
        "How unequally recommendations are spread over all items: 0 if all alike, near 1 if few "
        "items take all. Lower is wider.",
    ),
    "shannonentropy": (
        "Shannon entropy",
        "Of how often each item is recommended, in nats, which RecBole divides by the number of "
        "different items, so that it falls as more are recommended: 10 items recommended equally "
        "often give 0.2303, 1,000 give 0.0069. Other papers report another entropy.",
    ),
    "averagepopularity": (
        "average popularity",
        "Mean number of training interactions of the recommended items. Lower is less popular.",
    ),
    "tailpercentage": (
        "tail share",
        "The share of the recommended items that are among the least popular tenth of those seen "
        "in training; the slice tail is of users. Higher is more rare items.",
    ),
    "certain_topk": (
        "certain top",
        "The share of users whose first k are surely the k likeliest items of the whole catalogue: "
        "nothing that beam search dropped was likelier than the k-th. Higher is a more exact "
        "search, not a better model.",
    ),
}
SEMANTIC_IDS = {
    "items": ("items", "Items that have a semantic ID."),
    "distinct": (
        "distinct",
        "Different semantic IDs before the last code, which only tells items with the same codes "
        "apart. At most the number of items; higher is better.",
    ),
    "collision_rate": (
        "collision rate",
        "The share of items with the same codes as another before the last. Lower is better.",
    ),
    "largest_group": ("largest group", "The most items with the same codes. Lower is better."),
    "utilisation": ("utilisation", "The share of a level's codes that some item has. Best is 1."),
    "dead_codes": ("dead codes", "Codes of a level that no item has. Lower is better."),
    "entropy_bits": (
        "entropy, bits",
        "Of how often a level's codes occur. At most 6 for 64 codes. Higher is more even.",
    ),
    "items_without_text": ("items without text", "Their codes say nothing. Lower is better."),
    "reconstruction_loss": (
        "reconstruction loss",
        "Cross-entropy of an item's text given its dense tokens, in nats a token. Lower is better.",
    ),
}
NAMES = {**ACCURACY, **LISTS, **SEMANTIC_IDS}
WORDS = {
    "target": "The item that a model should have recommended: what the user really took next.",
    "filtered": "Items of the user's history are no candidates; unfiltered: they stay some.",
    "head, mid, tail": f"Slices of the test users: {DEFINITIONS['target']}.",
    "short, medium, long": f"Slices of the test users: {DEFINITIONS['history']}.",
    "semantic ID": "The few whole numbers, codes, that stand for an item; one code a level.",
    "± and intervals": (
        "± is one standard error over test users, of values averaged over seeds; intervals cover "
        "95%: how far other users of the same kind might move a figure."
    ),
}


def metric_name(metric: str) -> str:
    """``ndcg@10`` -> ``NDCG@10``; a metric that is not known here keeps its name.

    Example: ``collision_rate`` -> ``collision rate``, ``auc`` -> ``auc``
    """
    name, at, cutoff = metric.partition("@")
    return NAMES[name][0] + at + cutoff if name in NAMES else metric


def terms(metrics: set[str]) -> list[tuple[str, str]]:
    """Terms and what they mean: of these metrics, without cut-off, and the words beside them."""
    return [said for name, said in NAMES.items() if name in metrics] + list(WORDS.items())
