"""The command line: every command of ``recbole-store``, and what its words mean.

A run or a comparison is the command without a name; each other command is a module of its own,
imported when it is asked for, so that ``--help`` and ``prepare`` answer at once, without torch.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from argparse import SUPPRESS, RawDescriptionHelpFormatter
from importlib import import_module
from pathlib import Path

from recbole_store import __version__
from recbole_store.errors import InputError, RunError, one_sentence
from recbole_store.experiments.processes import (
    Terminated,
    end_with_parent,
    exit_status,
    terminating,
)
from recbole_store.settings.arguments import Parser
from recbole_store.settings.property_files import nearest, properties_folder

EPILOG = """\
Any RecBole or STORE property can be set as --key=value (a YAML value, never evaluated as code):
  %(prog)s --model=STORE --dataset=ml-100k --num_beams=50 --topk=[10,50]
Several models, data sets or seeds are a comparison: every run in its own process, under one
protocol, kept in --results, where a finished run is recognised and not run again:
  %(prog)s --model=STORE,SASRec:tuned,Pop --dataset=ml-100k --seeds=3
Variants, as MODEL:VARIANT, or MODEL:FILE.yaml for a property file of your own:
  {variants}
Commands, each with its own --help:
  %(prog)s results [DIR] [--readme FILE]                  tables of a results folder
  %(prog)s report [DIR] [--out FILE]                      the same as one HTML page, with charts
  %(prog)s trials --model=MODEL [--dataset=NAME]          lists of settings, judged on validation
  %(prog)s prepare SOURCE --raw PATH --out dataset/NAME   raw data to RecBole files with texts
  %(prog)s check DATASET                                  what in a data set would change results
A finished run's model, in saved/RUN/model:
  %(prog)s recommend MODEL --items A,B                    what comes next; --histories: for many
  %(prog)s similar MODEL --item A                         the likest items
  %(prog)s explain MODEL --item A [--items B,C]           its codes, and why it is recommended
  %(prog)s add-items MODEL FILE                           new items by their texts, without training
  %(prog)s serve MODEL [--port 8000]                      the same over HTTP, and a page to try it
  %(prog)s update MODEL --dataset NAME                    training goes on with new interactions
  %(prog)s export MODEL OUT --format hf                   a folder that plain transformers load
"""

# First words that are commands of their own, and the modules whose main they call.
COMMANDS = {
    "results": "recbole_store.experiments.report.tables.command",
    "report": "recbole_store.experiments.report.page.command",
    "prepare": "recbole_store.data.prepare.command",
    "check": "recbole_store.data.check.command",
    "trials": "recbole_store.experiments.trials",
    "recommend": "recbole_store.recommender.commands.recommend",
    "similar": "recbole_store.recommender.commands.similar",
    "explain": "recbole_store.recommender.commands.explain",
    "update": "recbole_store.experiments.update.command",
    "export": "recbole_store.recommender.commands.export",
    "serve": "recbole_store.recommender.commands.serve",
    "add-items": "recbole_store.recommender.commands.add_items",
}
MOST_SEEDS = 1000
# Of the system's errors those that are a name's fault, before anything has begun.
_OF_NAMES = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL}
_OF_NAMES |= {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.ENOENT}


def variants() -> list[str]:
    """Every MODEL:VARIANT that has a property file."""
    stems = [file.stem for file in (properties_folder() / "variant").glob("*.yaml")]
    return sorted(stem.replace("-", ":", 1) for stem in stems)


def parser() -> Parser:
    """The command line; whatever it does not list must be ``--key=value`` of a property."""
    p = Parser(
        description="Train and evaluate STORE and RecBole's models under one protocol.",
        epilog=EPILOG.replace("{variants}", "\n  ".join(variants())),
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    p.add_argument("--version", action="version", version=__version__)
    p.add_argument(
        "--model",
        "-m",
        metavar="MODEL[:VARIANT][,...]",
        help="one name, or several with commas (STORE)",
    )
    p.add_argument(
        "--dataset",
        "-d",
        metavar="NAME[,...]",
        help="one name, or several with commas (ml-100k)",
    )
    p.add_argument("--seeds", type=int, metavar="N", help="seed, seed+1, ... (1)")
    p.add_argument(
        "--config_files",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="RecBole property files",
    )
    p.add_argument(
        "--profile", metavar="NAME", help="full, for a GPU, or a property file of your own"
    )
    p.add_argument("--run_dir", type=Path, help="folder of a single run (saved/MODEL-DATASET-...)")
    p.add_argument(
        "--resume",
        type=Path,
        metavar="RUN",
        help="go on with a run that was cut off, by its folder alone",
    )
    p.add_argument("--beside", type=Path, help="folder of result files to show in the table")
    p.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        help="results folder (results; a single run is kept only if this is given)",
    )
    p.add_argument(
        "--again",
        action="store_true",
        help="run finished runs of a comparison again; begin anew what was cut off",
    )
    p.add_argument(
        "--replace", action="store_true", help="replace kept runs that had other settings"
    )
    p.add_argument("--no_table", action="store_true", help=SUPPRESS)
    # A model's process in a comparison: the other models, whose properties may be set as well.
    p.add_argument("--compared_with", default="", help=SUPPRESS)
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


def asked_anew(arguments, pairs: list[tuple[str, str]]) -> list[str]:
    """Words that say what a run shall be, which a run that goes on knows already."""
    names = ("model", "dataset", "seeds", "config_files", "profile", "run_dir", "again")
    words = [f"--{name}" for name in names if getattr(arguments, name)]
    return words + [f"--{key}" for key, _ in pairs]


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 a run failed, 2 bad input, 130 or 143 interrupted."""
    argv = sys.argv[1:] if argv is None else argv
    p = parser()
    for word in argv:
        if re.search("[\0\ud800-\udfff]", word):
            p.error(f"{word!r} is no UTF-8: name files and folders so that they are")
    if argv and argv[0] in COMMANDS:
        return import_module(COMMANDS[argv[0]]).main(argv[1:])
    if argv and argv[0] and not argv[0].startswith("-") and "=" not in argv[0]:
        p.error(
            f"there is no command {argv[0]!r}{nearest(argv[0], COMMANDS)}: there are "
            f"{', '.join(COMMANDS)}, and runs, which begin with --model=MODEL"
        )
    arguments, unknown = p.parse_known_args(argv)
    pairs = typed_properties(unknown, p.error)
    if arguments.seeds is not None and not 1 <= arguments.seeds <= MOST_SEEDS:
        p.error(f"--seeds={arguments.seeds}, but must be at least 1 and at most {MOST_SEEDS}")
    if int(os.environ.get("WORLD_SIZE") or 1) > 1:
        p.error(
            f"torchrun has started {os.environ['WORLD_SIZE']} processes, and each would train the "
            "whole model: start one, without torchrun"
        )
    if arguments.resume and (asked := asked_anew(arguments, pairs)):
        p.error(f"--resume={arguments.resume} goes on as the run was begun: leave out {asked[0]}")

    try:
        # Imported late: --help and wrong arguments answer at once, without torch.
        from recbole_store.experiments.comparison.plan import parse_datasets, parse_labels
        from recbole_store.experiments.request import Request, run_compared, run_single

        end_with_parent()
        request = Request(
            labels=parse_labels(arguments.model or "STORE"),
            datasets=parse_datasets(arguments.dataset or "ml-100k"),
            n_seeds=arguments.seeds or 1,
            files=[Path(name) for name in arguments.config_files],
            profile=arguments.profile,
            typed=dict(pairs),
            compared_with=[name for name in arguments.compared_with.split(",") if name],
            run_dir=arguments.run_dir,
            beside=arguments.beside,
            results=arguments.results,
            again=arguments.again,
            replace=arguments.replace,
            table=not arguments.no_table,
        )
        if arguments.resume:
            request = request.of_folder(arguments.resume)
        with terminating():
            return run_single(request) if request.is_single else run_compared(request)
    except (InputError, RunError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except OSError as error:
        if error.errno not in _OF_NAMES or not error.filename:
            raise
        print(f"error: {one_sentence(f'{error.filename}: {error.strerror}')}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, Terminated) as stop:
        print("terminated" if isinstance(stop, Terminated) else "interrupted", file=sys.stderr)
        return exit_status(stop)


if __name__ == "__main__":  # the processes of a comparison
    sys.exit(main())
