"""The test users in slices."""

from __future__ import annotations

from recbole_store.experiments.report.tables.label_table import marked, named
from recbole_store.experiments.report.tables.layout import Table
from recbole_store.experiments.results.glossary import metric_name
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.protocol_file import slice_bounds
from recbole_store.experiments.results.summary import summaries


def slice_table(runs: list[KeptRun], title: str) -> Table | None:
    """The valid metric by the target's popularity, the history's length, and the day."""
    ranked = next((kept for kept in runs if kept.arrays is not None), None)
    if ranked is None:
        return None
    every = summaries(runs)
    own, metric = ranked.own_slice.partition("/")[0], ranked.valid_metric
    parts = [part for part in ranked.masks if part != "all"]
    columns = [marked([s.get(f"{own}/{part}", metric) for s in every], metric) for part in parts]
    rows = [
        [named(summary.label, summary.converged), *cells]
        for summary, *cells in zip(every, *columns, strict=True)
    ]
    header = ["model"]
    header += [f"{part.partition('=')[2]} ({ranked.masks[part].sum():,} users)" for part in parts]
    bounds = [f"{part.partition('=')[2]}: {said}" for part, said in slice_bounds(ranked).items()]
    note = f"By the target's training interactions and the items before it: {'; '.join(bounds)}."
    if "time=same day" in ranked.masks:
        note += " Same day: the target has the date of the item before it."
    said = f"{title}: {metric_name(metric)}, {own}, by slices of the users"
    return Table(said, header, rows, [note])
