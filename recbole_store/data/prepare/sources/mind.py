"""MIND (Microsoft news): clicks as histories for retrieval, impressions with labels for scoring."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import count

from recbole_store.data.prepare.atomic_text import safe_id
from recbole_store.data.prepare.interactions import Interaction
from recbole_store.data.prepare.raw_files import RawFile, Role, raw_files_in
from recbole_store.data.prepare.raw_reader import RawReader
from recbole_store.data.prepare.raw_rows import delimited_rows
from recbole_store.data.prepare.sources.impressions import Impression, write_impressions
from recbole_store.data.prepare.sources.source import Source
from recbole_store.data.prepare.times import Time, from_format
from recbole_store.errors import BadValue, DataError
from recbole_store.settings.arguments import at_least_one
from recbole_store.settings.property_files import properties_folder

BEHAVIOR_COLUMNS = ["impression_id", "user_id", "time", "history", "impressions"]
NEWS_COLUMNS = [
    *("item_id", "category", "subcategory", "title", "abstract", "url"),
    *("title_entities", "abstract_entities"),
]
_DEV = re.compile(r"dev|valid", re.IGNORECASE)


class MIND(Source):
    summary = "MIND: the folders or zip archives of train and dev, with behaviors.tsv and news.tsv"
    roles = {
        "behaviors": Role(("behaviors.tsv",)),
        "news": Role(("news.tsv",)),
        "dev behaviors": Role(("behaviors.tsv",), required=False),
        "dev news": Role(("news.tsv",), required=False),
    }
    item_columns = {
        "title": "token_seq",
        "category": "token",
        "subcategory": "token",
        "abstract": "",
    }
    describes_all_items = True  # impressions show news that nobody has clicked
    remark = (
        "MIND gives the order of a history but no times of its clicks: here they are one second "
        "apart, the last of them one second before the user's first impression."
    )

    @classmethod
    def add_arguments(cls, parser):
        parser.add_argument(
            "--impression_history",
            type=at_least_one,
            default=50,
            metavar="N",
            help="latest clicks in the history of an impression (50)",
        )
        parser.add_argument(
            "--train_impressions",
            choices=("clicked", "all"),
            default="clicked",
            help="what NAME.train.inter holds: clicks, as RecBole's sequential models train on "
            "every row as on a click, or all with their labels (clicked)",
        )

    def find(self, paths):
        there = [raw for path in paths for raw in raw_files_in(path)]
        found: dict[str, RawFile] = {}
        for kind in ("behaviors", "news"):
            files = [raw for raw in there if raw.name == f"{kind}.tsv"]
            dev = [raw for raw in files if _DEV.search(_own_folder(raw))]
            train = [raw for raw in files if raw not in dev]
            if len(train) != 1 or len(dev) > 1:
                raise DataError(
                    f"Expected one {kind}.tsv of train, and one of dev in a folder or archive with "
                    f"dev in its name, but found {', '.join(map(str, files)) or 'none'}."
                )
            found[kind] = train[0]
            if dev:
                found[f"dev {kind}"] = dev[0]
        return dict(sorted(found.items(), key=lambda pair: list(self.roles).index(pair[0])))

    def beginnings(self, reader, files):
        files_of = [{role: files[role]} for role in files]
        return [_behaviors(reader, f) for f in files_of] + [self.items(reader, f) for f in files_of]

    def interactions(self, reader, files):
        first = first_times(_behaviors(reader, files))
        for row in _behaviors(reader, files):
            if first.get(row.user) == (row.time, row.number):
                seconds, fraction = row.time
                start = seconds - len(row.history)
                for n, item in enumerate(row.history):
                    yield Interaction(row.user, item, (start + n, fraction))
            for item, label in row.shown:
                if label == "1":
                    yield Interaction(row.user, item, row.time)

    def items(self, reader, files):
        for role in ("news", "dev news"):
            if role in files:
                rows = delimited_rows(reader, files[role], "\t", NEWS_COLUMNS, quotes=False)
                yield from reader.read(rows, lambda row: (safe_id(row["item_id"]), row))

    def write_more(self, reader, files, folder, name):
        path = properties_folder() / "dataset" / "source" / "mind-impressions.yaml"
        properties = path.read_text(encoding="utf-8")
        (folder / f"{name}.impressions.yaml").write_text(properties, encoding="utf-8")
        return write_impressions(
            _behaviors(reader, files),
            folder,
            name,
            max_history=self.arguments.impression_history,
            all_in_train=self.arguments.train_impressions == "all",
            memory=self.arguments.memory,
        )


def first_times(rows: Iterator[Impression]) -> dict[str, tuple[Time, int]]:
    """User -> time and number of the earliest impression, whose history is the shortest."""
    first: dict[str, tuple[Time, int]] = {}
    for row in rows:
        if row.user not in first or (row.time, row.number) < first[row.user]:
            first[row.user] = (row.time, row.number)
    return first


def _behaviors(reader: RawReader, files: dict[str, RawFile]) -> Iterator[Impression]:
    numbers = count(1)
    for role in ("behaviors", "dev behaviors"):
        if role in files:
            rows = delimited_rows(reader, files[role], "\t", BEHAVIOR_COLUMNS, quotes=False)
            as_impression = partial(_impression, is_dev=role == "dev behaviors")
            for row in reader.read(rows, as_impression):
                yield row._replace(number=next(numbers))


def _impression(row: dict[str, str], is_dev: bool) -> Impression:
    """One row of behaviors.tsv, not numbered yet."""
    shown = []
    for word in row["impressions"].split():
        item, _, label = word.rpartition("-")
        if not item or label not in ("0", "1"):
            raise BadValue(f"the impression {word!r} is not NEWS-0 or NEWS-1")
        shown.append((safe_id(item), label))
    user, time = safe_id(row["user_id"]), from_format(row["time"], "%m/%d/%Y %I:%M:%S %p")
    if not user or time is None:
        raise BadValue("an impression without user or time")
    history = [safe_id(item) for item in row["history"].split()]
    return Impression(0, is_dev, user, time, history, shown)


def _own_folder(raw: RawFile) -> str:
    """Name of the folder or archive that holds the file."""
    inside = raw.member.split("/")[:-1] if raw.member else []
    return "/".join([raw.path.name if raw.member else raw.path.parent.name, *inside])
