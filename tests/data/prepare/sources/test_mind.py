"""MIND: histories hold clicks only, for retrieval and for scoring, and RecBole loads both."""

from __future__ import annotations

import pytest

from recbole_store.experiments.run.build import build
from recbole_store.experiments.run.run import run_model
from recbole_store.settings.resolve import resolve


def news(item, title):
    return "\t".join([item, "sports", "golf", title, "Abstract", "https://x", "[]", "[]"])


def row(number, user, time, history, shown):
    return "\t".join([str(number), user, time, history, shown])


TRAIN = [
    row(1, "U1", "11/12/2019 9:00:00 AM", "N1 N2", "N3-0 N4-1"),
    row(2, "U2", "11/11/2019 9:00:00 PM", "N4", "N1-1 N5-0"),
    row(3, "U1", "11/11/2019 9:00:00 AM", "N1", "N2-1 N5-0"),
    row(4, "U3", "11/12/2019 9:00:00 AM", "", "N1-1 N2-0"),
]
DEV = [row(1, "U2", "11/15/2019 9:00:00 AM", "N4 N1", "N3-1 N2-0 N6-0")]
FILES = {
    "MINDtiny_train.zip/behaviors.tsv": TRAIN,
    "MINDtiny_train.zip/news.tsv": [news(f"N{n}", f"Title {n}") for n in range(1, 6)],
    "MINDtiny_dev.zip/behaviors.tsv": DEV,
    "MINDtiny_dev.zip/news.tsv": [news("N6", '"New" today'), news("N1", "Title 1")],
}
DAY = 1573430400  # 2019-11-11


def test_retrieval(prepare):
    """The earliest history of each user, then clicks; nobody's shown but unclicked news."""
    prepared = prepare("mind", FILES)
    hour = 3600
    assert prepared.lines("inter") == [
        "user_id:token\titem_id:token\ttimestamp:float",
        f"U1\tN1\t{DAY + 9 * hour - 1}",
        f"U1\tN2\t{DAY + 9 * hour}",
        f"U2\tN4\t{DAY + 21 * hour - 1}",
        f"U2\tN1\t{DAY + 21 * hour}",
        f"U1\tN4\t{DAY + 33 * hour}",
        f"U3\tN1\t{DAY + 33 * hour}",
        f"U2\tN3\t{DAY + 105 * hour}",
    ]
    assert list(prepared.texts) == ["N1", "N2", "N3", "N4", "N5", "N6"]
    assert prepared.texts["N6"]["title"] == '"New" today'


def test_impressions(prepare):
    prepared = prepare("mind", FILES, "--train_impressions=all", "--impression_history=1")
    header = "user_id:token\titem_id:token\titem_id_list:token_seq\tlabel:float\ttimestamp:float"
    expected = {
        "train": [
            f"U1\tN2\tN1\t1\t{DAY + 32400}\t3",
            f"U1\tN5\tN1\t0\t{DAY + 32400}\t3",
            f"U2\tN1\tN4\t1\t{DAY + 75600}\t2",
            f"U2\tN5\tN4\t0\t{DAY + 75600}\t2",
        ],
        "valid": [f"U1\tN3\tN2\t0\t{DAY + 118800}\t1", f"U1\tN4\tN2\t1\t{DAY + 118800}\t1"],
        "test": [
            f"U2\t{word}\t{DAY + 378000}\t5" for word in ("N3\tN1\t1", "N2\tN1\t0", "N6\tN1\t0")
        ],
    }
    for split, rows in expected.items():
        assert prepared.lines(f"{split}.inter") == [f"{header}\timpression_id:token", *rows]
    more = prepared.card["more"]
    assert more["impressions without history"] == 1
    assert more["test rows"] == 3 and more["test clicks"] == 1


def test_train_holds_clicks_unless_told(prepare):
    prepared = prepare("mind", FILES)
    labels = {
        s: [r.split("\t")[3] for r in prepared.lines(f"{s}.inter")[1:]] for s in ("train", "test")
    }
    assert labels == {"train": ["1", "1"], "test": ["1", "0", "0"]}


def test_histories_hold_clicks_only(prepare):
    """Whatever is shown in this user's rows, only what was clicked stands in a history."""
    prepared = prepare("mind", FILES, "--train_impressions=all")
    clicked = {"U1": {"N1", "N2", "N4"}, "U2": {"N4", "N1", "N3"}}
    for split in ("train", "valid", "test"):
        for line in prepared.lines(f"{split}.inter")[1:]:
            user, _, history, *_ = line.split("\t")
            assert set(history.split(" ")) <= clicked[user]


def test_without_dev_days_are_split(prepare):
    third = row(5, "U2", "11/13/2019 9:00:00 AM", "N4 N1", "N3-1 N2-0")
    files = {name: rows for name, rows in FILES.items() if "train" in name}
    files["MINDtiny_train.zip/behaviors.tsv"] = [*TRAIN, third]
    prepared = prepare("mind", files)
    first = {s: prepared.lines(f"{s}.inter")[1].split("\t")[:2] for s in ("train", "valid", "test")}
    assert first == {"train": ["U1", "N2"], "valid": ["U1", "N3"], "test": ["U2", "N3"]}


@pytest.fixture
def resolved(prepare, tiny_settings):
    """``resolved(model, scoring)``: settings of a run on the prepared toy data."""

    def run(model, scoring=True, **more) -> dict:
        prepared = prepare("mind", FILES)
        folder = prepared.folder
        files = [folder / "toy.impressions.yaml"] if scoring else []
        settings = resolve(model, "toy", files, {"data_path": str(folder.parent)})
        return {**settings, "gpu_id": "", "show_progress": False, "epochs": 1, **more}

    return run


def test_recbole_loads_the_impressions(resolved):
    settings = resolved("SASRec")
    _, dataset = build("SASRec", "toy", settings)
    train, valid, test = dataset.build()
    assert [len(split) for split in (train, valid, test)] == [2, 2, 3]
    names = dataset.field2id_token["item_id"]
    rows = test.inter_feat
    histories = [
        names[row[:length]].tolist()
        for row, length in zip(
            rows["item_id_list"].numpy(), rows["item_length"].tolist(), strict=True
        )
    ]
    assert histories == [["N4", "N1"]] * 3
    assert names[rows["item_id"].numpy()].tolist() == ["N3", "N2", "N6"]
    assert rows["label"].tolist() == [1, 0, 0]


def test_recbole_scores_the_impressions(resolved, tmp_path):
    result = run_model("SASRec", "toy", resolved("SASRec"), tmp_path / "run")
    assert result["protocol"]["n_test"] == 3
    assert result["test"]["auc"] in (0.0, 0.5, 1.0)


def test_recbole_loads_the_retrieval_data(resolved):
    _, dataset = build("Pop", "toy", resolved("Pop", scoring=False))
    assert dataset.inter_num == 7 and dataset.item_num - 1 == 4


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (row(9, "U1", "11/12/2019 9:00:00 AM", "", "N3"), "line 5: the impression 'N3' is not"),
        (row(9, "U1", "2019-11-12", "", "N3-1"), "line 5: the time '2019-11-12'"),
        ("1\tU1", "line 5: 2 fields where 5 were expected"),
    ],
)
def test_faults(refused, bad, words):
    files = {**FILES, "MINDtiny_train.zip/behaviors.tsv": [*TRAIN, bad]}
    assert words in refused("mind", files)


def test_missing_files(refused):
    assert "Expected one behaviors.tsv of train" in refused(
        "mind", {"x/news.tsv": [news("N1", "")]}
    )
