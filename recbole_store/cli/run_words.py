"""``recbole-store train`` and ``compare``, and the same words without either."""

from __future__ import annotations

import errno
import sys
import textwrap
from argparse import SUPPRESS, RawDescriptionHelpFormatter
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

from recbole_store.cli.commands import program
from recbole_store.errors import InputError, RunError, one_sentence
from recbole_store.experiments.processes import (
    Terminated,
    end_with_parent,
    exit_status,
    terminating,
)
from recbole_store.processes.torchrun import alone, n_processes
from recbole_store.settings.arguments import Parser
from recbole_store.settings.descriptions import line_of
from recbole_store.settings.keys import RENAMED, declared_keys
from recbole_store.settings.property_files import PLUGIN_MODELS, nearest, properties_folder

MOST_SEEDS = 1000
# Of the system's errors those that are a name's fault, before anything has begun.
_OF_NAMES = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL}
_OF_NAMES |= {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.ENOENT}

WHAT = {
    "": "Train and evaluate STORE and RecBole's models under one protocol.",
    "train": "Train one model on one data set, and test it.",
    "compare": "Run several models, data sets or seeds under one protocol, each run in its own "
    "process. What has finished is kept in --results, recognised and not run again.",
}
EPILOG = """\
Any property of RecBole or of a model can be set as --key=value (a YAML value, never evaluated as
code), such as --num_beams=50 --topk=[10,50]; `recbole-store settings MODEL` lists them.

Models: any name that RecBole knows, and
{models}
Variants, as MODEL:VARIANT, or MODEL:FILE.yaml for a property file of your own:
{variants}
"""


def variants() -> list[str]:
    """Every MODEL:VARIANT that has a property file."""
    stems = [file.stem for file in (properties_folder() / "variant").glob("*.yaml")]
    return sorted(stem.replace("-", ":", 1) for stem in stems)


def described(labels) -> str:
    """A line or two on each label: the first sentence of its property file."""
    lines = []
    for label in labels:
        model, _, variant = label.partition(":")
        lines.append(f"  {label}")
        lines.append(textwrap.indent(textwrap.fill(line_of(model, variant), 92), " " * 6))
    return "\n".join(lines)


def parser(verb: str = "") -> Parser:
    """The command line; whatever it does not list must be ``--key=value`` of a property.

    Args:
        verb: ``train``, ``compare``, or neither, where models and data sets have defaults.
    """
    p = Parser(
        prog=" ".join(filter(None, (program(), verb))),
        usage="%(prog)s --model=MODEL --dataset=NAME [options] [--key=value ...]",
        description=WHAT[verb],
        epilog=EPILOG.format(models=described(PLUGIN_MODELS), variants=described(variants())),
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    one = "one name" if verb == "train" else "one name, or several with commas"
    defaults = ("", "") if verb else (" (STORE)", " (ml-100k)")
    what = p.add_argument_group("what to run" + (", required" if verb else ""))
    what.add_argument("--model", "-m", metavar="MODEL[:VARIANT]", help=one + defaults[0])
    what.add_argument("--dataset", "-d", metavar="NAME", help=one + defaults[1])
    how = p.add_argument_group("its settings")
    several = SUPPRESS if verb == "train" else "seed, seed+1, ... (1)"
    how.add_argument("--seeds", type=int, metavar="N", help=several)
    how.add_argument(
        "--config_files",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="RecBole property files",
    )
    how.add_argument(
        "--profile",
        metavar="NAME",
        help="auto, STORE's own, by the data; quick, a first look; full, for a GPU; none; FILE",
    )
    where = p.add_argument_group("its places")
    single = SUPPRESS if verb == "compare" else None
    where.add_argument(
        "--run_dir", type=Path, help=single or "folder of a single run (saved/MODEL-DATASET-...)"
    )
    kept = "results" if verb == "compare" else "results; a single run is kept only if this is given"
    where.add_argument("--results", type=Path, metavar="DIR", help=f"results folder ({kept})")
    where.add_argument("--beside", type=Path, help="folder of result files to show in the table")
    again = p.add_argument_group("what was begun")
    again.add_argument(
        "--resume",
        type=Path,
        metavar="RUN",
        help=single or "go on with a run that was cut off, by its folder alone",
    )
    again.add_argument(
        "--again",
        action="store_true",
        help="run finished runs of a comparison again; begin anew what was cut off",
    )
    again.add_argument(
        "--replace", action="store_true", help="replace kept runs that had other settings"
    )
    said = p.add_argument_group("what is said")
    loud = said.add_mutually_exclusive_group()
    loud.add_argument(
        "-v", action="store_true", dest="verbose", help="RecBole's settings and lines as well"
    )
    loud.add_argument(
        "-q", action="store_true", dest="quiet", help="the end alone: table, verdict, places"
    )
    said.add_argument(
        "--json",
        action="store_true",
        help="one JSON object at the end: metrics and places; all else goes to stderr",
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


def check_flags(keys: list[str], models: list[str], flags: list[str], error) -> None:
    """Refuse a word that is neither a flag nor a key, if it is likest to a flag.

    One that is likest to a key, or to none, is refused with all other settings.
    """
    known = declared_keys(models)
    for key in keys:
        if key not in known and RENAMED.get(key) not in known:
            said = nearest(f"--{key}", [f"--{name}" for name in [*known, *flags]])
            if any(f"`--{flag}`" in said for flag in flags):
                error(f"unknown argument --{key}{said}")


def asked_anew(arguments, pairs: list[tuple[str, str]]) -> list[str]:
    """Words that say what a run shall be, which a run that goes on knows already."""
    names = ("model", "dataset", "seeds", "config_files", "profile", "run_dir", "again")
    words = [f"--{name}" for name in names if getattr(arguments, name)]
    return words + [f"--{key}" for key, _ in pairs]


def check_words(verb: str, arguments, pairs: list[tuple[str, str]], error) -> None:
    """Refuse what a look at the words alone can refuse."""
    if arguments.seeds is not None and not 1 <= arguments.seeds <= MOST_SEEDS:
        error(f"--seeds={arguments.seeds}, but must be at least 1 and at most {MOST_SEEDS}")
    if verb == "compare" and n_processes() > 1:
        error(alone("compare"))
    if arguments.resume and (asked := asked_anew(arguments, pairs)):
        error(f"--resume={arguments.resume} goes on as the run was begun: leave out {asked[0]}")
    if verb == "compare" and arguments.resume:
        error("--resume is for a single run: a comparison that is started again goes on by itself")
    for name in ("model", "dataset") if verb and not arguments.resume else ():
        if not getattr(arguments, name):
            for key in [key for key, _ in pairs if key not in declared_keys([])]:
                if said := nearest(f"--{key}", [f"--{name}"]):
                    error(f"unknown argument --{key}{said}")
            error(f"`{verb}` needs --{name}=NAME; `{verb} --help` lists what there is")


def run(argv: list[str], verb: str = "") -> int:
    """Returns the exit status: 0 done, 1 a run failed, 2 bad input, 130 or 143 interrupted."""
    p = parser(verb)
    arguments, unknown = p.parse_known_args(argv)
    pairs = typed_properties(unknown, p.error)
    check_words(verb, arguments, pairs, p.error)
    try:
        # Imported late: --help and wrong arguments answer at once, without torch.
        import recbole_store.processes.ranks as ranks
        from recbole_store.experiments.comparison.plan import parse_datasets, parse_labels

        labels = parse_labels(arguments.model or "STORE")
        compared_with = [name for name in arguments.compared_with.split(",") if name]
        models = [model for model, _ in labels] + compared_with
        check_flags([key for key, _ in pairs], models, p.flags(), p.error)

        from recbole_store.experiments.request import Request
        from recbole_store.experiments.requested import run_compared, run_single
        from recbole_store.experiments.run.logs import NORMAL, QUIET, VERBOSE

        end_with_parent()
        request = Request(
            labels=labels,
            datasets=parse_datasets(arguments.dataset or "ml-100k"),
            n_seeds=arguments.seeds or 1,
            files=[Path(name) for name in arguments.config_files],
            profile=arguments.profile,
            typed=dict(pairs),
            compared_with=compared_with,
            run_dir=arguments.run_dir,
            beside=arguments.beside,
            results=arguments.results,
            again=arguments.again,
            replace=arguments.replace,
            table=not arguments.no_table,
            verbosity=QUIET if arguments.quiet else VERBOSE if arguments.verbose else NORMAL,
            json_to=sys.stdout if arguments.json else None,
        )
        if verb == "train" and not request.is_single:
            p.error("`train` is one model, data set and seed: several are `recbole-store compare`")
        if n_processes() > 1 and not request.is_single:
            p.error(alone("compare"))
        if arguments.resume:
            request = request.of_folder(arguments.resume)
        to_stderr = redirect_stdout(sys.stderr) if arguments.json else nullcontext()
        with terminating(), to_stderr, ranks.started():
            is_single = request.is_single and verb != "compare"
            return run_single(request) if is_single else run_compared(request)
    except (InputError, RunError) as error:
        if n_processes() > 1 and not isinstance(error, ranks.OthersGone):
            ranks.behind_first()
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
