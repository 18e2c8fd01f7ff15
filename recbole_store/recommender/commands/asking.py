"""What the commands of a finished model share: loading it, refusals, tables on the console."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from recbole_store.errors import InputError, RunError
from recbole_store.processes.torchrun import n_processes
from recbole_store.settings.arguments import Parser


def model_parser(name: str, description: str, epilog: str = "") -> Parser:
    """A command line that begins with a model's folder."""
    p = Parser(
        prog=f"recbole-store {name}", description=description, epilog=epilog, allow_abbrev=False
    )
    p.add_argument("model", type=Path, metavar="MODEL", help="a model's folder: saved/RUN/model")
    p.add_argument("--device", help="cpu, cuda, cuda:1 (a GPU where there is one)")
    p.add_argument(
        "--precision",
        choices=("fp32", "bf16", "auto"),
        help="of decoding; auto: bf16 where the hardware has it (as the run was tested)",
    )
    return p


def answer(task: Callable[[], int]) -> int:
    """Run a command: its exit status.

    2 with one sentence for bad input, 1 where another of torchrun's processes is gone, 130 if
    interrupted.
    """
    try:
        with _among_others():
            return task()
    except (InputError, RunError) as error:
        if n_processes() > 1:
            import recbole_store.processes.ranks as ranks

            if not isinstance(error, ranks.OthersGone):
                ranks.behind_first()
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # of `| head`
        return 0


@contextmanager
def _among_others() -> Iterator[None]:
    """Join torchrun's other processes, if there are any; the first one alone speaks."""
    if n_processes() == 1:
        yield
        return
    import recbole_store.processes.ranks as ranks

    with ranks.started():
        if ranks.is_first():
            yield
            return
        with (
            Path(os.devnull).open("w") as nowhere,
            redirect_stdout(nowhere),
            redirect_stderr(nowhere),
        ):
            yield


def load(arguments):
    """The model that a command names."""
    # Imported late: --help and wrong arguments answer at once, without torch.
    import recbole_store.processes.ranks as ranks
    from recbole_store.plugin.register import register

    register()
    from recbole_store.recommender.recommender import Recommender

    device = arguments.device
    if device in (None, "cuda") and ranks.world_size() > 1:
        device = ranks.own_device()
    return Recommender.load(arguments.model, device, arguments.precision)


def listed(text: str) -> list[str]:
    """Ids with commas between them, one at least."""
    found = [raw.strip() for raw in text.split(",") if raw.strip()]
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} names no item")
    return found


def show(frame) -> None:
    """A ranked list, one item a line."""
    rows = [
        (raw, title, f"{score:.4f}", " ".join(map(str, codes or ())))
        for raw, title, score, codes in frame.itertuples(index=False)
    ]
    titles = [_short(title) for _, title, *_ in rows]
    widths = [max((len(str(row[n])) for row in rows), default=0) for n in range(4)]
    width = max(map(len, titles), default=0)
    for place, (row, title) in enumerate(zip(rows, titles, strict=True), start=1):
        raw, _, score, codes = row
        line = f"{place:3d}  {raw:{widths[0]}}  {title:{width}}  {score:>{widths[2]}}  {codes}"
        print(line.rstrip())


def _short(title: str, most: int = 60) -> str:
    title = " ".join(title.split())
    return title if len(title) <= most else title[: most - 1] + "…"
