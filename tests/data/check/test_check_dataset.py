"""Planted faults are found, each by its own sentence, and sound data pass."""

from __future__ import annotations

import pytest

import run_recbole_store
from recbole_store.data.check.check_dataset import check

HEADER = "user_id:token\titem_id:token\ttimestamp:float"
ROWS = [(f"u{user}", f"i{n}", 1_600_000_000 + 500 * n) for n in range(4) for user in range(3)]
ITEMS = ["item_id:token\ttitle:token_seq", *(f"i{n}\tTitle {n}" for n in range(4))]


@pytest.fixture
def findings(tmp_path):
    """``findings(inter_lines, item_lines, texts)`` -> (what changes results, what is notable)."""

    def run(rows=ROWS, items=ITEMS, inter_bytes=None, more=None) -> tuple[list[str], list[str]]:
        folder = tmp_path / "toy"
        folder.mkdir()
        lines = [HEADER, *("\t".join(map(str, row)) for row in rows)]
        content = inter_bytes or ("\n".join(lines) + "\n").encode()
        (folder / "toy.inter").write_bytes(content)
        if items:
            (folder / "toy.item").write_text("\n".join(items) + "\n", encoding="utf-8")
        for name, text in (more or {}).items():
            (folder / name).write_text(text, encoding="utf-8")
        found = check("toy", tmp_path, []).findings
        return tuple([f.text for f in found if f.changes_results == kind] for kind in (True, False))

    return run


def test_sound_data_pass(findings, tmp_path, capsys):
    assert findings() == ([], [])
    assert run_recbole_store.main(["check", "toy", "--data_path", str(tmp_path)]) == 0
    assert "Nothing was found that would change results" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([*ROWS, ROWS[0]], "Rows that repeat user, item and time of another row"),
        ([*ROWS, ("u0", "NA", 1_700_000_000)], "line 14: item_id 'NA'"),
        ([*ROWS, ("", "i0", 1_700_000_000)], "line 14: user_id ''"),
        ([*ROWS, ("[PAD]", "i0", 1_700_000_000)], "the padding: 1 (line 14: user_id '[PAD]')"),
        ([*ROWS, ('"u', "i0", 1_700_000_000)], "begin with a double quote"),
        ([*ROWS, ("u\rv", "i0", 1_700_000_000)], "carriage return inside"),
        ([*ROWS, ("u0", "i0")], "too few fields: 1 (line 14)"),
        ([*ROWS, ("u0", "i0", 1, 2)], "too many fields: 1 (line 14)"),
        ([*ROWS, ("u0", "i0", "soon")], "no number, which RecBole cannot read: 1 (line 14: time"),
    ],
)
def test_faults_of_interactions(findings, rows, words):
    changing, _ = findings(rows)
    assert any(words in text for text in changing), changing


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([*ITEMS, "i9\tNobody's"], "items without interactions: 1 (i9)"),
        ([*ITEMS, "i0\tTitle 0"], "more than one row: 1 (i0)"),
        (
            [*ITEMS[:-1], "i3\t"],
            "Items without text, which text-based models cannot tell apart: 1 (i3)",
        ),
        ([*ITEMS[:-1], 'i3\t"Quoted'], "begin with a double quote"),
        (["item_id\ttitle:token_seq", *ITEMS[1:]], "the header has 'item_id'"),
        (None, "STORE reads items' texts"),
    ],
)
def test_faults_of_items(findings, items, words):
    changing, _ = findings(items=items)
    assert any(words in text for text in changing), changing


def test_items_that_every_model_loads(findings):
    """As `prepare --keep_all_items` leaves them."""
    more = {"toy.yaml": "load_col: {inter: [user_id, item_id, timestamp], item: [item_id]}\n"}
    changing, notable = findings(items=[*ITEMS, "i9\tNobody's"], more=more)
    assert changing == [] and notable == [
        "toy.item: items without interactions: 1 (i9). Every model ranks them, too, since "
        "`load_col` names the file."
    ]


@pytest.mark.parametrize("is_loaded", [True, False])
def test_items_without_a_row(findings, is_loaded):
    """RecBole drops interactions with items that a file it loads does not have."""
    more = {"toy.yaml": "load_col: {inter: [user_id, item_id, timestamp], item: [item_id]}\n"}
    found = findings(items=ITEMS[:-1], more=more if is_loaded else None)
    words = "Every model loses" if is_loaded else "A model that loads the file loses"
    assert any(f"no row there: 1 (i3). {words} " in text for text in found[not is_loaded])


def test_what_is_only_worth_knowing(findings):
    later = 1_700_000_000
    rows = [*ROWS, ("u0", "i0", later), ("u1", "i1", later), ("u1", "i0", later), ("v", "i1", 5)]
    items = [*ITEMS[:3], "i2\tTitle 1", "i3\tNA"]
    changing, notable = findings(rows, items)
    assert changing == []
    for words in (
        "repeat a user-item pair at another time: 3. Users whose last item is such a repeat: 2",
        "share their time with another of the user: 2, of 1 users; the file's order decides "
        "which comes first. Users with several items at their last time, of which that order "
        "decides which is tested: 1",
        "Interactions of the same user and day as another: 14. If a day is one basket",
        "fewer than three interactions, who are neither validated nor tested on: 1",
        "missing: 1 (line 5: title 'NA')",
        "Items with the very text of another item: 1",
    ):
        assert any(words in text for text in notable), (words, notable)


def test_float32_times(findings):
    """Seconds apart: harmless in order, but not where the file has them the other way round."""
    rows = [("u", f"i{n % 4}", 1_600_000_000 + n) for n in range(8)]
    changing, notable = findings(rows)
    assert changing == [] and any("collide in float32" in text for text in notable)


def test_float32_times_out_of_order(findings):
    rows = [("u", f"i{n % 4}", 1_600_000_000 + n) for n in reversed(range(8))]
    (text,), _ = findings([*rows, *(("v", f"i{n}", 9_000 * n) for n in range(4))])
    assert "wrong order: 1; those whose test item is then not their last: 1" in text


def test_out_of_order_without_collisions(findings):
    changing, notable = findings(list(reversed(ROWS)))
    assert changing == [] and notable == [
        "Rows that stand behind a later one of their user, which RecBole sorts: 9."
    ]


def test_encodings(findings):
    content = f"{HEADER}\nu\ti0\t1\n\xfc\ti0\t2\n".encode("latin-1")
    changing, _ = findings(inter_bytes=content, items=ITEMS[:2])
    assert any("not utf-8, so that RecBole cannot read the file: 1 (line 3)" in t for t in changing)


def test_byte_order_mark(findings):
    content = f"\ufeff{HEADER}\nu\ti0\t1\n".encode()
    changing, _ = findings(inter_bytes=content, items=ITEMS[:2])
    assert any("byte order mark" in text for text in changing)


def test_texts_of_the_side_file_and_the_data_sets_own_template(findings):
    """The side file is what STORE reads, through the template that lies beside it."""
    texts = "".join(f'{{"item_id": "i{n}", "title": "", "plot": "P{n}"}}\n' for n in range(4))
    more = {"toy.text.jsonl": texts, "toy.yaml": 'item_text: {title: "{}"}\n'}
    changing, _ = findings(more=more)
    assert len(changing) == 1 and "no text for any of the items" in changing[0]


def test_benchmark_files(findings):
    """Ids with spaces fall apart in ready histories; their items count as occurring."""
    part = "user_id:token\titem_id:token\titem_id_list:token_seq\nu\ti9\ti0 i8\n"
    items = [*ITEMS, "i8\tEight", "i9\tNine"]
    assert findings(items=items, more={"toy.test.inter": part}) == ([], [])


def test_ids_with_spaces_in_benchmark_files(findings):
    part = "user_id:token\titem_id:token\titem_id_list:token_seq\nu\ti 9\ti0\n"
    changing, _ = findings(more={"toy.test.inter": part})
    assert any("where RecBole splits them: 1 (line 2: item_id 'i 9')" in text for text in changing)


def test_prepared_data_pass(prepare, capsys):
    rows = ["u,i,t,title", *(f'a,x{n},{n},"""T"" {n}"' for n in range(4)), "a,NA,9,None"]
    columns = ("--user=u", "--item=i", "--time=t", "--text", "title")
    prepared = prepare("table", {"t.csv": rows}, *columns)
    assert run_recbole_store.main(["check", str(prepared.folder)]) == 0
    assert "1 users, 5 items, 5 interactions" in capsys.readouterr().out


def test_the_command(findings, tmp_path, capsys, monkeypatch):
    findings([*ROWS, ROWS[0]])
    monkeypatch.chdir(tmp_path)
    assert run_recbole_store.main(["check", "toy"]) == 1
    assert "Would change results:\n- Rows that repeat" in capsys.readouterr().out


def test_ml_100k_as_recbole_ships_it(capsys):
    assert run_recbole_store.main(["check", "ml-100k"]) == 1
    out = capsys.readouterr().out
    assert "943 users, 1,682 items, 100,000 interactions" in out
    assert "Users whose histories RecBole alone puts in a wrong order: 908" in out


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, ["No dataset `toy`"]),
        ({"toy.inter": ""}, ["toy.inter is empty"]),
        ({"toy.inter": "a:token\tb:token\n1\t2\n"}, ["no column `user_id`", "a, b"]),
        ({"toy.inter": f"{HEADER}\n\t\tx\n"}, ["No row of"]),
    ],
)
def test_refusals(tmp_path, capsys, files, words):
    for name, text in files.items():
        (tmp_path / "toy").mkdir(exist_ok=True)
        (tmp_path / "toy" / name).write_text(text)
    assert run_recbole_store.main(["check", "toy", "--data_path", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert all(word in error for word in words) and error.count("\n") == 1
