"""What a results folder holds after planted runs, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from planted_runs import metrics_by_hand, planted_result, write_run

from recbole_store.errors import SettingsError
from recbole_store.experiments.report.tables.label_table import label_table
from recbole_store.experiments.results.kept_run import KeptRun
from recbole_store.experiments.results.results_folder import (
    COLUMNS,
    keep,
    read_runs,
    remake,
)

RANKS, FILTERED = [1, 3, 0, 12, 2, 7], [1, 2, 15, 9, 1, 5]
FOLDER = Path("results")  # each test has a working directory of its own


def keep_run(name="run", **changes) -> KeptRun:
    return keep(write_run(Path(name), RANKS, FILTERED, **changes), FOLDER)


def figures_of(folder) -> dict[tuple, float]:
    with (folder / "results.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == COLUMNS
    keys = [tuple(row[:-1]) for row in rows]
    assert len(set(keys)) == len(keys), "one value a key"
    return {key: float(row[-1]) for key, row in zip(keys, rows, strict=True)}


def test_files():
    keep_run(model="SASRec", variant="tuned", seed=7)
    names = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
    assert names == {
        "planted/SASRec-tuned-seed7.json",
        "planted/SASRec-tuned-seed7.npz",
        "results.csv",
        "pairs.csv",
        "protocol.json",
    }
    copied = (FOLDER / "planted/SASRec-tuned-seed7.json").read_bytes()
    assert copied == Path("run/result.json").read_bytes()
    assert (FOLDER / "results.csv").stat().st_mode & 0o777 == 0o644


def test_the_folder_s_files_alone_tell_all_that_the_run_folder_does():
    kept = keep_run()
    (read,) = read_runs(FOLDER)
    assert read.result == kept.result and read.arrays.keys() == kept.arrays.keys()
    for name, values in kept.arrays.items():
        assert np.array_equal(values, read.arrays[name]), name
    assert read.arrays["ranks_filtered"].tolist() == FILTERED
    assert len(str(read.arrays["users_digest"])) == 64


def test_tidy_figures_by_hand():
    keep_run()
    found = figures_of(FOLDER)

    def value(slice_name, metric):
        return found["planted", "Pop", "", "2020", slice_name, metric]

    for name, ranks in (("unfiltered", RANKS), ("filtered", FILTERED)):
        for metric, by_hand in metrics_by_hand(ranks).items():
            assert value(f"{name}/all", metric) == pytest.approx(by_hand, abs=5e-5), metric
    # Histories of 1 .. 6 items: the medium third are users 2 and 3, with ranks 0 and 12.
    assert value("unfiltered/history=medium", "recall@10") == 0
    assert value("unfiltered/history=long", "recall@10") == 1
    assert value("filtered/history=short", "mrr@10") == 0.75
    assert value("unfiltered/history=short", "n_users") == 2
    assert value("unfiltered/all", "n_users") == 6
    # Items 1 .. 6 are the most popular: all targets are head.
    assert value("filtered/target=head", "recall@10") == pytest.approx(5 / 6)
    assert ("planted", "Pop", "", "2020", "filtered/target=tail", "recall@10") not in found
    assert value("", "fit_s") == 12.34 and value("", "epochs") == 3 and value("", "converged") == 1
    assert value("valid", "ndcg@10") == 0.5
    # Lists of ten: items 31 .. 40, and the targets that are in them (unfiltered: 1, 2, 5 and 6).
    assert value("unfiltered/all", "itemcoverage@10") == pytest.approx(14 / 41, abs=1e-6)


def test_statistics_of_semantic_ids_and_cold_items():
    store = {"collision_rate": 0.25, "utilisation": [1.0, 0.5], "certain_topk": {"10": 0.4}}
    store |= {"tokenizer_cached": False, "precision": "fp32", "reconstruction_loss": None}
    cold = {"n_items": 5, "n_users": 8, "metrics": {"cold/full": {"recall@10": 0.125}}}
    keep_run(store=store, cold=cold)
    found = {key[4:]: value for key, value in figures_of(FOLDER).items()}
    assert found["", "collision_rate"] == 0.25 and found["", "utilisation"] == 0.75
    assert found["", "certain_topk@10"] == 0.4 and found["", "tokenizer_cached"] == 0
    assert found["cold/full", "recall@10"] == 0.125
    assert ("", "precision") not in found and ("", "reconstruction_loss") not in found


def test_shares_of_certain_lists():
    keep_run(certain_topk={"unfiltered": {"1": 0.9, "10": 0.5}, "filtered": {}}, cold=None)
    found = {key[4:]: value for key, value in figures_of(FOLDER).items()}
    assert found["unfiltered/all", "certain_topk@10"] == 0.5


def test_sampled_candidates_are_no_full_ranking():
    run_dir = write_run(Path("run"), RANKS, test={"recall@10": 0.9})
    (run_dir / "ranked.npz").unlink()
    result = json.loads((run_dir / "result.json").read_text())
    (run_dir / "result.json").write_text(json.dumps(result | {"tests": {"candidates": {}}}))
    kept = keep(run_dir, FOLDER)
    found = {key[4:]: value for key, value in figures_of(FOLDER).items()}
    assert found["candidates/all", "recall@10"] == 0.9
    assert not [key for key in found if key[0].startswith(("unfiltered", "filtered"))]
    assert label_table([kept], "").header[3] == "Recall@10 (candidates)"


def test_users_with_several_targets_have_no_ranks_of_their_own():
    users = ["u1", "u1", "u2", "u3", "u4", "u5"]
    kept = keep(write_run(Path("run"), RANKS, users=users, test={"recall@10": 0.9}), FOLDER)
    assert kept.arrays is None and read_runs(FOLDER)[0].arrays is None


def test_protocol():
    keep_run("one", model="STORE", protocol={"n_test": 6, "max_item_list_length": 20})
    keep_run("two", model="Pop", protocol={"n_test": 6, "max_item_list_length": 50})
    written = json.loads((FOLDER / "protocol.json").read_text())
    of_data = written["datasets"]["planted"]
    assert of_data["n_test"] == 6 and of_data["valid_metric"] == "NDCG@10"
    assert of_data["slice_bounds"]["history=short"] == "at most 2 items"
    assert len(of_data["users_digest"]) == 64
    assert set(written["runs"]) == {"planted/STORE-seed2020", "planted/Pop-seed2020"}
    store = written["runs"]["planted/STORE-seed2020"]
    assert store["max_item_list_length"] == 20 and "max_item_list_length" not in of_data
    assert store["versions"] == {"torch": "2.13.0"} and store["protocol_hash"] == "0" * 16
    assert "slices" in written["fixed"]


def test_everything_can_be_remade():
    keep_run("one")
    keep_run("two", model="STORE")
    written = {p.name: p.read_bytes() for p in FOLDER.iterdir() if p.is_file()}
    for name in written:
        (FOLDER / name).unlink()
    remake(FOLDER)
    assert {p.name: p.read_bytes() for p in FOLDER.iterdir() if p.is_file()} == written


def test_a_run_again_takes_the_place_of_the_earlier_one():
    keep_run("one")
    run_dir = write_run(Path("two"), RANKS, test={"recall@10": 0.9}, tests={})
    (run_dir / "ranked.npz").unlink()
    keep(run_dir, FOLDER)
    (read,) = read_runs(FOLDER)
    assert read.arrays is None, "the ranks of the earlier run are gone"
    found = {key[4:]: value for key, value in figures_of(FOLDER).items()}
    assert found["unfiltered/all", "recall@10"] == 0.9


def test_results_without_ranks_have_their_evaluator_s_figures():
    FOLDER.joinpath("planted").mkdir(parents=True)
    old = planted_result(RANKS, protocol={"history_filtered": True, "n_test": 6})
    del old["tests"], old["variant"], old["protocol_hash"]
    (FOLDER / "planted" / "Pop-seed2020.json").write_text(json.dumps(old))
    remake(FOLDER)
    found = {key[4:]: value for key, value in figures_of(FOLDER).items()}
    assert found["filtered/all", "recall@10"] == pytest.approx(0.6667)
    assert not [key for key in found if key[0].startswith("unfiltered")]


@pytest.mark.parametrize("decimals", [2, 6])
def test_ranks_agree_with_metrics_of_any_number_of_decimals(decimals):
    settings = {"topk": [1, 10], "metric_decimal_place": decimals}
    kept = keep_run(settings=settings, **_tests(1 / 3, decimals))
    assert kept.result["test"]["recall@1"] == round(1 / 6, decimals)
    with pytest.raises(SettingsError, match="one of them is wrong"):
        keep_run("wrong", settings=settings, **_tests(1 / 3 + 2 * 10.0**-decimals, decimals))


def _tests(recall_1: float, decimals: int) -> dict:
    """One metric of the planted ranks, of which one in six and two in six are 1."""
    test = {"recall@1": round(1 / 6, decimals)}
    filtered = {"recall@1": round(recall_1, decimals)}
    return {"test": test, "tests": {"unfiltered": test, "filtered": filtered}}


def test_ranks_that_contradict_the_evaluator_are_refused():
    wrong = metrics_by_hand(RANKS) | {"ndcg@10": 0.9}
    with pytest.raises(SettingsError, match=r"give ndcg@10 0\.\d+ .*gave 0.9000"):
        keep_run(test=wrong)
    assert not FOLDER.exists()


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"model": "Pop"}'])
def test_a_file_that_is_no_result(content):
    FOLDER.joinpath("planted").mkdir(parents=True)
    (FOLDER / "planted" / "Pop-seed1.json").write_text(content)
    with pytest.raises(SettingsError, match="Pop-seed1.json"):
        remake(FOLDER)


@pytest.mark.parametrize("content", [b"no archive", b"PK\x03\x04 half of one", b""])
def test_broken_ranks(content):
    keep_run()
    (FOLDER / "planted" / "Pop-seed2020.npz").write_bytes(content)
    with pytest.raises(SettingsError, match="Pop-seed2020.npz"):
        remake(FOLDER)


def test_ranks_without_what_is_needed():
    kept = keep_run()
    del kept.arrays["depth"]
    np.savez(FOLDER / "planted" / "Pop-seed2020.npz", **kept.arrays)
    with pytest.raises(SettingsError, match="no array `depth`"):
        remake(FOLDER)


@pytest.mark.parametrize("name", ["item_counts", "ranks_filtered", "depth"])
@pytest.mark.parametrize("wrong", [np.array(3.5), np.zeros((2, 2), int), np.array({"a": 1})])
def test_ranks_of_another_shape(name, wrong):
    kept = keep_run()
    np.savez(FOLDER / "planted" / "Pop-seed2020.npz", **{**kept.arrays, name: wrong})
    with pytest.raises(SettingsError, match=r"Pop-seed2020\.npz: .*Run that model again\.$"):
        remake(FOLDER)


def test_a_copy_of_a_result_is_no_other_seed():
    keep_run()
    folder = FOLDER / "planted"
    (folder / "Pop-seed2020-old.json").write_bytes((folder / "Pop-seed2020.json").read_bytes())
    with pytest.raises(SettingsError, match="whose file is Pop-seed2020.json"):
        remake(FOLDER)


def test_a_broken_file_does_not_keep_another_run_from_being_kept():
    keep_run()
    (FOLDER / "planted" / "Pop-seed2020.json").write_text("{")
    keep_run("other", model="BPR")
    assert {key[1] for key in figures_of(FOLDER)} == {"BPR"}
    broken = []
    assert len(read_runs(FOLDER, broken)) == 1 and "Pop-seed2020.json" in broken[0]


def test_hits_are_recall_whatever_the_evaluator_rounds():
    run_dir = write_run(Path("run"), RANKS, test=metrics_by_hand(RANKS) | {"hit@10": 0.6667})
    keep(run_dir, FOLDER)
    found = {key[4:]: value for key, value in figures_of(FOLDER).items()}
    hit, recall = (found["unfiltered/all", f"{name}@10"] for name in ("hit", "recall"))
    assert hit == recall and abs(hit - 4 / 6) < 1e-6


def test_other_json_files_are_left_alone():
    """Benchmarks and trials live there as well."""
    keep_run()
    (FOLDER / "bench.json").write_text("[]")
    trials = FOLDER / "trials" / "planted"
    trials.mkdir(parents=True)
    (trials / "Pop.json").write_text("[]")
    assert len(remake(FOLDER)) == 1
