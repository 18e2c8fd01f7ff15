"""How the runs of a chapter were measured: the protocol in words, and as it is written."""

from __future__ import annotations

from recbole_store.experiments.report.page.blocks import Block, Cell, Facts, Section, Table, missing
from recbole_store.experiments.report.page.formats import listed, sentence
from recbole_store.experiments.report.page.group import labels_by
from recbole_store.experiments.report.page.subject import FILTERS, Subject
from recbole_store.experiments.results.run_key import Run


def protocol(subject: Subject) -> Section:
    """The protocol in words, then all of protocol.json that belongs to the data set."""
    blocks: list[Block] = [Facts(_words(subject))]
    written = [*flattened(subject.data.protocol), *flattened(subject.fixed)]
    if written:
        rows = [[Cell(key), Cell(value)] for key, value in written]
        blocks.append(
            Table(
                f"{subject.slug}-protocol-table",
                "As written in protocol.json",
                ["key", "value"],
                rows,
                folded=True,
                wide=True,
            )
        )
    else:
        blocks.append(missing("protocol.json says nothing of these runs."))
    return Section(f"{subject.slug}-protocol", "Protocol", blocks)


def _words(subject: Subject) -> list[tuple[str, str]]:
    one = subject.data.runs[0].result["protocol"]
    eval_args = one.get("eval_args", {})
    facts = [
        (
            "Data",
            f"{one['n_users']:,} users, {one['n_items']:,} items, {one['n_interactions']:,} "
            f"interactions; {one['n_test']:,} test users.",
        ),
        ("Split", _split(eval_args.get("split"))),
        ("Order", _order(eval_args.get("order"), one.get("exact_time_order"))),
        ("Candidates", _candidates(eval_args.get("mode"), one["n_items"])),
        ("Items of the history", _filter(subject)),
        ("Truncation", _truncation(subject)),
    ]
    if said := _training_filter(subject):
        facts.append(("Training filter", said))
    for term, key in (("Ties", "ties"), ("Choice of the epoch", "selection")):
        if key in subject.fixed:
            facts.append((term, sentence(subject.fixed[key])))
    return facts


def _split(split: dict | None) -> str:
    if split == {"LS": "valid_and_test"}:
        return (
            "Leave-one-out: each user's last item is the test target, the one before it the "
            "validation target, the rest is for training."
        )
    return f"RecBole's split {split}."


def _order(order: str | None, exact: bool | None) -> str:
    if order != "TO":
        return "Random order." if order == "RO" else f"RecBole's order {order}."
    if exact:
        return "By time, at the file's full precision; rows of one time stay in the file's order."
    return "By time, rounded to 32-bit floats as RecBole does; rows of one time stay in order."


def _candidates(mode: str | dict | None, n_items: int) -> str:
    mode = mode.get("test") if isinstance(mode, dict) else mode
    if mode == "full":
        return f"Every target is ranked against the whole catalogue of {n_items:,} items."
    return f"RecBole's mode {mode}: not the whole catalogue."


def _filter(subject: Subject) -> str:
    names = subject.filters or [subject.own_filter]
    shown = "; ".join(f"{name}: {FILTERS[name]}" for name in names)
    return f"{sentence(shown)} Epochs were chosen {subject.own_filter}."


def _training_filter(subject: Subject) -> str:
    """Which labels leave items of the history out of training's softmax; empty if none say."""
    by_filter = labels_by(subject.data.runs, filters_training)
    words = {
        (True,): "left out for",
        (False,): "not left out for",
        (False, True): "left out by some seeds for",
    }
    said = [f"{words[key]} {listed(labels)}" for key, labels in sorted(by_filter.items())[::-1]]
    if not said:
        return ""
    named = {label for labels in by_filter.values() for label in labels}
    others = [label for label in subject.labels if label not in named]
    said += [f"not recorded, or no such setting, for {listed(others)}"] if others else []
    return (
        "filter_training leaves items of the history out of the softmax over all items in "
        f"training, too: {'; '.join(said)}."
    )


def filters_training(run: Run) -> bool | None:
    """``filter_training``, null being as ``filter_history``; None for a run without the setting."""
    settings = {**run.result.get("hashed_settings", {}), **run.result.get("settings", {})}
    if "filter_training" not in settings:
        return None
    wanted = settings["filter_training"]
    return run.kept.is_filtered if wanted is None else bool(wanted)


def _truncation(subject: Subject) -> str:
    by_length = labels_by(
        subject.data.runs, lambda run: run.result["protocol"].get("max_item_list_length")
    )
    if not by_length:
        return "Not recorded."
    if len(by_length) == 1:
        return f"Models see the last {_either(*by_length)} items of a history."
    return "Last items of a history that a model sees: " + "; ".join(
        f"{_either(lengths)} for {listed(labels)}" for lengths, labels in sorted(by_length.items())
    )


def _either(lengths: tuple[int, ...]) -> str:
    return " or ".join(map(str, lengths))


def flattened(value, path: str = ""):
    """Nested JSON as (path, text) pairs: {"a": {"b": [1, 2]}} -> ("a.b", "1, 2")."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flattened(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        for n, inner in enumerate(value):
            yield from flattened(inner, f"{path}[{n}]")
    else:
        yield path, ", ".join(map(str, value)) if isinstance(value, list) else str(value)
