"""The model card: what a model is, what it was trained on, what it showed, how to use it."""

from __future__ import annotations

from recbole_store.recommender.catalogue import Catalogue

_SHOWN = ("recall@10", "ndcg@10", "mrr@10", "hit@10")


def card_text(config: dict, catalogue: Catalogue) -> str:
    """README.md of a model's folder.

    Args:
        config: of config.json.
    """
    label = config["model"] + (f":{config['variant']}" if config["variant"] else "")
    n_new = len(catalogue) - catalogue.n_fitted
    lines = [
        "---",
        "library_name: recbole-store",
        "tags: [recommendation, sequential-recommendation, semantic-ids]",
        "pipeline_tag: other",
        "---",
        "",
        f"# {label} on {config['dataset']}",
        "",
        f"Recommends the next of {len(catalogue):,} items behind a history of items"
        + (f"; {n_new:,} of them joined after training, by their texts." if n_new else "."),
        "",
        "```python",
        "from recbole_store import load",
        "",
        'store = load("path/of/this/folder")',
        f"store.recommend(items={_examples(catalogue)!r}, k=10)",
        "```",
        "",
        "## Data and protocol",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {_cell(value)} |" for name, value in _facts(config)),
        "",
        "## Metrics",
        "",
        *_metrics(config["metrics"]),
        "",
        "## Made by",
        "",
        "```sh",
        config["command"],
        "```",
        "",
        "| version of | |",
        "| --- | --- |",
        *(f"| {name} | {version} |" for name, version in config["versions"].items()),
    ]
    return "\n".join(lines) + "\n"


def _examples(catalogue: Catalogue) -> list[str]:
    return catalogue.raw_ids[1:3]


def _facts(config: dict) -> list[tuple[str, object]]:
    protocol, data = config["protocol"], config["data"]
    facts = [
        ("data set", config["dataset"]),
        ("users", f"{protocol['n_users']:,}"),
        ("items", f"{protocol['n_items']:,}"),
        ("interactions", f"{protocol['n_interactions']:,}"),
        ("split and ranking", protocol["eval_args"]),
        ("items of a history that are read", protocol["max_item_list_length"]),
        ("seed", config["settings"]["seed"]),
        *((f"SHA-256 of {name}", digest) for name, digest in data["files"].items()),
    ]
    if data["card"]:
        facts.append(("SHA-256 of the data card", data["card"]))
    facts += [
        (f"{key}", f"{known['name'] or 'the default LLM'} ({known['sha256']})")
        for key, known in config["models"].items()
    ]
    return facts


def _cell(value) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _metrics(metrics: dict[str, dict[str, float]]) -> list[str]:
    """Each test's metrics, those that are always looked for first."""
    if not metrics:
        return ["None were measured."]
    names = list(dict.fromkeys(name for found in metrics.values() for name in found))
    chosen = [name for name in _SHOWN if name in names] or names[:4]
    lines = [
        "| test | " + " | ".join(chosen) + " |",
        "| --- |" + " ---: |" * len(chosen),
    ]
    for test, found in metrics.items():
        cells = [f"{found[name]:.4f}" if name in found else "" for name in chosen]
        lines.append(f"| {test} | " + " | ".join(cells) + " |")
    return [*lines, "", "`filtered`: items of a user's history are not ranked."]
