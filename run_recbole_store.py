"""Run STORE, RecBole's models, or a comparison of both: argument handling only.

``prepare`` and ``check`` as the first argument are commands of their own.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

EPILOG = """\
Any RecBole or STORE property can be set as --key=value (a YAML value, never evaluated as code):
  %(prog)s --model=STORE --dataset=ml-100k --num_beams=50 --topk=[10,50]
Several models are run one after the other, each in its own process, under one protocol:
  %(prog)s --model=STORE,SASRec,Pop --dataset=ml-100k
Commands for data sets, each with its own --help:
  %(prog)s prepare SOURCE --raw PATH --out dataset/NAME   raw data to RecBole files with texts
  %(prog)s check DATASET                                  what in a data set would change results
"""


class Parser(argparse.ArgumentParser):
    """Wrong arguments are answered like all bad input: one sentence, exit status 2."""

    def error(self, message):
        self.exit(2, f"error: {message}\n")


def parser() -> argparse.ArgumentParser:
    """The command line; whatever it does not list must be ``--key=value`` of a property."""
    p = Parser(
        description="Train and evaluate STORE and RecBole's models under one protocol.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.add_argument("--model", "-m", default="STORE", help="one name, or several with commas")
    p.add_argument("--dataset", "-d", default="ml-100k", help="name of the dataset (ml-100k)")
    p.add_argument(
        "--config_files",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="RecBole property files",
    )
    p.add_argument("--profile", help="a property file of properties/profile/ (full: a GPU's)")
    p.add_argument("--run_dir", type=Path, help="folder of this run (saved/MODEL-DATASET-...)")
    p.add_argument("--beside", type=Path, help="folder of result files to show in the table")
    p.add_argument("--keep", type=Path, metavar="DIR", help="copy the result files there")
    p.add_argument("--no_table", action="store_true", help=argparse.SUPPRESS)
    # A model's process in a comparison: the other models, whose properties may be set as well.
    p.add_argument("--compared_with", default="", help=argparse.SUPPRESS)
    return p


def typed_properties(unknown: list[str], error) -> list[tuple[str, str]]:
    """``--key=value`` and ``--key value`` pairs -> (key, text); anything else is an error."""
    pairs, position = [], 0
    while position < len(unknown):
        word = unknown[position]
        key, equals, text = word[2:].partition("=")
        if not word.startswith("--") or not key:
            error(f"unexpected argument {word!r}: properties are set as --key=value")
        if not equals:
            position += 1
            if position == len(unknown) or unknown[position].startswith("--"):
                error(f"{word} needs a value: {word}=VALUE")
            text = unknown[position]
        if key in dict(pairs):
            error(f"--{key} is given twice")
        pairs.append((key, text))
        position += 1
    return pairs


def data_command(name: str, argv: list[str]) -> int:
    """Run ``prepare`` or ``check``, without RecBole and torch; returns the exit status."""
    os.environ["RECBOLE_STORE_REGISTER"] = "0"
    try:
        if name == "prepare":
            from recbole_store.prepare import command
        else:
            from recbole_store.check import command
    finally:
        del os.environ["RECBOLE_STORE_REGISTER"]  # not for the processes of a comparison
    return command.main(argv, Path(sys.argv[0]).name)


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 a model failed, 2 bad input."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in ("prepare", "check"):
        return data_command(argv[0], argv[1:])
    p = parser()
    arguments, unknown = p.parse_known_args(argv)
    pairs = typed_properties(unknown, p.error)
    models = [name.strip() for name in arguments.model.split(",") if name.strip()]
    if not models or len(set(models)) < len(models):
        p.error(f"--model={arguments.model}: name each model once")

    # Imported late: --help and wrong arguments answer at once, without torch.
    from recbole_store import comparison, result_table
    from recbole_store.bad_input import BAD_INPUT
    from recbole_store.property_files import PLUGIN_MODELS, profile_file
    from recbole_store.run import check_start, run_model
    from recbole_store.settings import resolve

    try:
        profile = profile_file(arguments.profile) if arguments.profile else None
        files = [Path(name) for name in arguments.config_files]
        compared = models + [name for name in arguments.compared_with.split(",") if name]
        settings = {
            name: resolve(name, arguments.dataset, files, dict(pairs), compared, profile)
            for name in models
        }
        seed = settings[models[0]].get("seed", 2020)
        parent = Path(settings[models[0]].get("checkpoint_dir", "saved"))
        if len(models) == 1:
            name = models[0]
            run_dir = arguments.run_dir or comparison.new_run_dir(
                parent, name, arguments.dataset, seed
            )
            results = [run_model(name, arguments.dataset, settings[name], run_dir)]
        else:
            for name in set(models) & set(PLUGIN_MODELS):
                check_start(name, arguments.dataset, settings[name])
            run_dirs = [
                comparison.new_run_dir(parent, name, arguments.dataset, seed) for name in models
            ]
            passed_on = [f"--{key}={text}" for key, text in pairs]
            passed_on += [f"--dataset={arguments.dataset}", f"--compared_with={','.join(models)}"]
            passed_on += [f"--config_files={path}" for path in files]
            passed_on += [f"--profile={arguments.profile}"] if profile else []
            results = comparison.run_each(Path(__file__).resolve(), models, passed_on, run_dirs)
    except BAD_INPUT as error:
        print(f"error: {error}", file=sys.stderr)
        return 2

    if arguments.keep:
        comparison.keep_results(results, arguments.keep)
    if not arguments.no_table:
        committed = []
        if arguments.beside:
            every = comparison.read_results(arguments.beside, but=set(models))
            committed = [r for r in every if results and comparison.comparable(r, results[0])]
            if len(committed) < len(every):
                others = len(every) - len(committed)
                print(f"{others} results of {arguments.beside} followed another protocol.")
        print("\n" + result_table.as_text(*result_table.rows(results, committed)))
        if committed:
            print("* committed result, read from " + str(arguments.beside))
        for result in results:
            print(f"{result['model']}: {result['run_dir']}/result.json")
    return 0 if len(results) == len(models) else 1


if __name__ == "__main__":
    sys.exit(main())
