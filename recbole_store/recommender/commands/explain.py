"""``recbole-store explain``: an item's codes, and why it is recommended."""

from __future__ import annotations

from recbole_store.recommender.commands.asking import answer, listed, load, model_parser
from recbole_store.settings.arguments import Parser, at_least_one


def parser() -> Parser:
    """``explain MODEL --item ID [--items A,B]``."""
    p = model_parser("explain", "Say what an item is to a model, and why it recommends it.")
    p.add_argument("--item", required=True, metavar="ID", help="the item's raw id")
    p.add_argument("--items", type=listed, metavar="A,B", help="a history, the latest item last")
    p.add_argument("--user", metavar="U", help="its user, for a model that tells users apart")
    p.add_argument(
        "-k", type=at_least_one, default=5, metavar="N", help="items shown of each kind (5)"
    )
    p.add_argument("--json", action="store_true", help="print JSON")
    return p


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 done, 2 bad input, 130 interrupted."""
    arguments = parser().parse_args(argv)
    return answer(lambda: _explain(arguments))


def _explain(arguments) -> int:
    found = load(arguments).explain(arguments.item, arguments.items, arguments.user, arguments.k)
    if arguments.json:
        import json

        print(json.dumps(found.as_dict(), ensure_ascii=False, indent=1))
        return 0
    print(f"{found.item_id}  {found.title}")
    for number, level in enumerate(found.levels):
        print(f"\nlevel {number}: code {level.code}, shared so far with {level.shared_by:,} items")
        if level.rebuilt:
            print(f"  the codes so far read: {level.rebuilt}")
        for raw_id, title in level.neighbours.itertuples(index=False):
            print(f"  {raw_id}  {title}")
    if found.score is None:
        return 0
    place = "not among the first" if found.rank is None else f"place {found.rank}"
    print(f"\nbehind the history: score {found.score:.4f}, {place}")
    for name, share in sorted(found.shares.items(), key=lambda pair: -pair[1]):
        print(f"  {share:4.0%} by {name} (gain {found.gains[name]:+.3f})")
    print("\nwithout an item of the history the score would change by")
    for raw_id, title, change in found.moved.itertuples(index=False):
        print(f"  {-change:+.4f}  {raw_id}  {title}")
    return 0
