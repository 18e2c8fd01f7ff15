"""``recbole-store quickstart FILE``: from a table of purchases to recommendations, step by step.

Each step is a command of its own, which is shown before it runs: nothing happens here that cannot
be typed.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from argparse import RawDescriptionHelpFormatter
from importlib import import_module
from pathlib import Path

from recbole_store.cli.commands import COMMANDS
from recbole_store.cli.run_words import run
from recbole_store.data.prepare.command import add_filters
from recbole_store.data.prepare.sources.table import Table
from recbole_store.errors import SettingsError
from recbole_store.settings.arguments import Parser
from recbole_store.settings.dataset_name import check_dataset_name

# Interactions up to which `auto` takes about ten minutes of one core; beyond, `quick` looks first.
SMALL = 30_000
BY = {
    "Neighbours": "Recommend by likeness and company: nothing is trained.",
    "Pop": "No texts: count what is popular, which a model should be better than.",
}
EPILOG = """\
FILE is a table of who had what and when: CSV, TSV, JSON lines or Parquet. Its columns are told by
their names (customer, sku, ordered_at, ...) and said. All flags of `prepare table` are taken.

What it leaves: dataset/NAME, the prepared data; saved/NAME/MODEL, two runs with their models;
saved/NAME/results, their results and report.html.
"""


def parser() -> Parser:
    """``quickstart FILE``, with all that ``prepare table`` takes."""
    p = Parser(
        prog="recbole-store quickstart",
        description="Prepare a table, check it, train on it, report, and recommend; each step with "
        "the command that it stands for.",
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.add_argument("file", metavar="FILE", help="table of the interactions")
    _add_own(p.add_argument_group("what comes of it"))
    Table.add_arguments(p.add_argument_group("its columns, as `prepare table` takes them"))
    add_filters(p, Table.k_core)
    return p


def _add_own(p) -> None:
    """What is no flag of preparation."""
    p.add_argument("--name", metavar="NAME", help="of the data set (by the file's name)")
    p.add_argument(
        "--profile",
        metavar="NAME",
        help=f"settings of STORE (auto up to {SMALL:,} interactions, else quick)",
    )
    p.add_argument(
        "--config_files",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="RecBole property files, for the run that is trained",
    )


def main(argv: list[str]) -> int:
    """Returns the exit status: that of the first step that fails, else 0."""
    p = parser()
    arguments = p.parse_args(argv)
    own = Parser(add_help=False, allow_abbrev=False)
    _add_own(own)
    _, more = own.parse_known_args(argv)
    more.remove(arguments.file)  # as it was typed
    name = arguments.name or name_of(Path(arguments.file))
    try:
        check_dataset_name(name)
    except SettingsError as error:
        p.error(str(error))
    where = Path("dataset") / name
    table = ["prepare", "table", "--raw", arguments.file, "--out", where.as_posix(), *more]
    if status := step("Prepare: atomic files, texts and a data card.", table):
        return status
    # 1 says that something would change results, and what; a run refuses what it cannot take.
    if step("Check: what would change results.", ["check", name]) == 2:
        return 2
    card = json.loads((where / f"{name}.card.json").read_text(encoding="utf-8"))
    model, trained = chosen_model(card), Path("saved") / name
    told = [f"--results={(trained / 'results').as_posix()}"]
    yardstick = "Neighbours" if model == "STORE" else "Pop"
    plain = ["train", f"--model={yardstick}", f"--dataset={name}"]
    plain += [f"--run_dir={(trained / yardstick).as_posix()}", *told]
    if status := step(BY[yardstick], plain):
        return status
    words = ["train", f"--model={model}", f"--dataset={name}"]
    words += [f"--profile={arguments.profile or profile_for(card)}"] if model == "STORE" else []
    words += [f"--run_dir={(trained / model).as_posix()}", *told]
    words += [f"--beside={(trained / 'results').as_posix()}"]
    words += [f"--config_files={file}" for file in arguments.config_files]
    if status := step(f"Train {model}. The first model stands beside it in the table.", words):
        return status
    if status := step("Report: one page.", ["report", (trained / "results").as_posix()]):
        return status
    user = last_user(where / f"{name}.inter")
    asked = ["recommend", (trained / model / "model").as_posix(), "--user", user]
    if status := step("Recommend to the latest user.", [*asked, "--dataset", name, "-k", "5"]):
        return status
    print("\n".join(["", "Next:", *next_steps(trained, model, name)]))
    return 0


def step(what: str, words: list[str]) -> int:
    """Show a command and run it; its exit status."""
    print(f"\n## {what}\n$ recbole-store {shlex.join(words)}", flush=True)
    verb, *others = words
    try:
        if verb == "train":
            return run(others, verb)
        return import_module(COMMANDS[verb]).main(others)
    finally:
        sys.stdout.flush()


def name_of(file: Path) -> str:
    """A data set's name by that of its file.

    Example: "My orders, 2025.csv.gz" -> "My-orders-2025"
    """
    stem = file.name.partition(".")[0] if not file.name.startswith(".") else file.name
    return re.sub(r"[^\w-]+", "-", stem).strip("-_") or "table"


def chosen_model(card: dict) -> str:
    """STORE reads texts; a data set without any has SASRecAll."""
    return "STORE" if card["text"]["with_text"] else "SASRecAll"


def profile_for(card: dict) -> str:
    """See :data:`SMALL`."""
    return "auto" if card["interactions"] <= SMALL else "quick"


def last_user(inter: Path) -> str:
    """The user of a prepared data set's last line."""
    with open(inter, encoding="utf-8") as lines:
        header = next(lines).rstrip("\n").split("\t")
        for line in lines:
            last = line
    column = [field.partition(":")[0] for field in header].index("user_id")
    return last.rstrip("\n").split("\t")[column]


def next_steps(trained: Path, model: str, name: str) -> list[str]:
    """What can be done with what there is now, a line each."""
    folder = (trained / model / "model").as_posix()
    lines = [
        (f"recbole-store serve {folder}", "a page to try it on"),
        (f"recbole-store add-items {folder} NEW.jsonl", "new products by their texts, untrained"),
        (f"recbole-store tune --model={model} --dataset={name}", "better settings, in hours"),
    ]
    width = max(len(command) for command, _ in lines)
    shown = [f"  {command:{width}}   {what}" for command, what in lines]
    return [*shown, f"The page: {(trained / 'results' / 'report.html').as_posix()}"]
