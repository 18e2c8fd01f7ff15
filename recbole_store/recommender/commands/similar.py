"""``recbole-store similar``: the items likest to one."""

from __future__ import annotations

from recbole_store.recommender.commands.asking import answer, load, model_parser, show
from recbole_store.settings.arguments import Parser, at_least_one


def parser() -> Parser:
    """``similar MODEL --item ID``."""
    p = model_parser("similar", "Show the items that a model finds likest to one.")
    p.add_argument("--item", required=True, metavar="ID", help="its raw id")
    p.add_argument("-k", type=at_least_one, default=10, metavar="N", help="how many (10)")
    return p


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 done, 2 bad input, 130 interrupted."""
    arguments = parser().parse_args(argv)

    def task() -> int:
        show(load(arguments).similar(arguments.item, arguments.k))
        return 0

    return answer(task)
