"""A training that was cut off ends with the very figures that it would have had."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import pytest
import torch
from forked_runs import ForkedRuns
from planted_store import store_settings

from recbole_store.errors import Diverged, RunError, SettingsError
from recbole_store.experiments.run.run import run_model
from recbole_store.plugin import checkpoints, run_state
from recbole_store.plugin.progress import Progress
from recbole_store.tokenizer import tensor_file


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """A tokenizer that another test has trained would leave nothing to cut off."""
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def few(planted, tmp_path_factory) -> Path:
    """A data_path with the planted data of 60 users."""
    data_path = tmp_path_factory.mktemp("few")
    folder = data_path / "planted"
    folder.mkdir()
    (folder / "planted.item").write_text((planted / "planted" / "planted.item").read_text())
    header, *rows = (planted / "planted" / "planted.inter").read_text().splitlines()
    kept = [row for row in rows if int(row.split("\t")[0][1:]) < 60]
    (folder / "planted.inter").write_text("\n".join([header, *kept]) + "\n")
    return data_path


def plain_settings(planted, **changes) -> dict:
    """Of a model of RecBole's or SASRecAll, that trains in a second."""
    settings = {
        "data_path": str(planted),
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {
            "split": {"LS": "valid_and_test"},
            "order": "TO",
            "group_by": "user",
            "mode": "full",
        },
        "topk": [5, 10],
        "metrics": ["NDCG", "Recall"],
        "valid_metric": "NDCG@10",
        "MAX_ITEM_LIST_LENGTH": 6,
        "loss_type": "BPR",
        "hidden_size": 16,
        "inner_size": 16,
        "embedding_size": 16,
        "train_batch_size": 8,
        "stopping_step": 9,
        "epochs": 3,
        "gpu_id": "",
        "show_progress": False,
        "checkpoint_minutes": 0,
    }
    return {**settings, **changes}


def of_model(model: str, planted, tiny_llm) -> dict:
    """Settings with dropout and drawn data, so that each random generator counts."""
    if model == "SASRecAll":
        changes = {"item_dropout": 0.2, "train_neg_sample_args": None, "train_batch_size": 2}
        defaults = {"n_layers": 1, "n_heads": 2, "hidden_dropout_prob": 0.5, "loss_type": "CE"}
        defaults |= {"attn_dropout_prob": 0.5, "hidden_act": "gelu", "layer_norm_eps": 1e-12}
        defaults |= {"initializer_range": 0.02, "learning_rate": 1e-3, "weight_decay": 0.0}
        return plain_settings(planted, **defaults, **changes)
    if model == "SASRec":
        return plain_settings(planted, train_batch_size=64)
    if model == "BPR":
        return plain_settings(
            planted,
            train_batch_size=256,
            eval_args={
                "split": {"LS": "valid_and_test"},
                "order": "TO",
                "group_by": "user",
                "mode": "uni5",
            },
        )
    settings = store_settings(
        tiny_llm,
        planted,
        epochs=2,
        tokenizer_epochs=2,
        train_batch_size=2,
        dropout=0.2,
        align_weight=0.5,
        item_vector_size=16,
        item_head_weight=1.0,
        item_head_share=0.5,
        warmup_steps=10,
        collaborative_share=0.5,
        stopping_step=9,
        checkpoint_minutes=0,
    )
    if model == "TIGER":
        settings |= {
            "tokenizer": "rqvae",
            "text_encoder": str(tiny_llm),
            "rqvae_hidden_sizes": [8],
            "rqvae_latent_size": 4,
            "rqvae_epochs": 8,
            "rqvae_batch_size": 32,
            "targets_per_user": 2,
            "d_model": 8,
            "d_ff": 8,
            "d_kv": 4,
            "num_heads": 2,
            "num_layers": 1,
            "num_decoder_layers": 1,
            "train_batch_size": 4,
        }
    return settings


def figures(result: dict) -> dict:
    """A result without what tells of this very process."""
    kept = {k: v for k, v in result.items() if k not in ("times", "run_dir", "sizes", "git_commit")}
    kept["settings"] = {k: v for k, v in result["settings"].items() if k != "checkpoint_dir"}
    kept["curve"] = [
        {k: v for k, v in row.items() if k not in ("train_s", "valid_s")} for row in result["curve"]
    ]
    kept["store"] = {k: v for k, v in result.get("store", {}).items() if k != "tokenizer_s"}
    return json.loads(json.dumps(kept, default=str))


class CutOff(BaseException):
    """In the place of a kill."""


def cut_off_after(monkeypatch, n_states: int, before: bool) -> None:
    """Let a training end when so many states are kept, or just before the last of them is."""
    save, left = Progress.save, n_states

    def save_some(self, state):
        nonlocal left
        left -= 1
        if left == 0 and before:
            raise CutOff
        save(self, state)
        if left == 0:
            raise CutOff

    monkeypatch.setattr(Progress, "save", save_some)


@pytest.mark.parametrize("model", ["SASRecAll", "SASRec", "BPR", "STORE", "TIGER"])
def test_the_same_figures_wherever_it_was_cut_off(
    model, few, tiny_llm, tmp_path, monkeypatch, capsys
):
    settings = of_model(model, few, tiny_llm)
    saved = []
    with monkeypatch.context() as patch:
        save = Progress.save
        patch.setattr(Progress, "save", lambda self, state: saved.append(1) or save(self, state))
        whole = run_model(model, "planted", settings, tmp_path / "whole")
    assert len(saved) > 3
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(tmp_path / "another cache"))
    run_dir, rng, n_cuts = tmp_path / "cut", random.Random(model), 0
    while not (run_dir / "result.json").exists():
        with monkeypatch.context() as patch:
            step = rng.randint(1, max(len(saved) // 3, 2))
            cut_off_after(patch, step, before=rng.random() < 0.5)
            try:
                result = run_model(model, "planted", settings, run_dir)
            except CutOff:
                n_cuts += 1
    assert n_cuts >= 2
    assert figures(result) == figures(whole)
    assert "Going on from epoch" in capsys.readouterr().out
    assert not (run_dir / "state").exists() and (run_dir / "best.safetensors").is_file()


# Real processes, really killed


def words_of(model: str, data_path: Path, llm: Path, run_dir: str) -> list[str]:
    words = [f"--model={model}", "--dataset=planted", f"--data_path={data_path}"]
    words += ["--no_table", f"--run_dir={run_dir}", "--checkpoint_minutes=0", "--topk=[1,5,10]"]
    words += ["--MAX_ITEM_LIST_LENGTH=6", "--stopping_step=9"]
    words += ["--load_col={inter: [user_id, item_id, timestamp]}"]
    if model == "SASRecAll":
        return [*words, "--epochs=4", "--hidden_size=16", "--inner_size=16", "--n_layers=1"]
    words += ["--item_text={colour: '{}', shape: '{}'}", f"--backbone={llm}"]
    words += ["--backbone_layers=1", "--num_beams=10", "--codebook_size=16", "--pca_dim=16"]
    words += ["--tokenizer_epochs=3", "--tokenizer_batch_size=8", "--epochs=2"]
    return [*words, "--train_batch_size=2"]


def survive(runs: ForkedRuns, words: list[str], n_kills: int, seed: int) -> tuple[int, int]:
    """Kill runs at random moments until so many kills came while one ran.

    Returns:
        kills, and kills of runs that ended with the figures of one that nobody killed.
    """
    folder = runs.folder

    def begin(run_dir: str) -> list[str]:
        return [w if not w.startswith("--run_dir") else f"--run_dir={run_dir}" for w in words]

    started = time.monotonic()
    assert runs.run(begin("whole"), RECBOLE_STORE_CACHE=str(folder / "cache")) == 0, runs.said
    seconds = time.monotonic() - started
    expected = figures(json.loads((folder / "whole" / "result.json").read_text()))
    rng, kills, survived, n_runs = random.Random(seed), 0, 0, 0
    while kills < n_kills:
        n_runs += 1
        run_dir, of_this_run, status = folder / f"run{n_runs}", 0, -9
        cache = str(folder / f"cache{n_runs}")
        while status == -9:
            is_begun = (run_dir / "run.json").is_file()
            asked = [f"--resume={run_dir}", "--no_table"] if is_begun else begin(run_dir.name)
            moment = rng.uniform(0.1, seconds) if kills < n_kills else None
            started = time.monotonic()
            status = runs.run(asked, moment, RECBOLE_STORE_CACHE=cache)
            assert status in (0, -9), runs.said[-3000:]
            if status == -9:
                kills, of_this_run = kills + 1, of_this_run + 1
            elif moment is not None:  # it came too late
                seconds = min(seconds, time.monotonic() - started)
        result = json.loads((run_dir / "result.json").read_text())
        survived += of_this_run if figures(result) == expected else 0
    return kills, survived


@pytest.fixture
def runs(tmp_path):
    started = ForkedRuns(tmp_path)
    yield started
    started.close()


def test_killed_processes_go_on(runs, few, tiny_llm):
    kills, survived = survive(runs, words_of("STORE", few, tiny_llm, "run"), 3, seed=5)
    assert survived == kills == 3


@pytest.mark.slow
@pytest.mark.parametrize(("model", "n_kills"), [("STORE", 14), ("SASRecAll", 6)])
def test_processes_killed_at_random_moments_go_on(runs, few, tiny_llm, model, n_kills):
    kills, survived = survive(runs, words_of(model, few, tiny_llm, "run"), n_kills, seed=1)
    print(f"{model}: {survived} of {kills} kills survived")
    assert survived == kills


# What is left, and what is damaged


def test_a_damaged_state_costs_what_came_after_the_one_before(few, tmp_path, monkeypatch):
    settings = plain_settings(few, epochs=4, train_batch_size=256, checkpoint_minutes=None)
    whole = run_model("SASRec", "planted", settings, tmp_path / "whole")
    run_dir = tmp_path / "cut"
    with monkeypatch.context() as patch, pytest.raises(CutOff):
        cut_off_after(patch, 3, before=False)
        run_model("SASRec", "planted", settings, run_dir)
    *_, newest = sorted((run_dir / "state" / "recommender").iterdir())
    newest.write_bytes(newest.read_bytes()[:-5])
    assert run_state.load(run_dir / "state" / "recommender")["epoch"] == 2
    assert figures(run_model("SASRec", "planted", settings, run_dir)) == figures(whole)


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_without_the_best_epoch_s_weights_it_begins_anew(
    few, tmp_path, monkeypatch, capsys, damage
):
    settings = plain_settings(few, epochs=3, train_batch_size=256, checkpoint_minutes=None)
    whole = run_model("SASRec", "planted", settings, tmp_path / "whole")
    run_dir = tmp_path / "cut"
    with monkeypatch.context() as patch, pytest.raises(CutOff):
        cut_off_after(patch, 2, before=False)
        run_model("SASRec", "planted", settings, run_dir)
    for best in run_dir.glob("best-*"):
        if damage == "missing":
            best.unlink()
        else:
            best.write_bytes(best.read_bytes()[:-5])
    assert figures(run_model("SASRec", "planted", settings, run_dir)) == figures(whole)
    assert "begins anew" in capsys.readouterr().out


def test_a_model_of_a_special_trainer_begins_anew(few, tmp_path):
    """More than a state holds belongs to them; their folder is none the worse for it."""
    settings = plain_settings(few, train_batch_size=256, epochs=2)
    result = run_model("ItemKNN", "planted", settings, tmp_path / "run")
    assert result["test"]["recall@10"] > 0 and not (tmp_path / "run" / "state").exists()


def test_a_full_disk_is_one_sentence_and_costs_no_training(few, tmp_path, monkeypatch):
    settings = plain_settings(few, epochs=3, train_batch_size=256, checkpoint_minutes=None)
    whole = run_model("SASRec", "planted", settings, tmp_path / "whole")
    written, write = [], tensor_file.write

    def fills_up(path, state):
        written.append(path)
        if len(written) == 4:
            raise OSError(28, os.strerror(28))
        write(path, state)

    with monkeypatch.context() as patch:
        for module in (run_state, checkpoints):
            patch.setattr(module, "write", fills_up)
        with pytest.raises(RunError, match="No space left on device.*--resume"):
            run_model("SASRec", "planted", settings, tmp_path / "cut")
    assert not (tmp_path / "cut" / "result.json").exists()
    assert figures(run_model("SASRec", "planted", settings, tmp_path / "cut")) == figures(whole)


# Divergence


@pytest.mark.parametrize(
    ("model", "changes", "says"),
    [
        ("SASRec", {"learning_rate": 1e30}, r"the loss is nan in epoch 0, step 2\b"),
        ("SASRec", {"learning_rate": 1e30, "train_batch_size": 99999}, r"epoch 0, step 1\b"),
        ("SASRecAll", {"learning_rate": 1e38, "epochs": 1}, r"epoch 0, step \d+"),
        ("BPR", {"learning_rate": 1e38, "train_batch_size": 99999}, r"epoch 0, step 1\b"),
        ("STORE", {"learning_rate": 1e30, "code_learning_rate": 1e30}, r"epoch 0, step \d+"),
        ("STORE", {"tokenizer_learning_rate": 1e30}, r"tokenizer.*epoch 0, step \d"),
        (
            "STORE",
            {"tokenizer_learning_rate": 1e30, "tokenizer_epochs": 1, "tokenizer_batch_size": 99},
            r"tokenizer.*no number after epoch 0, step 1; lower `tokenizer_learning_rate`",
        ),
        (
            "TIGER",
            {"rqvae_learning_rate": 1e30},
            r"the loss is .* in epoch 0, step \d.*rqvae_learning_rate",
        ),
    ],
)
def test_a_training_that_diverges_ends_and_leaves_no_result(
    model, changes, says, few, tiny_llm, tmp_path
):
    """Also where it does so in its very last step, whose loss was still a number."""
    settings = {**of_model(model, few, tiny_llm), "warmup_steps": 0, **changes}
    with pytest.raises(Diverged, match=says):
        run_model(model, "planted", settings, tmp_path / "run")
    assert not (tmp_path / "run" / "result.json").exists()


# One process a folder


def test_a_run_s_folder_is_for_one_process(runs, few, tmp_path):
    settings = plain_settings(few, train_batch_size=256, epochs=1)
    from recbole_store.experiments.run.run_folder import is_free, opened

    assert is_free(tmp_path / "run")
    with opened(tmp_path / "run"):
        assert not is_free(tmp_path / "run")
        with pytest.raises(SettingsError, match=f"goes on in process {os.getpid()}.*--run_dir"):
            run_model("SASRec", "planted", settings, tmp_path / "run")
        words = words_of("SASRecAll", few, few, "run")
        assert runs.run(words) == 2
        assert "run belongs to a run that goes on" in runs.said
    assert is_free(tmp_path / "run")
    run_model("SASRec", "planted", settings, tmp_path / "run")


def test_a_run_that_was_cut_off_is_not_lost_to_another(few, tmp_path, monkeypatch):
    settings = plain_settings(few, train_batch_size=256, epochs=3, checkpoint_minutes=None)
    run_dir = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(CutOff):
        cut_off_after(patch, 1, before=False)
        run_model("SASRec", "planted", settings, run_dir)
    other = {**settings, "epochs": 2}
    with pytest.raises(SettingsError, match=r"other settings \(epochs 3, now 2\).*--again"):
        run_model("SASRec", "planted", other, run_dir)
    result = run_model("SASRec", "planted", other, run_dir, again=True)
    assert result["times"]["epochs"] == 2 and not (run_dir / "state").exists()


def test_a_kill_s_half_written_files_go(few, tmp_path):
    run_dir = tmp_path / "run"
    (run_dir / "state" / "recommender").mkdir(parents=True)
    halves = [".best-1.safetensors.x1", ".result.json.y", "SASRec-best.part"]
    halves.append("state/recommender/.000002.safetensors.z")
    for name in halves:
        (run_dir / name).write_text("half")
    run_model("SASRec", "planted", plain_settings(few, epochs=1), run_dir)
    assert not any((run_dir / name).exists() for name in halves)


def test_states_weigh_on_no_random_number(few, tmp_path):
    """Whether, and how often, they are kept changes no figure."""
    results = [
        run_model(
            "SASRecAll",
            "planted",
            {**of_model("SASRecAll", few, None), "checkpoint_minutes": minutes},
            tmp_path / f"run{minutes}",
        )
        for minutes in (None, 0)
    ]
    kept = [figures(result) for result in results]
    for one in kept:
        one["settings"].pop("checkpoint_minutes")
    assert kept[0] == kept[1]
    assert not torch.isnan(torch.tensor(kept[0]["test"]["ndcg@10"]))
