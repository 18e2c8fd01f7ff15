"""What stands folded at the page's end: conditions, and runs with their commits."""

from __future__ import annotations

import re

from recbole_store.experiments.report.tables.layout import Table
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.protocol_file import conditions


def condition_tables(runs: list[KeptRun]) -> list[Table]:
    """What no setting changes, and what all runs of each data set share."""
    written = conditions(runs)
    parts = {f"{name}, all runs": own for name, own in written["datasets"].items()}
    parts = {"Every comparison": written["fixed"], **parts}
    return [
        Table(name, ["key", "value"], [list(pair) for pair in flattened(part)], n_text_columns=2)
        for name, part in parts.items()
    ]


def run_table(runs: list[KeptRun]) -> Table:
    """Each run with its start, commit and machine; times of other machines do not compare."""
    rows = []
    for kept in runs:
        machine = kept.result.get("hardware", {})
        row = [kept.run.dataset, kept.label, kept.run.seed, started(kept.result.get("run_dir", ""))]
        row.append(kept.result.get("git_commit"))
        row += [machine.get(key) for key in ("name", "cores", "torch_threads")]
        rows.append(["-" if value is None else str(value) for value in row])
    header = ["data set", "model", "seed", "started", "commit", "machine", "cores", "threads"]
    note = "Times of runs on other machines, or with other threads, do not compare."
    return Table("Runs", header, rows, [note], n_text_columns=6)


def started(run_dir: str) -> str | None:
    """The day in a run folder's name: ``saved/Pop-ml-100k-seed2020-20261122-165520``."""
    found = re.search(r"-(\d{4})(\d\d)(\d\d)-\d{6}(-\d+)?$", run_dir)
    return "-".join(found.groups()[:3]) if found else None


def flattened(value, path: str = ""):
    """Nested JSON as (path, text) pairs: {"a": {"b": [1, 2]}} -> ("a.b", "1, 2")."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flattened(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, ", ".join(map(str, value)) if isinstance(value, list) else str(value)
