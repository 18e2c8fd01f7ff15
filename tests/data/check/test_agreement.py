"""What the check says would stop a run does, and nothing else does."""

from __future__ import annotations

import json

import pytest

import run_recbole_store
from recbole_store.data.check.check_dataset import check
from recbole_store.errors import InputError
from recbole_store.experiments.run.build import build, split
from recbole_store.settings.resolve import resolve

HEADER = "user_id:token\titem_id:token\ttimestamp:float"
ROWS = [
    f"u{user}\ti{(user + n) % 6}\t{1_600_000_000 + 500 * n}" for user in range(4) for n in range(5)
]
ITEMS = ["item_id:token\ttitle:token_seq", *(f"i{n}\tTitle {n}" for n in range(6))]


def inter(*more: str, header: str = HEADER, rows=ROWS) -> str:
    return "\n".join([header, *rows, *more]) + "\n"


def histories(n: int, n_users: int = 4) -> list[str]:
    """Of users who have n items each."""
    places = [(user, place) for user in range(n_users) for place in range(n)]
    return [f"u{user}\ti{user + place}\t{1_600_000_000 + 500 * place}" for user, place in places]


# What lies in NAME.inter and in other files -> words that the check and the run say, none if it is
# sound.
CASES = {
    "sound": ({"inter": inter()}, None),
    "no times": (
        {
            "inter": inter(
                header="user_id:token\titem_id:token", rows=[r.rpartition("\t")[0] for r in ROWS]
            )
        },
        "has no column `timestamp`",
    ),
    "items as numbers": (
        {
            "inter": inter(
                header=HEADER.replace("item_id:token", "item_id:float"),
                rows=[r.replace("i", "") for r in ROWS],
            )
        },
        "`item_id:float`",
    ),
    "times as tokens": (
        {"inter": inter(header=HEADER.replace("timestamp:float", "timestamp:token"))},
        "`timestamp:token`",
    ),
    "no types": ({"inter": inter(header="user_id\titem_id\ttimestamp")}, "has no type"),
    "a row without a time": ({"inter": inter("u0\ti0\t")}, "without"),
    "a time that is NA": ({"inter": inter("u0\ti0\tNA")}, "without"),
    "an infinite time": ({"inter": inter("u0\ti0\tinf")}, "without"),
    "a row that ends early": ({"inter": inter("u0\ti0")}, "without"),
    "a time that is no number": ({"inter": inter("u0\ti0\tsoon")}, ""),
    "a row that is too long": ({"inter": inter("u0\ti0\t1600000000\t1")}, None),
    "a row of a user alone": ({"inter": inter("u0")}, None),
    "a row that is too long, without a time": ({"inter": inter("u0\ti0\t\t1")}, "without"),
    "a row that is too long, of no time": ({"inter": inter("u0\ti0\tsoon\t1")}, ""),
    "a row without a user, of no time": ({"inter": inter("\ti0\tsoon")}, ""),
    "a carriage return": ({"inter": inter("u0\ti0\t\r1600000000")}, "without"),
    "a time beyond all": ({"inter": inter("u0\ti0\t" + "9" * 400)}, ""),
    "an empty line": ({"inter": inter("", "")}, None),
    "another encoding": ({"inter": inter("\udce4\ti0\t1600000000")}, ""),
    "a row without a user": ({"inter": inter("\ti0\t1600000000")}, None),
    "users of one item": ({"inter": inter(rows=histories(1))}, "some user needs at least 4"),
    "users of two items": ({"inter": inter(rows=histories(2))}, "some user needs at least 4"),
    "users of three items": ({"inter": inter(rows=histories(3))}, "some user needs at least 4"),
    "one user of four items": ({"inter": inter(rows=[*histories(4, 1), *histories(1)[1:]])}, None),
    "one item": ({"inter": inter(rows=[f"u0\ti0\t{n}" for n in range(9)])}, "one item"),
    "no text": ({"inter": inter(), "item": None}, "STORE reads items' texts"),
    "no text that fits": ({"inter": inter(), "item": f"{ITEMS[0]}\nother\tTitle\n"}, "has no text"),
    "texts of other columns": (
        {"inter": inter(), "yaml": "item_text: {name: '{}'}\n"},
        "`item_text` names name",
    ),
    "a mistyped key of its own": ({"inter": inter(), "yaml": "item_txt: {}\n"}, "item_txt"),
    "a wrong type of its own": (
        {"inter": inter(), "yaml": "MAX_ITEM_LIST_LENGTH: many\n"},
        "MAX_ITEM",
    ),
    "a filter of its own": (
        {"inter": inter(), "yaml": 'val_interval: {rating: "[3,inf)"}\n'},
        "val_interval",
    ),
}


def write(folder, files: dict) -> None:
    folder.mkdir()
    files = {"item": "\n".join(ITEMS) + "\n", **files}
    for ending, text in files.items():
        if text is not None:
            content = text.encode("utf-8", "surrogateescape")
            (folder / f"toy.{ending}").write_bytes(content)


@pytest.mark.parametrize("case", CASES)
def test_the_run_says_the_same(tmp_path, tiny_llm, case, capsys):
    files, words = CASES[case]
    write(tmp_path / "toy", files)
    try:
        stops = [f.text for f in check("toy", tmp_path, []).findings if f.stops]
    except InputError as error:
        stops = [str(error)]
    refused = []
    try:
        typed = {"data_path": str(tmp_path), "backbone": str(tiny_llm), "codebook_size": "2"}
        settings = resolve("STORE", "toy", [], typed)
        config, dataset = build("STORE", "toy", {**settings, "gpu_id": ""})
        split("STORE", config, dataset)
    except InputError as error:
        refused = [str(error)]
    if words is None:
        assert not stops and not refused
    else:
        assert any(words in text for text in stops), stops
        assert refused and words in refused[0], refused


def test_the_command_says_what_would_stop_a_run(tmp_path, capsys):
    write(tmp_path / "toy", {"inter": inter("u0\ti0\t")})
    assert run_recbole_store.main(["check", "toy", "--data_path", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "Would stop a run:\n- toy.inter: rows without a time" in out
    assert "Would change results" not in out and "Nothing was found" not in out


def test_more_items_of_one_text_than_are_told_apart(tmp_path, capsys):
    """STORE refuses them before it trains its tokenizer."""
    lines = [json.dumps({"item_id": f"i{n}", "title": "Lamp"}) for n in range(6)]
    files = {"inter": inter(), "text.jsonl": "\n".join(lines) + "\n"}
    write(tmp_path / "toy", files)
    assert not [f for f in check("toy", tmp_path, []).findings if f.stops]
    few = tmp_path / "few.yaml"
    few.write_text("disambiguation_size: 5\n")
    (found,) = [f.text for f in check("toy", tmp_path, [few]).findings if f.stops]
    assert "share one text, or have none: 6, more than `disambiguation_size` (5)" in found


# Benchmark files

PART = "user_id:token\titem_id_list:token_seq\titem_id:token\n"
SPLIT = "benchmark_filename: [train, valid, test]\nload_col: {inter: '*'}\n"


def parts(*more: str) -> dict:
    rows = "".join(f"u{n}\ti{n} i{n + 1}\ti{n + 2}\n" for n in range(4))
    files = {f"{part}.inter": PART + rows for part in ("train", "valid", "test")}
    files["train.inter"] += "".join(more)
    return {**files, "yaml": SPLIT}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (parts(), None),
        ({**parts(), "inter": inter()}, None),
        (parts("u9\t\ti1\n"), "item in `item_id_list`"),
        ({**parts(), "test.inter": None}, "toy.test.inter is missing"),
        ({**parts(), "test.inter": "user_id:token\titem:token\nu\ti\n"}, "no column `item_id`"),
    ],
)
def test_benchmark_files(tmp_path, tiny_llm, files, words):
    """Whether there is a NAME.inter beside them or not."""
    write(tmp_path / "toy", files)
    try:
        checked = check("toy", tmp_path, [])
        stops = [f.text for f in checked.findings if f.stops]
        assert checked.n_items == 6 or "inter" not in files
    except InputError as error:
        stops = [str(error)]
    refused = []
    try:
        typed = {"data_path": str(tmp_path), "backbone": str(tiny_llm), "codebook_size": "2"}
        build("STORE", "toy", {**resolve("STORE", "toy", [], typed), "gpu_id": ""})
    except InputError as error:
        refused = [str(error)]
    assert bool(stops) == bool(refused) == (words is not None), (stops, refused)
    for text in stops[:1] + refused:
        assert words in text


@pytest.mark.parametrize(
    "content",
    ["disambiguation_size: many\n", "eval_args: [5]\n", "nonsense: 1\n"],
)
def test_property_files_that_a_run_refuses(tmp_path, content):
    """The rest of the data set is looked at all the same."""
    write(tmp_path / "toy", {"inter": inter("u0\ti0\t")})
    (tmp_path / "mine.yaml").write_text(content)
    stops = [f.text for f in check("toy", tmp_path, [tmp_path / "mine.yaml"]).findings if f.stops]
    assert len(stops) == 2 and "mine.yaml" in stops[0] and "without a time" in stops[1], stops


@pytest.mark.parametrize("value", ["7", '""', "~"])
@pytest.mark.parametrize("key", ["field_separator", "seq_separator"])
def test_separators_that_are_none(tmp_path, key, value):
    for own in (True, False):
        folder = tmp_path / str(own)
        folder.mkdir()
        text = f"{key}: {value}\n"
        write(folder / "toy", {"inter": inter(), **({"yaml": text} if own else {})})
        (folder / "mine.yaml").write_text("" if own else text)
        files = [folder / "mine.yaml"]
        with pytest.raises(InputError, match=key):
            resolve("Pop", "toy", files, {"data_path": str(folder)})
        with pytest.raises(InputError, match=key):
            check("toy", folder, files)
