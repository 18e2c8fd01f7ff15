"""``recbole-store update``: a finished model trained on."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from recbole_store.recommender.commands.asking import answer, load, model_parser
from recbole_store.settings.arguments import Parser, at_least_one

EPILOG = """\
NAME holds all interactions, the former ones too. Known items keep their ids and codes; new ones
join by their texts first. If training on is no better on validation, only the new items are taken.
"""


def parser() -> Parser:
    """``update MODEL --dataset NAME``."""
    p = model_parser("update", "Train a finished model on, when interactions were added.", EPILOG)
    p.add_argument("--dataset", required=True, metavar="NAME", help="data set, as grown")
    p.add_argument("--data_path", type=Path, default=Path("dataset"), help="its place (dataset)")
    p.add_argument(
        "--epochs",
        type=at_least_one,
        metavar="N",
        help="passes over the data (the run's / 10)",
    )
    p.add_argument("--out", type=Path, metavar="MODEL2", help="folder to be written (MODEL itself)")
    return p


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 done, 2 bad input, 130 interrupted."""
    arguments = parser().parse_args(argv)
    return answer(lambda: _update(arguments))


def _update(arguments) -> int:
    store = load(arguments)
    from recbole_store.experiments.run.logs import quiet_libraries
    from recbole_store.experiments.update.update import update
    from recbole_store.processes.status import Status

    quiet_libraries()
    asked = (arguments.dataset, arguments.data_path, arguments.epochs)
    with closing(Status()) as status:
        found = update(store, *asked, status=status)
    out = store.save(arguments.out or arguments.model)
    for name, value in found.after.items():
        print(f"  {name:12} {found.before[name]:.4f} -> {value:.4f}")
    said = "" if found.kept else "; training on was no better on validation and is not kept"
    print(f"{out}: {found.n_new:,} new items, {found.seconds:.0f} s{said}.")
    return 0
