"""The data card: what a prepared data set holds, and what it was made from."""

from __future__ import annotations

from pathlib import Path

from recbole_store.data.checksums import sha256
from recbole_store.data.prepare.interactions import Interactions, Span
from recbole_store.data.prepare.times import as_date, as_number


def figures_of(interactions: Interactions) -> dict:
    """Counts, history lengths, time span, repeats and ties of the interactions kept."""
    n = len(interactions)
    n_users, history = interactions.counts("user")
    n_items, popularity = interactions.counts("item")
    first, last = interactions.time_span()
    tied, users_with_ties = interactions.ties()
    return {
        "users": n_users,
        "items": n_items,
        "interactions": n,
        "density": n / (n_users * n_items),
        "history_length": _rounded(history),
        "interactions_per_item": _rounded(popularity),
        "time": {
            "first": as_number(first),
            "last": as_number(last),
            "first_date": as_date(first),
            "last_date": as_date(last),
        },
        "repeated_pairs": interactions.repeated_pairs(),
        "exact_duplicates": interactions.exact_duplicates(),
        "ties": {"interactions": tied, "users": users_with_ties},
    }


def _rounded(span: Span) -> dict[str, float]:
    return {name: round(float(value), 2) for name, value in span._asdict().items()}


def file_facts(path: Path, name: str | None = None) -> dict:
    """Size and checksum of a file; ``name`` is given where the path alone does not tell."""
    facts = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    return {"name": name, **facts} if name else facts


def as_markdown(card: dict) -> str:
    """The card for people; ``card`` is the content of ``NAME.card.json``."""
    text, rows, ties, time = card["text"], card["rows"], card["ties"], card["time"]
    filters = card["filters"]
    dates = f" ({time['first_date']} to {time['last_date']} UTC)" if time["first_date"] else ""
    words = text["words"]
    order = "in random order" if filters["ties"] == "shuffle" else "kept in the file's order"
    order += f", times cut to the {filters['ties_within']}" if filters["ties_within"] else ""
    table = [
        ("users", f"{card['users']:,}"),
        ("items", f"{card['items']:,}"),
        ("interactions", f"{card['interactions']:,}"),
        ("density", f"{card['density']:.4%}"),
        ("history length", _span(card["history_length"])),
        ("interactions an item", _span(card["interactions_per_item"])),
        ("time", f"{time['first']} to {time['last']}{dates}"),
        ("repeated user-item pairs", f"{card['repeated_pairs']:,}"),
        ("of these at the same time", f"{card['exact_duplicates']:,}"),
        (
            "interactions that share user and time with another",
            f"{ties['interactions']:,}, of {ties['users']:,} users ({order})",
        ),
        ("items with text", f"{text['with_text']:,} of {text['items']:,}"),
        (
            "words of a text",
            f"mean {words['mean']}, median {words['median']:g}, max {words['max']}",
        ),
    ]
    table += [
        (f"items with {column}", f"{n:,} ({n / text['items']:.1%})")
        for column, n in text["filled"].items()
    ]
    table += [
        (f"values of {column} that are no numbers", f"{n:,} (left empty)")
        for column, n in text["no_numbers"].items()
    ]
    table += [(key.replace("_", " "), _shown(value)) for key, value in card.get("more", {}).items()]
    dropped = [
        ("rows read", rows["raw"]),
        ("without user, item or time", rows["incomplete"]),
        (f"outside the times {filters['since']} to {filters['until']}", rows["outside_times"]),
        (f"duplicates (policy `{filters['duplicates']}`)", rows["duplicates"]),
        (f"beyond the latest {filters['max_history']} of a user", rows["beyond_max_history"]),
        (
            f"outside the {filters['k_core']}-core, histories of at least "
            f"{max(filters['min_history'], filters['k_core'])} ({rows['core_rounds']} rounds)",
            rows["outside_core"],
        ),
    ]
    lines = [f"# {card['name']}", "", f"Prepared from the source `{card['source']}` by", ""]
    lines += ["```sh", card["command"], "```", ""]
    lines += [card["remark"], ""] if card["remark"] else []
    lines += ["| | |", "| --- | ---: |"] + [f"| {key} | {value} |" for key, value in table]
    lines += ["", "| filter | rows dropped |", "| --- | ---: |"]
    lines += [f"| {key} | {n:,} |" for key, n in dropped[1:] if n]
    lines += [f"| all of them, of {rows['raw']:,} rows | {rows['raw'] - card['interactions']:,} |"]
    if rows["rejected"]:
        lines += ["", f"{rows['rejected']:,} rows could not be read: {card['name']}.rejected.tsv."]
    lines += ["", "| file | bytes | SHA-256 |", "| --- | ---: | --- |"]
    lines += [f"| {_file(name, facts)}" for name, facts in card["files"].items()]
    lines += [f"| raw: {_file(facts['name'], facts)}" for facts in card["raw_files"]]
    return "\n".join(lines) + "\n"


def _span(span: dict) -> str:
    return f"{span['min']:g} to {span['max']:g}, mean {span['mean']:.1f}, median {span['median']:g}"


def _shown(value) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _file(name: str, facts: dict) -> str:
    return f"{name} | {facts['bytes']:,} | `{facts['sha256']}` |"
