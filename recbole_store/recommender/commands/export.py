"""``recbole-store export``: a model in the format of other tools."""

from __future__ import annotations

from pathlib import Path

from recbole_store.recommender.commands.asking import answer, load, model_parser
from recbole_store.settings.arguments import Parser


def parser() -> Parser:
    """``export MODEL OUT --format hf``."""
    p = model_parser("export", "Write a STORE as a folder that plain transformers load.")
    p.add_argument("out", type=Path, metavar="OUT", help="folder to be written")
    p.add_argument("--format", choices=["hf"], default="hf", help="hf: Hugging Face (hf)")
    return p


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 done, 2 bad input, 130 interrupted."""
    arguments = parser().parse_args(argv)
    return answer(lambda: _export(arguments))


def _export(arguments) -> int:
    store = load(arguments)
    from recbole_store.recommender.export.hugging_face import export

    export(store, arguments.out)
    print(f"{arguments.out}: for AutoModelForCausalLM; recommend.py there needs nothing of ours.")
    return 0
