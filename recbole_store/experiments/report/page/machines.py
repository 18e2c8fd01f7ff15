"""What the runs ran on, and whether their times compare."""

from __future__ import annotations

from recbole_store.experiments.report.page.formats import listed
from recbole_store.experiments.report.page.group import all_values, labels_by
from recbole_store.experiments.results.run_key import Run


def machine(run: Run) -> str:
    """``AMD EPYC with 2 cores`` or a GPU's name."""
    hardware = run.result.get("hardware", {})
    name, cores = hardware.get("name", "an unknown machine"), hardware.get("cores")
    return f"{name} with {cores} cores" if cores and hardware.get("device") == "cpu" else name


def threads(run: Run) -> int | None:
    """Threads that torch computed with; None on a GPU."""
    hardware = run.result.get("hardware", {})
    return hardware.get("torch_threads") if hardware.get("device") == "cpu" else None


def machines_said(runs: list[Run]) -> str:
    """``AMD EPYC with 2 cores (1 or 2 threads); NVIDIA H200``"""
    found = []
    for name in dict.fromkeys(machine(run) for run in runs):
        counts = all_values(labels_by([run for run in runs if machine(run) == name], threads))
        said = " or ".join(map(str, counts))
        found.append(f"{name} ({said} {_noun(counts[-1])})" if counts else name)
    return "; ".join(found)


def times_said(runs: list[Run]) -> str:
    """Which labels ran on what, and what follows for their times."""
    by_machine, by_threads = labels_by(runs, machine), labels_by(runs, threads)
    if len(all_values(by_machine)) == 1:
        said = f"All runs on one machine, {machine(runs[0])}"
        counts = all_values(by_threads)
        if len(counts) < 2:
            return said + "".join(f", each with {n} {_noun(n)}" for n in counts) + "."
        said += "."
    else:
        said = f"The runs were on different machines: {_of_labels(by_machine)}."
    if len(all_values(by_threads)) > 1:
        said += f" Threads: {_of_labels(by_threads)}."
    return f"{said} Times of runs that differ in this do not compare."


def _of_labels(by_value: dict[tuple, list[str]]) -> str:
    """``1 for A and B; 1 and 2, by seed, for C``"""
    return "; ".join(
        f"{listed(list(map(str, values)))}{', by seed,' if len(values) > 1 else ''} "
        f"for {listed(labels)}"
        for values, labels in sorted(by_value.items())
    )


def _noun(number: int) -> str:
    return "thread" if number == 1 else "threads"
