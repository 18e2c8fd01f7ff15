"""Result files of the wrong shape: named, with the place, and left out alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from planted_runs import planted_result, write_run

from recbole_store.errors import SettingsError
from recbole_store.experiments.comparison.results_command import main as results
from recbole_store.experiments.report.page.command import main as report
from recbole_store.experiments.results.result_file import NUMBERS, WHOLE, complaint, read_result
from recbole_store.experiments.results.results_folder import keep, read_runs
from recbole_store.experiments.results.tidy import figures

RANKS = [1, 3, 0, 12, 2, 7]
FOLDER = Path("results")  # each test has a working directory of its own

WRONG = [
    ({"protocol": None}, "`protocol` is null, but must be an object"),
    ({"protocol": []}, "`protocol` is [], but must be an object"),
    ({"protocol": {}}, "it has no `protocol.n_test`"),
    ({"protocol": {"n_test": 6, "eval_args": None}}, "`protocol.eval_args` is null"),
    ({"protocol": {"n_test": 6, "eval_args": {"split": 5}}}, "`protocol.eval_args.split` is 5"),
    ({"protocol": {"n_test": 6, "filter_history": "no"}}, '`protocol.filter_history` is "no"'),
    ({"model": None}, "`model` is null, but must be a text"),
    ({"model": ["Pop"]}, '`model` is ["Pop"]'),
    ({"dataset": 7}, "`dataset` is 7"),
    ({"variant": 3}, "`variant` is 3"),
    ({"seed": "2020"}, '`seed` is "2020", but must be a whole number'),
    ({"seed": True}, "`seed` is true"),
    ({"valid_metric": None}, "`valid_metric` is null"),
    ({"valid": "0.5"}, '`valid` is "0.5", but must be an object'),
    ({"test": {"gauc": "0.7123"}}, '`test.gauc` is "0.7123", but must be a number or null'),
    ({"test": None}, "`test` is null"),
    ({"tests": {"filtered": None}}, "`tests.filtered` is null"),
    ({"tests": {"filtered": {"ndcg@10": [1]}}}, "`tests.filtered.ndcg@10` is [1]"),
    ({"test": {"ndcg@10": True}}, "`test.ndcg@10` is true"),
    ({"times": None}, "`times` is null"),
    ({"times": {"fit_s": "long"}}, '`times.fit_s` is "long"'),
    ({"sizes": [1]}, "`sizes` is [1]"),
    ({"store": "all"}, '`store` is "all"'),
    ({"store": {"tokenizer_s": "long"}}, '`store.tokenizer_s` is "long"'),
    ({"cold": {"n_items": 3}}, "it has no `cold.n_users`"),
    ({"cold": {"n_items": 3, "n_users": 2, "metrics": []}}, "`cold.metrics` is []"),
    ({"curve": {}}, "`curve` is {}, but must be a list"),
    ({"curve": [{"epoch": None}]}, "`curve[0].epoch` is null"),
    ({"curve": [{"epoch": 0}, {"epoch": 1, "valid_score": "x"}]}, "`curve[1].valid_score`"),
    ({"settings": {"topk": "ten"}}, '`settings.topk` is "ten"'),
    ({"hashed_settings": "none"}, '`hashed_settings` is "none"'),
    ({"hashed_settings": {"max_hours": "2"}}, '`hashed_settings.max_hours` is "2"'),
    ({"certain_topk": [0.5]}, "`certain_topk` is [0.5]"),
    ({"converged": "yes"}, '`converged` is "yes"'),
    ({"hardware": "a laptop"}, '`hardware` is "a laptop"'),
    ({"data_sha256": 5}, "`data_sha256` is 5"),
    ({"run_dir": {}}, "`run_dir` is {}"),
]


@pytest.fixture
def folder():
    """Two runs that are as they should be."""
    keep(write_run(Path("one"), RANKS, model="STORE", dataset="planted"), FOLDER)
    keep(write_run(Path("two"), RANKS, dataset="planted"), FOLDER)
    return FOLDER


@pytest.mark.parametrize(("changes", "said"), WRONG, ids=lambda value: str(value)[:50])
def test_one_wrong_shape_is_named_and_the_others_are_read(changes, said):
    keep(write_run(Path("run"), RANKS, dataset="planted"), FOLDER)
    path = FOLDER / "planted" / "BPR-seed2020.json"
    path.write_text(json.dumps(planted_result(RANKS, model="BPR") | changes))
    broken = []
    assert [kept.label for kept in read_runs(FOLDER, broken)] == ["Pop"]
    (sentence,) = broken
    assert sentence.startswith(f"The file {path} is no result of a run: ") and said in sentence
    with pytest.raises(SettingsError):
        read_result(path)


BROKEN_FILES = [
    ("planted/BPR-seed2020.json", b"{", "BPR-seed2020.json"),
    ("planted/BPR-seed2020.json", b"[" * 100_000, "BPR-seed2020.json"),
    ("planted/BPR-seed2020.json", b"\xff\xfe", "BPR-seed2020.json"),
    ("planted/BPR-seed2020.json", json.dumps({"model": "x" * 200_000}).encode(), "no `dataset`"),
    ("planted/Pop-seed2020.examples.npz", b"no zip", "Pop-seed2020.examples.npz"),
    ("trials/planted/Pop.json", b'[{"settings": null}]', "Pop.json holds no trials"),
]


@pytest.mark.parametrize(("name", "content", "said"), BROKEN_FILES)
def test_the_commands_name_a_broken_file_and_go_on(folder, name, content, said, capsys):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    assert report([str(folder)]) == 0
    assert said in capsys.readouterr().err
    html = (folder / "report.html").read_text()
    assert "STORE" in html and "Pop" in html
    readme = Path("README.md")
    readme.write_text("<!-- results -->\n<!-- end of results -->\n")
    assert results([str(folder), "--readme", str(readme)]) == 0
    shown = capsys.readouterr()
    assert (said in shown.err) == (".examples." not in name), "which only the page looks at"
    assert "STORE" in shown.out and "Pop" in readme.read_text()


def test_a_flipped_byte_takes_no_other_run_with_it(folder, capsys):
    """Whatever it breaks: the zip, the packing, numpy's header. Each tenth byte of the file."""
    path = folder / "planted" / "Pop-seed2020.npz"
    whole = path.read_bytes()
    named = 0
    for place in range(0, len(whole), 10):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        broken = []
        labels = [kept.label for kept in read_runs(folder, broken)]
        assert labels == (["STORE"] if broken else ["Pop", "STORE"])
        assert all("Pop-seed2020.npz" in said or "The ranks of Pop" in said for said in broken)
        named += len(broken)
    assert named > len(whole) / 20, "most flips are found; those in unused bytes change nothing"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ranks_filtered", np.array([1, 2])),
        ("history_lengths", np.array([1.5] * 6)),
        ("target_counts", np.zeros((6, 1), dtype=int)),
        ("recommended_unfiltered", np.array([1, 2, 3])),
        ("depth", np.array([20, 20])),
    ],
)
def test_arrays_that_do_not_belong_together_are_named(folder, name, values):
    path = folder / "planted" / "Pop-seed2020.npz"
    with np.load(path) as arrays:
        changed = {**arrays, name: values}
    np.savez(path, **changed)
    broken = []
    assert [kept.label for kept in read_runs(folder, broken)] == ["STORE"]
    assert "Pop-seed2020.npz" in broken[0] and name in broken[0]


def test_a_metric_that_is_no_number_at_all_has_no_figure(folder):
    """NaN, as of users without any positive."""
    path = folder / "planted" / "Pop-seed2020.json"
    result = json.loads(path.read_text())
    result["test"] |= {"gauc": float("nan")}
    path.write_text(json.dumps(result))
    (pop, _) = read_runs(folder)
    assert "gauc" not in {metric for _, metric in figures(pop)}


def test_a_folder_in_which_nothing_can_be_read_says_why(folder, capsys):
    for path in folder.glob("planted/*.json"):
        path.write_text("{}")
    for command in (report, results):
        assert command([str(folder)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and "it has no `model`" in error
    assert results(["nowhere"]) == report(["nowhere"]) == 2


def test_complaints():
    assert complaint({"a": 1, "b": 2}, {"a": WHOLE}) == "", "others may stand beside"
    assert complaint([], {"a": WHOLE}) == "it is not an object"
    assert complaint({"test": {"x": 1, "y": "2"}}, {"test": NUMBERS}).startswith("`test.y` is")
    shown = complaint({"a": "x" * 500}, {"a": WHOLE})
    assert len(shown) < 100 and "…" in shown
