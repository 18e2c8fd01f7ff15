"""From a table to recommendations, on the sample with a tiny LLM; every step can be typed alone."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from sample_settings import SAMPLE, write_sample_settings

from recbole_store import cli
from recbole_store.cli.quickstart import SMALL, chosen_model, name_of, profile_for


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> str:
    """A property file with which STORE trains on the sample in seconds."""
    return str(write_sample_settings(tmp_path_factory.mktemp("small")))


def test_it_ends_with_a_table_users_and_what_comes_next(small, capfd):
    purchases, products = (str(SAMPLE / name) for name in ("purchases.csv", "products.csv"))
    words = ["quickstart", purchases, "--items", products, "--name", "shop"]
    assert cli.main([*words, "--config_files", small]) == 0
    said = capfd.readouterr().out
    typed = [shlex.split(line) for line in re.findall(r"^\$ recbole-store (.*)$", said, re.M)]
    verbs = ["prepare", "check", "train", "train", "report", "recommend"]
    assert [one[0] for one in typed] == verbs
    assert "--profile=auto" in typed[3] and "--model=Neighbours" in typed[2]
    # the table has both, the sentence tells them from each other
    end = said[said.index("--profile=auto") :]
    assert re.search(r"^STORE .*\d\.\d{4}", end, re.M)
    assert re.search(r"^Neighbours\* .*\d\.\d{4}", end, re.M)
    assert re.search(r"^STORE .* Neighbours.* paired over 374 users\.$", end, re.M)
    assert len(re.findall(r"^User C\d+ had ", end, re.M)) == 3
    titles = "Arvika|Bellwood|Corriden|Dunmore|Elvarn|Fernholt"
    listed = end[end.index("$ recbole-store recommend") :]
    assert len(re.findall(rf"^  \d  P\d{{4}}  (?:{titles}) ", listed, re.M)) == 5
    assert "\nNext:\n  recbole-store serve saved/shop/STORE/model" in listed
    assert Path("saved/shop/results/report.html").is_file()
    kept = json.loads(Path("saved/shop/STORE/result.json").read_text())
    assert kept["profile"]["name"] == "auto" and kept["times"]["epochs"] == 2
    # each step alone: those that do not train, with what is there
    for one in (typed[1], typed[4], typed[5]):
        assert cli.main(one) == 0
    assert cli.main([*typed[0], "--force"]) == 0


def test_a_table_without_texts_has_a_model_that_needs_none(tmp_path, capfd):
    (tmp_path / "one.yaml").write_text("epochs: 1\ngpu_id: ''\n")
    shutil.copy(SAMPLE / "purchases.csv", tmp_path)
    words = ["quickstart", "./purchases.csv", "--config_files", "one.yaml"]
    assert cli.main(words) == 0
    said = capfd.readouterr().out
    assert "## No texts: count what is popular" in said and "--profile" not in said
    assert Path("saved/purchases/SASRecAll/model/config.json").is_file()
    assert re.search(r"^SASRecAll .* Pop.* paired over 374 users\.$", said, re.M)


BAD = {
    "no such file": ("nothing.csv", None, []),
    "which column is the user": ("a.csv", "sku,ordered_at\n1,2025-01-01\n", []),
    "a time that is none": ("a.csv", "customer,sku,ordered_at\n1,2,soon\n", []),
    "a mistyped flag": ("a.csv", "customer,sku,ordered_at\n1,2,3\n", ["--usr=customer"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_as_prepare_does(case, capsys):
    file, text, more = BAD[case]
    if text is not None:
        Path(file).write_text(text)

    def refused(words) -> str:
        capsys.readouterr()
        try:
            assert cli.main(words) == 2
        except SystemExit as stopped:
            assert stopped.code == 2
        return capsys.readouterr().err

    found = refused(["quickstart", file, *more])
    assert found.startswith("error: ") and found.count("\n") == 1
    assert found == refused(["prepare", "table", "--raw", file, "--out", "dataset/a", *more])
    assert not Path("dataset").exists() and not Path("saved").exists()


def test_a_name_that_leads_out_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["quickstart", "a.csv", "--name=../b"])
    assert capsys.readouterr().err.startswith("error: '../b' cannot be the name of a data set")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("purchases.csv", "purchases"),
        ("in/My orders, 2025.csv.gz", "My-orders-2025"),
        (".csv", "csv"),
        ("...", "table"),
    ],
)
def test_a_data_set_is_named_by_its_file(file, name):
    assert name_of(Path(file)) == name


def test_what_is_trained_goes_by_the_data():
    assert chosen_model({"text": {"with_text": 3}}) == "STORE"
    assert chosen_model({"text": {"with_text": 0}}) == "SASRecAll"
    assert profile_for({"interactions": SMALL}) == "auto"
    assert profile_for({"interactions": SMALL + 1}) == "quick"
