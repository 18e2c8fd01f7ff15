"""The command as a user meets it."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys

import pytest
from planted_data import ROOT

import run_recbole_store
from recbole_store.data.prepare import command
from recbole_store.data.prepare.sources import SOURCES
from recbole_store.data.prepare.sources.source import Source
from recbole_store.settings.property_files import read_properties

CSV = "u,i,t,title\na,x,2,X\na,y,1,Y\nb,x,1,X\n"
COLUMNS = ("--user=u", "--item=i", "--time=t", "--text", "title")
PROPERTIES = ROOT / "properties" / "dataset" / "source"


def exit_of(words) -> int:
    try:
        return run_recbole_store.main(words)
    except SystemExit as stopped:
        return stopped.code


def test_help_of_both_commands_and_of_every_source(capsys):
    assert exit_of(["--help"]) == 0
    out = capsys.readouterr().out
    assert "\n  prepare " in out and "\n  check " in out
    assert exit_of(["prepare", "--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in SOURCES)
    for name, source in SOURCES.items():
        assert exit_of(["prepare", name, "--help"]) == 0
        out = " ".join(capsys.readouterr().out.split())
        assert "--raw PATH" in out and f"({source.k_core})" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["prepare"], "SOURCE"),
        (["prepare", "amazon"], "did you mean `amazon2023`?); known: amazon2014, amazon2023,"),
        (["prepare", "hm"], "--raw, --out"),
        (["prepare", "hm", "--raw=x", "--out=y", "--k_core=0"], "at least 1"),
        (["prepare", "hm", "--raw=x", "--out=y", "--memory=much"], "500MB"),
        (["prepare", "table", "--raw=x", "--out=y", "--time=t", "--file_order"], "--time"),
    ],
)
def test_wrong_arguments(capsys, words, said):
    assert exit_of(words) == 2
    error = capsys.readouterr().err
    assert said in error and error.startswith("error: ") and error.count("\n") == 1


def test_commands_import_neither_torch_nor_recbole(tmp_path):
    (tmp_path / "t.csv").write_text(CSV)
    script = (
        "import sys, run_recbole_store as script\n"
        "assert script.main(sys.argv[1:]) == 0\n"
        "assert script.main(['check', 'toy']) == 1\n"  # so few rows are nothing to train on
        "assert not {'torch', 'recbole', 'pandas'} & set(sys.modules)"
    )
    words = ["prepare", "table", "--raw=t.csv", "--out=dataset/toy", *COLUMNS]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{script}", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "2 users, 2 items, 3 interactions" in done.stdout


def test_the_card(prepare):
    prepared = prepare("table", {"t.csv": CSV}, *COLUMNS)
    card = prepared.card
    written = {path.name for path in prepared.folder.iterdir()}
    assert written == {*card["files"], "toy.card.json"}
    for name, facts in card["files"].items():
        content = (prepared.folder / name).read_bytes()
        assert facts == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert card["raw_files"][0]["sha256"] == hashlib.sha256(CSV.encode()).hexdigest()
    assert card["command"].startswith("recbole-store prepare table --raw ")
    assert card["density"] == 0.75
    assert card["time"]["first_date"] == "1970-01-01 00:00:01"
    text = "\n".join(prepared.lines("card.md"))
    for shown in ("| users | 2 |", "| density | 75.0000% |", "| items with title | 2 (100.0%) |"):
        assert shown in text
    assert "1 to 2 (1970-01-01 00:00:01 to 1970-01-01 00:00:02 UTC)" in text


def test_the_same_command_gives_the_same_files(prepare):
    first = prepare("table", {"t.csv": CSV}, *COLUMNS).card["files"]
    again = prepare("table", {"t.csv": CSV}, *COLUMNS, "--force").card["files"]
    assert {n: f for n, f in again.items() if "card" not in n} == {
        n: f for n, f in first.items() if "card" not in n
    }


def test_nothing_is_replaced_without_force(prepare, tmp_path, capsys):
    prepared = prepare("table", {"t.csv": CSV}, *COLUMNS)
    words = ["table", "--raw", str(tmp_path / "raw"), "--out", str(prepared.folder), *COLUMNS]
    assert command.main(words) == 2
    assert "exists already; --force replaces it" in capsys.readouterr().err


def test_filters_work_in_their_order(prepare):
    """The latest two of a user, of whom the core then leaves nobody but a and b."""
    rows = ["u,i,t", "a,x,1", "a,y,2", "a,x,3", "b,x,1", "b,y,2", "c,x,1", "c,z,2"]
    words = ("--user=u", "--item=i", "--time=t", "--max_history=2", "--k_core=2")
    prepared = prepare("table", {"t.csv": rows}, *words)
    assert prepared.lines("inter")[1:] == ["b\tx\t1", "a\ty\t2", "b\ty\t2", "a\tx\t3"]
    rows = prepared.card["rows"]
    assert (rows["beyond_max_history"], rows["outside_core"]) == (1, 2)
    words = ("--user=u", "--item=i", "--time=t", "--min_history=3", "--force")
    assert prepare("table", {}, *words).card["users"] == 1


@pytest.mark.parametrize(
    ("ties", "said"),
    [("file", "kept in the file's order"), ("shuffle", "in random order")],
)
def test_baskets(prepare, ties, said):
    """What a user bought on one day is one basket, whose duplicates are duplicates."""
    rows = ["u,i,t", *(f"a,x{n % 30},{86_400 + 31 - n}" for n in range(31)), "a,y,1"]
    words = ("--user=u", "--item=i", "--time=t", "--ties_within=day", f"--ties={ties}")
    prepared = prepare("table", {"t.csv": rows}, *words)
    lines = [line.split("\t") for line in prepared.lines("inter")[1:]]
    assert [(item, time) for _, item, time in lines[:1]] == [("y", "0")]
    basket = [item for _, item, time in lines[1:] if time == "86400"]
    assert sorted(basket) == sorted(f"x{n}" for n in range(30))
    assert (basket == [f"x{n}" for n in range(30)]) == (ties == "file")
    assert f"({said}, times cut to the day)" in "\n".join(prepared.lines("card.md"))


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_source_has_a_property_file_and_a_page(name):
    source: type[Source] = SOURCES[name]
    page = (ROOT / "dataset" / f"{name}.md").read_text(encoding="utf-8")
    assert f"recbole-store prepare {name} " in page
    for word in ("Licence", "Expect"):
        assert f"**{word}" in page or f"## {word}" in page, word
    assert f"({name}.md)" in (ROOT / "dataset" / "README.md").read_text(encoding="utf-8")
    if name == "table":
        return
    properties = read_properties(PROPERTIES / f"{name}.yaml")
    assert set(properties["item_text"]) <= set(source.item_columns)
    assert properties["load_col"] == {"inter": ["user_id", "item_id", "timestamp"]}
    text = (PROPERTIES / f"{name}.yaml").read_text(encoding="utf-8")
    assert len(re.findall(r"^  inter: \[.*$", text, re.MULTILINE)) == 1, "for --keep_all_items"


def test_every_property_file_has_a_source():
    names = {path.stem for path in PROPERTIES.glob("*.yaml")}
    assert names == set(SOURCES) - {"table"} | {"mind-impressions"}


def test_commands_on_the_pages_are_understood():
    """Every line of a page, or of docs, that prepares names arguments that exist."""
    pages = [ROOT / "docs" / "usage.md", *(ROOT / "dataset" / f"{name}.md" for name in SOURCES)]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        lines = re.findall(r"^\S*recbole-store prepare (.*)$", text, re.MULTILINE)
        assert len(lines) == 1 + (page.stem == "table")  # whose second is of dataset/sample
        for line in lines:
            parsed = command.parser().parse_args(line.split())
            assert parsed.source == page.stem or page.name == "usage.md"
